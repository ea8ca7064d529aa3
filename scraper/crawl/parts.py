"""The five calls that a subreddit takes: sent at once, each failing or arriving for itself."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from core.errors import TransientError
from core.reddit.errors import Unavailable
from scraper.parse.posts import posts
from scraper.parse.rules import rules
from scraper.parse.subreddit import subreddit
from scraper.rows import Post, Rule, Subreddit

ABOUT: Final = "about"
RULES: Final = "rules"
HOT: Final = "hot"
WEEK: Final = "week"
YEAR: Final = "year"

#: In the order in which they are sent.
ALL: Final = (ABOUT, HOT, RULES, WEEK, YEAR)

Params = Mapping[str, str | int]

#: raw_json: without it Reddit escapes &, < and > as HTML.
RAW: Params = {"raw_json": 1}

_CALLS: dict[str, tuple[str, Params]] = {
    ABOUT: ("about", RAW),
    RULES: ("about/rules", RAW),
    HOT: ("hot", {"limit": 30, **RAW}),
    WEEK: ("top", {"t": "week", "limit": 10, **RAW}),
    YEAR: ("top", {"t": "year", "limit": 100, **RAW}),
}


class Fetcher(Protocol):
    """What the crawl needs of scraper.fetch.client.Client."""

    async def get(self, path: str, params: Params) -> object:
        """Return the decoded answer; raises Unavailable and TransientErrors."""


@dataclass(slots=True)
class Arrived:
    """What came of the calls, by part; a part that was refused as a fact has arrived, with nothing in it."""

    subreddit: Subreddit | None = None
    rules: list[Rule] | None = None
    listings: dict[str, list[Post]] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)  #: the reason, by part
    failures: dict[str, TransientError] = field(default_factory=dict)
    odd: int = 0  #: things in the listings that are no posts

    @property
    def posts(self) -> list[Post]:
        """All posts of all listings; one that stands in several comes several times."""
        return [post for listing in self.listings.values() for post in listing]

    @property
    def missing_parts(self) -> tuple[str, ...]:
        """The parts that are still to fetch."""
        return tuple(part for part in ALL if part in self.failures)


async def fetch_parts(client: Fetcher, name: str, parts: Iterable[str], now: Callable[[], datetime]) -> Arrived:
    """Fetch these parts of a subreddit at once. What is neither a refusal nor a passing failure is raised."""
    arrived = Arrived()

    async def fetch(part: str) -> None:
        call, params = _CALLS[part]
        try:
            _sort_in(arrived, part, name, await client.get(f"/r/{name}/{call}", params), now())
        except Unavailable as refusal:
            arrived.refusals[part] = refusal.reason
        except TransientError as failure:
            arrived.failures[part] = failure

    wanted = set(parts)
    await asyncio.gather(*(fetch(part) for part in ALL if part in wanted))
    return arrived


def _sort_in(arrived: Arrived, part: str, name: str, payload: object, at: datetime) -> None:
    if part == ABOUT:
        arrived.subreddit = subreddit(payload, at)
    elif part == RULES:
        arrived.rules = rules(payload, name, at)
    else:
        listing = posts(payload, at)
        arrived.listings[part] = listing.rows
        arrived.odd += listing.odd
