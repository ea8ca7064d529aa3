"""Counters that never go back, whatever happens to the files they are read from. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

Name = tuple[str, ...]

#: A counter that fell below this share of what it was belongs to a new file, which began at nothing. One that fell by
#: less was brought over from a broken file with the last moments missing: it goes on from there.
_CONTINUED = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """One counter as it stands."""

    source: str  #: where it was read; another source began at nothing
    latest: int  #: what stood there last
    total: int  #: what others are told


@dataclass(slots=True)
class Tally:
    """Follows durable counters by name. The first value counts whole: it is what happened before our time."""

    counts: dict[Name, Count] = field(default_factory=dict)
    changes: int = 0  #: how often anything changed

    def follow(self, name: Name, value: int, source: str = "", inherited: int = 0) -> int:
        """Take in what the source says now; return the count that others are told.

        What a new source has `inherited` from the former one was counted there.
        """
        known = self.counts.get(name)
        if value == 0:
            return known.total if known else 0  # nothing yet, or not to be read just now: the next value tells
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
        """Return all counts of a kind by the rest of their names, those too whose source has nothing to say now."""
        return {name[1:]: count.total for name, count in self.counts.items() if name[0] == kind}

    def rows(self) -> list[list[object]]:
        """Give all of it as plain data."""
        return [[list(name), count.source, count.latest, count.total] for name, count in self.counts.items()]

    @classmethod
    def of(cls, rows: Iterable[tuple[Iterable[str], str, int, int]]) -> "Tally":
        """Make one of such data. Raises TypeError or ValueError when it is something else."""
        return cls(
            {tuple(map(str, name)): Count(str(source), int(latest), int(total)) for name, source, latest, total in rows}
        )
