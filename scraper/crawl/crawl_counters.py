"""Counters of what one process stored, and the rate at which it finishes subreddits. Pure."""

from collections import deque
from dataclasses import dataclass

#: Seconds over which the rate is measured.
_WINDOW_S = 600.0

#: Fewer seconds, or fewer subreddits, give no rate.
_SHORTEST_S = 10.0
_FEWEST = 3


class FinishRate:
    """Records when subreddits were finished, for the estimated time to finish; seconds of any one clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._finished: deque[float] = deque()

    def finished(self, moment: float) -> None:
        """Record one finished subreddit."""
        self._finished.append(moment)

    def per_hour(self, now: float) -> float | None:
        """Return subreddits per hour; None while it is too early."""
        while self._finished and now - self._finished[0] > _WINDOW_S:
            self._finished.popleft()
        seconds = min(now - self._began, _WINDOW_S)
        if seconds < _SHORTEST_S or (len(self._finished) < _FEWEST and seconds < _WINDOW_S):
            return None
        return len(self._finished) / seconds * 3600.0


@dataclass(slots=True)
class CrawlCounters:
    """Counts since the process started; they only grow."""

    finish_rate: FinishRate
    subreddits: int = 0
    users: int = 0
    posts: int = 0  #: rows saved, both new and updated
    rules: int = 0
    failures: int = 0  #: turns that were put back
    given_back: int = 0  #: turns that were left to another proxy

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "subreddits": self.subreddits,
            "users": self.users,
            "posts": self.posts,
            "rules": self.rules,
            "failures": self.failures,
            "leases_given_back": self.given_back,
        }
