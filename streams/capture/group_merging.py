"""Decides when to merge groups that were split after failed requests, and which two. Pure.

Names move between groups without loss: the walk of the new group treats as proven only items before the moments up to
which all of its names are proven.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from core.backoff import Backoff

#: Seconds from a split, or a failed request for both groups, to the next try.
_CALM = Backoff(first=300.0, longest=21_600.0, jitter=0.0)

#: Splits within this time of each other have one cause, seconds.
_ONE_CAUSE_S = 60.0

#: After this time without a failure the next split has a new cause, seconds.
_FORGOTTEN_S = 21_600.0

#: Seconds from a merger to the next one.
_NEXT_S = 10.0

#: Seconds until busy groups (a walk in progress, a failure) are checked again.
_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """A group: its key, the configured group of its names, and their place there."""

    key: int
    home: int
    place: int
    size: int


class GroupMerging:
    """Decides when to try a merger. The caller reports each `split()`, `refused()`, `merged()` or `postpone()`."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = float("-inf")
        self.due = float("inf")

    def split(self, now: float) -> None:
        """Report that a group became two; `now`: seconds of a monotonic clock."""
        if now - self._failed_at > _ONE_CAUSE_S:
            self._failed(now)
        self._failed_at = now

    def refused(self, now: float) -> None:
        """Report that a request for the names of both groups failed."""
        self._failed(now)

    def _failed(self, now: float) -> None:
        if now - self._failed_at > _FORGOTTEN_S:
            self._failures = 0
        self._failures += 1
        self._failed_at = now
        self.due = now + _CALM.pause(self._failures, lambda: 0.5)

    def merged(self, now: float) -> None:
        """Report that two groups became one; others may follow soon."""
        self.due = now + _NEXT_S

    def postpone(self, now: float) -> None:
        """Report that no merger could be tried: a group is busy, or there was no quota."""
        self.due = now + _BUSY_S

    def choose(self, parts: Collection[Part]) -> tuple[int, int] | None:
        """Return the keys of the two groups to try: the smallest neighbours, others after failures; None: no pair."""
        ordered = sorted(parts, key=lambda part: (part.home, part.place))
        pairs = [(one, two) for one, two in pairwise(ordered) if one.home == two.home]
        if not pairs:
            return None
        pairs.sort(key=lambda pair: (pair[0].size + pair[1].size, pair[0].place))
        one, two = pairs[max(0, self._failures - 1) % len(pairs)]
        return one.key, two.key
