"""One measured figure, its aim, and how it is printed."""

from collections.abc import Callable
from dataclasses import dataclass

_TICKS = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its unit; `aim` is in words, `met` says whether it was reached (None: no aim)."""

    what: str
    value: float
    unit: str = ""
    aim: str = ""
    met: bool | None = None
    digits: int = 0

    def line(self) -> str:
        """Format it for the terminal."""
        value = f"{self.value:,.{self.digits}f} {self.unit}".rstrip()
        verdict = f"aim {self.aim}: {_TICKS[self.met]}" if self.aim else ""
        return f"  {self.what:<62}{value:>18}   {verdict}".rstrip()


def at_most(what: str, value: float, limit: float, unit: str = "", *, digits: int = 0) -> Figure:
    return Figure(what, value, unit, f"≤ {limit:g}", value <= limit, digits)


def at_least(what: str, value: float, limit: float, unit: str = "", *, digits: int = 0) -> Figure:
    return Figure(what, value, unit, f"≥ {limit:,g}", value >= limit, digits)


def percentile(values: list[float], share: float) -> float:
    """Return the quantile of the values at this share."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the benchmark: a name for the command line, a headline, and what measures it."""

    name: str
    title: str
    measure: Callable[[], list[Figure]]
