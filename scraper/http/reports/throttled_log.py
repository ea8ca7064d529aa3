"""Throttled log of failures: the first of a kind at once, then one line a minute with the number of further ones."""

from collections.abc import Callable

import structlog

from core.errors import GaplessError
from scraper.http.reports.outcome import AttemptOutcome

log = structlog.stdlib.get_logger(__name__)

_EVERY = 60.0


class ThrottledLog:
    """Decides which failed attempts are logged."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said_at: dict[AttemptOutcome, float] = {}
        self._unsaid: dict[AttemptOutcome, int] = {}

    def failed(self, outcome: AttemptOutcome, error: GaplessError, path: str) -> None:
        """Log the failure, or count it for the next line of its kind."""
        now = self._clock()
        if now - self._said_at.get(outcome, float("-inf")) < _EVERY:
            self._unsaid[outcome] = self._unsaid.get(outcome, 0) + 1
            return
        self._said_at[outcome] = now
        more = self._unsaid.pop(outcome, 0)
        log.warning("request_failed", kind=str(outcome), error=str(error), path=path, more_since_last_line=more)
