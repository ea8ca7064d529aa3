"""Monotonic counters, whatever happens to the files that they are read from. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

Name = tuple[str, ...]

#: A counter that fell below this share of its value belongs to a new file that started at zero. One that fell by
#: less was copied from a broken file without its last moments: it continues from there.
_CONTINUED = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """The state of one counter."""

    source: str  #: the file it was read from; another file started at zero
    latest: int  #: the last value read
    total: int  #: the value reported


@dataclass(slots=True)
class MonotonicCounters:
    """Follows durable counters by name. The first value counts completely: it happened before our time."""

    counts: dict[Name, Count] = field(default_factory=dict)
    changes: int = 0  #: number of changes

    def follow(self, name: Name, value: int, source: str = "", inherited: int = 0) -> int:
        """Take the source's current value; return the value to report.

        The part that a new source has `inherited` from the former one was counted there.
        """
        known = self.counts.get(name)
        if value == 0:
            return known.total if known else 0  # no value, or not readable now: the next value decides
        if known is None:
            grown = value
        elif known.source != source:
            grown = max(0, value - inherited)
        elif value >= known.latest:
            grown = value - known.latest
        else:
            grown = value if value < _CONTINUED * known.latest else 0
        count = Count(source, value, grown + (known.total if known else 0))
        if count != known:
            self.counts[name] = count
            self.changes += 1
        return count.total

    def family(self, kind: str) -> dict[Name, int]:
        """Return all counts of a kind by the rest of their names, also those without a current value."""
        return {name[1:]: count.total for name, count in self.counts.items() if name[0] == kind}

    def rows(self) -> list[list[object]]:
        """Return the counters as plain data."""
        return [[list(name), count.source, count.latest, count.total] for name, count in self.counts.items()]

    @classmethod
    def of(cls, rows: Iterable[tuple[Iterable[str], str, int, int]]) -> "MonotonicCounters":
        """Build the counters from such data. Raises TypeError or ValueError for anything else."""
        return cls(
            {tuple(map(str, name)): Count(str(source), int(latest), int(total)) for name, source, latest, total in rows}
        )
