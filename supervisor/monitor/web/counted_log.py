"""Log events that clients can cause at any rate: the first at once, then a count per minute."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

_INTERVAL_S = 60.0
_MAX_KEYS = 64  # distinct origins counted by name between two lines
_MAX_NAMED = 5


class ThrottledCountLog:
    """Counts events by reason and by origin, and logs the counts."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        event: str,
        hint: str,
        *,
        interval_s: float = _INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._event = event
        self._hint = hint
        self._interval_s = interval_s
        self._clock = clock
        self._reasons: Counter[str] = Counter()
        self._origins: Counter[str] = Counter()
        self._next = clock()
        self.totals: Counter[str] = Counter()  #: by reason, since the start

    def add(self, reason: str, origin: str) -> None:
        """Count one event, and log it when the last line is a minute old."""
        self.totals[reason] += 1
        self._reasons[reason] += 1
        if origin in self._origins or len(self._origins) < _MAX_KEYS:
            self._origins[origin] += 1
        self.flush()

    def flush(self) -> None:
        """Log the counts since the last line, if a line is due."""
        now = self._clock()
        if not self._reasons or now < self._next:
            return
        self._next = now + self._interval_s
        clients = dict(self._origins.most_common(_MAX_NAMED))
        counts, total = dict(self._reasons), self._reasons.total()
        self._reasons.clear()
        self._origins.clear()
        event = self._event
        self._log.warning(event, count=total, reasons=counts, clients=clients, hint=self._hint)
