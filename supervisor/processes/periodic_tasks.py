"""What the loop does besides its children: something to call now and then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog


@dataclass(slots=True)
class PeriodicTask:
    """Something to call every `interval` seconds (or what a function says now); it may return a reason to stop all."""

    interval: float | Callable[[], float]
    action: Callable[[], str | None]
    since: float = 0.0  #: when it was called last

    @property
    def seconds(self) -> float:
        """The interval as it is now: the configuration may be read again meanwhile."""
        return self.interval() if callable(self.interval) else self.interval

    @property
    def due(self) -> float:
        """When it is to be called next."""
        return self.since + self.seconds


class PeriodicTasks:
    """All chores of a loop. One that fails is reported and tried again: it must not end the supervision of children."""

    def __init__(self, tasks: Sequence[PeriodicTask], log: structlog.stdlib.BoundLogger) -> None:
        self._tasks = list(tasks)
        self._log = log

    def begin(self, now: float) -> None:
        """Count the intervals from `now`."""
        for task in self._tasks:
            task.since = now

    def next_due(self) -> float:
        """Return when the next one is due, infinity without any."""
        return min((task.due for task in self._tasks), default=float("inf"))

    def do(self, now: float) -> str | None:
        """Do what is due; return the first reason to stop that was given."""
        reasons = []
        for task in self._tasks:
            if now >= task.due:
                task.since = now
                reasons.append(self._attempt(task))
        return next(filter(None, reasons), None)

    def _attempt(self, task: PeriodicTask) -> str | None:
        try:
            return task.action()
        except Exception:  # noqa: BLE001 - an odd job must not end the supervision of the children
            self._log.exception("chore_failed", retry_in_s=task.seconds)
            return None
