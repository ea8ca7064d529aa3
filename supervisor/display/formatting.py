"""Formats tables, durations, times and shares as plain text."""

import math
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from core.masking.printable import printable


def table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Align the columns of `rows` (the first row has the headings); the columns numbered in `right` to the right.

    A cell stays on its line, whatever its content.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = [
            cell.rjust(width) if number in right else cell.ljust(width) for number, (cell, width) in enumerate(cells)
        ]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def duration(seconds: float | None) -> str:
    """Format a duration with at most two units."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, length, below, smaller in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // below:02d} {smaller}"
    raise AssertionError("unreachable")


def utc_text(seconds: float) -> str:
    """Format epoch seconds as UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def percent(share: float) -> str:
    """Format a share, rounded down: only a complete share gives 100 %."""
    return f"{math.floor(share * 10_000) / 100:.2f} %" if share < 1.0 else "100 %"


def plural(count: int, noun: str) -> str:
    """Format a number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
