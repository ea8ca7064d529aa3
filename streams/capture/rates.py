"""Rates of new items: of a group, from its polls, and of each subreddit, from creation times. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streams.capture.walk import page_foot
from streams.reddit.listing_page import Page

#: This multiple of the usual rate is a burst, not chance.
_BURST = 1.5

#: The estimate of a subreddit averages over about this time, seconds.
MEMORY_S = 900.0

#: Older items do not matter, seconds.
_LONGEST_S = 3 * MEMORY_S

#: An estimate from less observed time than this would be chance, seconds.
_SHORTEST_S = 60.0


#: A page of fewer items shows no rate.
_FEWEST_DATED = 10


@dataclass(frozen=True, slots=True)
class PollRate:
    """The observed rate of a stream, items a second."""

    rate: float = 1.0  # a first guess: the next poll is soon

    def observe(self, new_items: int, seconds: float) -> "PollRate":
        """Record a poll: a burst counts at once, its end slowly; random variation is averaged."""
        if seconds <= 0:
            return self
        now = new_items / seconds
        return PollRate(now if now > _BURST * self.rate else 0.7 * self.rate + 0.3 * now)

    def at_least(self, rate: float) -> "PollRate":
        """Return the higher one of this rate and another guess."""
        return PollRate(max(self.rate, rate))


def page_rate(page: Page, now: float) -> float:
    """Return the items per second that the dates of a newest page show, 0 if they show none; `now`: Reddit's clock."""
    foot = page_foot(page)
    if foot is None or len(page.items) < _FEWEST_DATED:
        return 0.0
    return len(page.items) / max(1.0, now - foot)


class NameRates:
    """Items per second of each subreddit, by its name in lower case.

    An exponentially weighted count: an item of age `a` seconds weighs exp(-a / MEMORY_S) / MEMORY_S. It costs a few
    operations per new item, and nothing per configured name.

    Args:
        since: created_utc from which on items are observed.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        #: per subreddit: its weighted count, and the time to which it refers
        self._counts: dict[str, tuple[float, float]] = {}

    def observe(self, items: Iterable[tuple[str, float | None]], now: float) -> None:
        """Record new items, each as subreddit and created_utc (None: now); `now`: Reddit's clock, epoch seconds."""
        for subreddit, created in items:
            age = 0.0 if created is None else max(0.0, now - created)
            self._add(subreddit.lower(), 1, age, now)

    def restore(self, met: Iterable[tuple[str, int, int]], now: float) -> None:
        """Add items that were met before the start: subreddit, minutes ago, number."""
        for name, minutes, number in met:
            self._add(name, number, minutes * 60.0, now)

    def _add(self, name: str, number: int, age: float, now: float) -> None:
        self._since = min(self._since, now - min(age, _LONGEST_S))
        self._counts[name] = (self._count(name, now) + number * math.exp(-age / MEMORY_S) / MEMORY_S, now)

    def _count(self, name: str, now: float) -> float:
        count, at = self._counts.get(name, (0.0, now))
        return count * math.exp(-max(0.0, now - at) / MEMORY_S)

    def rate(self, name: str, now: float) -> float:
        """Return the items per second of one subreddit."""
        observed = max(_SHORTEST_S, now - self._since)
        return self._count(name.lower(), now) / (1.0 - math.exp(-observed / MEMORY_S))

    def rates(self, names: Iterable[str], now: float) -> Mapping[str, float]:
        """Return the items per second of each of these, by the given spelling."""
        return {name: self.rate(name, now) for name in names}
