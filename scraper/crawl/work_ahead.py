"""Estimates how many requests the subreddits in progress still need, so that no more are leased than keep it busy.

A subreddit's authors are known only after its first calls. Until then it counts with the mean of the earlier ones.
"""

import time
from collections.abc import Callable

from scraper.crawl import parts

#: An author's calls, and the most authors of a subreddit: as many as hot posts are requested.
_CALLS, _MOST_AUTHORS = 2, 30

#: The weight of the newest subreddit in the means.
_WEIGHT = 0.2

#: A subreddit whose first calls take this many times as long as usual is not waited for.
_LATE = 2.0


class WorkAhead:
    """The requests that are still to send. Used from one event loop."""

    def __init__(self, users_per_subreddit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._starting: dict[str, float] = {}
        self._mean_calls = float(_CALLS * min(users_per_subreddit, _MOST_AUTHORS))
        self._mean_seconds = 1.0
        self._authors = 0

    @property
    def calls(self) -> float:
        """How many requests are in flight, wait, or are to be expected soon."""
        latest = self._clock() - _LATE * self._mean_seconds
        return _CALLS * self._authors + self.calls_each * sum(at >= latest for at in self._starting.values())

    @property
    def knows_authors(self) -> bool:
        """Whether authors are being fetched, or could be."""
        return self._authors > 0

    @property
    def calls_each(self) -> float:
        """How many requests a subreddit needs."""
        return len(parts.ALL) + self._mean_calls

    def begin(self, name: str) -> None:
        """Note the beginning of a turn of this subreddit."""
        self._starting[name] = self._clock()

    def known(self, name: str, authors: int) -> None:
        """Note how many of its authors are to be fetched; only the first report of a turn counts."""
        began = self._starting.pop(name, None)
        if began is not None:
            self._mean_calls += _WEIGHT * (_CALLS * authors - self._mean_calls)
            self._mean_seconds += _WEIGHT * (self._clock() - began - self._mean_seconds)

    def add(self, authors: int) -> None:
        """Add authors who are to be fetched."""
        self._authors += authors

    def done(self) -> None:
        """Subtract an author who is fetched, or has failed."""
        self._authors -= 1
