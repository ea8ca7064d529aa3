"""Formats a table as plain text."""

from collections.abc import Collection, Sequence

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
