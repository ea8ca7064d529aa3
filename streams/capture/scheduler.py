"""Chooses the next step of a stream's work so that no kind of work starves. Pure.

A step is at most one request. Polls are urgent. Everything else is background work that normally fits into the time
between two polls. If answers are slower than the poll interval, there is no such time: then background work that has
waited longer than its patience gets a step, and after each such step, a due poll comes first.
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass

#: Longest sleep while nothing is due, seconds.
_LONGEST_IDLE_S = 60.0


class Kind(enum.Enum):
    """A kind of work; the value is its patience: how long background work waits while polls are due, seconds."""

    POLL = 0.0
    WALK = 0.1
    SEARCH = 0.2
    JOIN = 3.0
    REPAIR = 4.0
    RETURN = 5.0
    LATE_SCAN = 6.0
    MERGE = 10.0
    PACK = 12.0
    PRUNE = 15.0
    AUDIT = 20.0

    @property
    def urgent(self) -> bool:
        """Whether new items wait for it."""
        return self in {Kind.POLL, Kind.WALK, Kind.SEARCH}

    @property
    def sends_request(self) -> bool:
        """Whether a step may send a request; another one keeps nothing waiting."""
        return self not in {Kind.AUDIT, Kind.PACK, Kind.PRUNE}

    @property
    def paced(self) -> bool:
        """Whether each step is a background request, which the quota spreads over time if there are many."""
        return self in {Kind.JOIN, Kind.LATE_SCAN, Kind.REPAIR, Kind.RETURN}


@dataclass(frozen=True, slots=True)
class Task:
    """The next step of some work: `due` on the scheduler's clock, seconds; `key` distinguishes tasks of one kind.

    Of tasks that are due at the same moment, the one with the greatest `weight` comes first.
    """

    kind: Kind
    due: float
    key: int = 0
    weight: float = 0.0

    @property
    def deadline(self) -> float:
        """The time from which it takes precedence over polls."""
        return self.due + self.kind.value


def choose(tasks: Collection[Task], now: float, previous: Kind | None) -> Task | None:
    """Return the task of the next step, None if nothing is due. `previous` is the kind of the last step."""
    due = [task for task in tasks if task.due <= now]
    urgent = [task for task in due if task.kind.urgent]
    background = [task for task in due if not task.kind.urgent]
    if urgent and background:
        served_last = previous is not None and not previous.urgent
        background = [task for task in background if task.deadline <= now and not served_last]
    return min(background or urgent, key=lambda task: (task.due, -task.weight), default=None)


def idle_seconds(tasks: Collection[Task], now: float) -> float:
    """Return the seconds until something is due."""
    soonest = min((task.due - now for task in tasks), default=_LONGEST_IDLE_S)
    return max(0.0, min(soonest, _LONGEST_IDLE_S))
