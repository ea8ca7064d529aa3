"""What the loop does besides its children: something to call now and then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog


@dataclass(slots=True)
class Chore:
    """Something to call every `interval` seconds; it may return a reason to stop everything."""

    interval: float
    action: Callable[[], str | None]
    due: float = 0.0


class Chores:
    """All chores of a loop. One that fails is reported and tried again: it must not end the supervision of children."""

    def __init__(self, chores: Sequence[Chore], log: structlog.stdlib.BoundLogger) -> None:
        self._chores = list(chores)
        self._log = log

    def begin(self, now: float) -> None:
        """Count the intervals from `now`."""
        for chore in self._chores:
            chore.due = now + chore.interval

    def next_due(self) -> float:
        """Return when the next one is due, infinity without any."""
        return min((chore.due for chore in self._chores), default=float("inf"))

    def do(self, now: float) -> str | None:
        """Do what is due; return the first reason to stop that was given."""
        reasons = []
        for chore in self._chores:
            if now >= chore.due:
                chore.due = now + chore.interval
                reasons.append(self._attempt(chore))
        return next(filter(None, reasons), None)

    def _attempt(self, chore: Chore) -> str | None:
        try:
            return chore.action()
        except Exception:  # noqa: BLE001 - an odd job must not end the supervision of the children
            self._log.exception("chore_failed", retry_in_s=chore.interval)
            return None
