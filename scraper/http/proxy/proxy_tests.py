"""Chooses the requests that test a proxy: paths served recently, here or through another proxy. Pure."""

import enum
import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence

from scraper.http.proxy.blame import item_of
from scraper.http.proxy.siblings import Sibling

#: Requested where the configuration contains no subreddit.
ANY_SUBREDDIT = "Bitcoin"

#: How many paths are remembered, and how many one test requests at most.
_REMEMBERED = 3
_MOST = 2

#: Before anything was served, any seed may be unreadable: this many are requested.
_MOST_SEEDS = 4


class ProxyTest(enum.Enum):
    """The result of a test of the proxy."""

    SERVED = "the proxy works"
    FAILED = "the proxy fails"
    UNKNOWN = "no request could be sent"


class Witnesses:
    """The paths that this proxy served recently."""

    def __init__(self, seeds: Iterable[str]) -> None:
        """`seeds`: subreddits to request before anything was served."""
        self._served: deque[str] = deque(maxlen=_REMEMBERED)
        self._seeds = deque(f"/r/{name}/about" for name in _spread(list(seeds)))

    @property
    def newest(self) -> str | None:
        """The newest path."""
        return self._served[-1] if self._served else None

    def served(self, path: str) -> None:
        """Remember a path; only paths with small answers are useful."""
        if path.endswith("/about") and path not in self._served:
            self._served.append(path)

    def choose(self, failing: Collection[str], siblings: Sequence[Sibling]) -> list[str]:
        """Return the paths to test with, best first, without names that currently fail.

        When nothing was served yet, here or elsewhere, return other seeds: if these fail too, nothing works.
        """
        working = sorted((one for one in siblings if one.works), key=lambda sibling: sibling.good_for)
        theirs = [one.witness for one in working if one.witness is not None]
        known = [path for path in (*theirs, *reversed(self._served)) if item_of(path) not in failing]
        if known:
            return list(dict.fromkeys(known))[:_MOST]
        chosen = [path for path in self._seeds if item_of(path) not in failing][:_MOST_SEEDS]
        self._seeds.rotate(-len(chosen))  # the next test requests others
        return chosen


def _spread(seeds: list[str]) -> list[str]:
    """Order the seeds so that neighbours, which may be closed for the same reason, are far apart."""
    step = max(1, round(len(seeds) * 0.382))
    while math.gcd(step, len(seeds)) > 1:
        step += 1
    return [seeds[number * step % len(seeds)] for number in range(1, len(seeds) + 1)]
