"""Counters that never go back while the monitor lives, whatever happens to the files they are read from."""

from collections.abc import Hashable
from dataclasses import dataclass, field

#: A counter that fell below this share of what it was belongs to a new file, which began at nothing. One that fell by
#: less was brought over from a broken file with the last moments missing: it goes on from there.
_CONTINUED = 0.5


@dataclass(slots=True)
class Tally:
    """Follows durable counters by name. The first value counts whole: it is what happened before our time."""

    _latest: dict[Hashable, int] = field(default_factory=dict)
    _total: dict[Hashable, int] = field(default_factory=dict)

    def follow(self, name: Hashable, value: int) -> int:
        """Take in what the file says now; return the count that others are told."""
        total = self._total.get(name, 0)
        if value == 0:
            return total  # nothing yet, or not to be read just now: the next value tells
        latest = self._latest.get(name, 0)
        if value >= latest:
            total += value - latest
        elif value < _CONTINUED * latest:
            total += value
        self._latest[name] = value
        self._total[name] = total
        return total
