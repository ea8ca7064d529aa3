"""Periodic tasks of the supervisor's loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog


@dataclass(slots=True)
class PeriodicTask:
    """A function to call at an interval (seconds, or a function that returns them); it may return a stop reason."""

    interval: float | Callable[[], float]
    action: Callable[[], str | None]
    last_run: float = 0.0  #: time of the last call

    @property
    def seconds(self) -> float:
        """The current interval: a reload of the configuration may change it."""
        return self.interval() if callable(self.interval) else self.interval

    @property
    def due(self) -> float:
        """The time of the next call."""
        return self.last_run + self.seconds


class PeriodicTasks:
    """All periodic tasks of a loop. A failed task is logged and retried: it must not end the children's supervision."""

    def __init__(self, tasks: Sequence[PeriodicTask], log: structlog.stdlib.BoundLogger) -> None:
        self._tasks = list(tasks)
        self._log = log

    def begin(self, now: float) -> None:
        """Count the intervals from `now`."""
        for task in self._tasks:
            task.last_run = now

    def next_due(self) -> float:
        """Return when the next task is due, infinity without any."""
        return min((task.due for task in self._tasks), default=float("inf"))

    def do(self, now: float) -> str | None:
        """Run the due tasks; return the first stop reason."""
        reasons = []
        for task in self._tasks:
            if now >= task.due:
                task.last_run = now
                reasons.append(self._run(task))
        return next(filter(None, reasons), None)

    def _run(self, task: PeriodicTask) -> str | None:
        try:
            return task.action()
        except Exception:  # noqa: BLE001 - a failed task must not end the supervision of the children
            self._log.exception("periodic_task_failed", retry_in_s=task.seconds)
            return None
