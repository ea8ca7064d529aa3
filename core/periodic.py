"""Periodic work: a timer, a task with a timer, and all tasks of a loop. Times are arguments, in seconds."""

from collections.abc import Callable, Sequence

import structlog


class Timer:
    """Says when periodic work is due. A new timer is due at once.

    Args:
        interval: from one run to the next, or a function that returns it: a reload may change it.
    """

    def __init__(self, interval: float | Callable[[], float]) -> None:
        self._interval = interval
        self._since = float("-inf")
        self._first: float | None = None

    @property
    def interval(self) -> float:
        """The current interval."""
        return self._interval() if callable(self._interval) else self._interval

    @property
    def due(self) -> float:
        """The time of the next run."""
        return self._since + (self.interval if self._first is None else self._first)

    def restart(self, now: float, first: float | None = None) -> None:
        """Count the interval from `now`; `first`: the time to the next run, if other than the interval."""
        self._since, self._first = now, first

    def elapsed(self, now: float) -> bool:
        """Return whether the next run is due; if so, restart."""
        if now < self.due:
            return False
        self.restart(now)
        return True


class PeriodicTask(Timer):
    """A function to call at an interval; it may return a reason to stop the loop."""

    def __init__(self, interval: float | Callable[[], float], action: Callable[[], str | None]) -> None:
        super().__init__(interval)
        self.action = action

    def run(self, now: float) -> str | None:
        """Call the function now, and restart the interval."""
        self.restart(now)
        return self.action()


class PeriodicTasks:
    """All periodic tasks of a loop. A failed task is logged and retried: it must not end the loop."""

    def __init__(self, tasks: Sequence[PeriodicTask], log: structlog.stdlib.BoundLogger) -> None:
        self._tasks = list(tasks)
        self._log = log

    def begin(self, now: float) -> None:
        """Count the intervals from `now`."""
        for task in self._tasks:
            task.restart(now)

    def next_due(self) -> float:
        """Return when the next task is due, infinity without any."""
        return min((task.due for task in self._tasks), default=float("inf"))

    def do(self, now: float) -> str | None:
        """Run the due tasks; return the first stop reason."""
        reasons = [self._attempt(task, now) for task in self._tasks if now >= task.due]
        return next(filter(None, reasons), None)

    def _attempt(self, task: PeriodicTask, now: float) -> str | None:
        try:
            return task.run(now)
        except Exception:  # noqa: BLE001 - a failed task must not end the supervision of the children
            self._log.exception("periodic_task_failed", retry_in_s=task.interval)
            return None
