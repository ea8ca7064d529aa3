"""One measured figure: its target, how it is printed, and the calculations that several sections share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICKS = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its unit; `aim` is the target as text, `met` whether it was reached (None: no target)."""

    what: str
    value: float
    unit: str = ""
    aim: str = ""
    met: bool | None = None
    digits: int = 0

    def line(self) -> str:
        """Format it for the terminal."""
        value = f"{self.value:,.{self.digits}f} {self.unit}".rstrip()
        verdict = f"target {self.aim}: {_TICKS[self.met]}" if self.aim else ""
        return f"  {self.what:<62}{value:>18}   {verdict}".rstrip()


def at_most(what: str, value: float, limit: float, unit: str = "", *, digits: int = 0) -> Figure:
    return Figure(what, value, unit, f"≤ {limit:g}", value <= limit, digits)


def at_least(what: str, value: float, limit: float, unit: str = "", *, digits: int = 0) -> Figure:
    return Figure(what, value, unit, f"≥ {limit:,g}", value >= limit, digits)


def percentile(values: list[float], share: float) -> float:
    """Return the quantile of the values at this share."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def pss_mib(pid: int) -> float:
    """Return the proportional set size of a process, in MiB: a page that n processes share counts as 1/n for each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss line: PSS needs Linux 4.14 or newer")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the benchmark: a name for the command line, a headline, and what measures it."""

    name: str
    title: str
    measure: Callable[[], list[Figure]]
