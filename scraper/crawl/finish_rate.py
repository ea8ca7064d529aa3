"""Measures how fast subreddits are finished, for the estimate of the remaining time. Pure."""

from collections import deque

_OVER = 600.0  # seconds over which the rate is measured
_AFTER = 10.0  # fewer seconds, or fewer subreddits, give no rate
_FEWEST = 3


class FinishRate:
    """Records the moments at which subreddits were finished; seconds of any one clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._finished: deque[float] = deque()

    def finished(self, moment: float) -> None:
        """Record one finished subreddit."""
        self._finished.append(moment)

    def per_hour(self, now: float) -> float | None:
        """Return subreddits per hour; None while it is too early."""
        while self._finished and now - self._finished[0] > _OVER:
            self._finished.popleft()
        seconds = min(now - self._began, _OVER)
        if seconds < _AFTER or (len(self._finished) < _FEWEST and seconds < _OVER):
            return None
        return len(self._finished) / seconds * 3600.0
