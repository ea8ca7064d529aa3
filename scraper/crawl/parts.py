"""The five calls for a subreddit: sent at once; each arrives or fails independently."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from core.errors import TransientError
from core.reddit.request_errors import Unavailable
from scraper.crawl.answer_rate import AnswerRate
from scraper.parse.posts import posts
from scraper.parse.subreddits import rules, subreddit
from scraper.reddit.question import Kind, Question
from scraper.reddit.refusal import Unexplained, unexplained
from scraper.reddit.rows import Post, Rule, Subreddit, SubredditState

ABOUT: Final = "about"
RULES: Final = "rules"
HOT: Final = "hot"
WEEK: Final = "week"
YEAR: Final = "year"

#: In the order in which they are sent.
ALL: Final = (ABOUT, HOT, RULES, WEEK, YEAR)


class FetchFunction(Protocol):
    """The part of scraper.http.retrying_fetcher.RetryingFetcher that the crawl needs."""

    @property
    def mixes_up(self) -> bool:
        """Whether the proxy recently returned the answer to another question."""

    async def ask(self, question: Question) -> object:
        """Return the decoded answer, which is about this name; raises Unavailable and TransientErrors."""


@dataclass(slots=True)
class Fetched:
    """The results of the calls, by part; a part whose refusal is a fact has arrived, and is empty."""

    subreddit: Subreddit | None = None
    rules: list[Rule] | None = None
    listings: dict[str, list[Post]] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)  #: the reason, by part
    unexplained: dict[str, Unexplained] = field(default_factory=dict)  #: unexplained refusals
    failures: dict[str, TransientError] = field(default_factory=dict)
    odd: int = 0  #: items in the listings that are not posts
    has_no_hot: bool = False  #: the hot listing arrived, and is empty
    rules_compared: bool = False  #: two answers agreed on the rules, because the proxy mixes answers up

    @property
    def posts(self) -> list[Post]:
        """All posts of all listings; a post in several listings comes several times."""
        return [post for listing in self.listings.values() for post in listing]

    @property
    def missing_parts(self) -> tuple[str, ...]:
        """The parts that are still to fetch."""
        return tuple(part for part in ALL if part in self.failures or part in self.unexplained)

    @property
    def names_it(self) -> bool:
        """Whether an answer names the subreddit: its facts, or posts in it."""
        return self.subreddit is not None or any(self.listings.values())


async def fetch_parts(
    client: FetchFunction, name: str, parts: Iterable[str], now: Callable[[], datetime], answer_rate: AnswerRate
) -> Fetched:
    """Fetch these parts of a subreddit at once; raise errors that are neither refusals nor transient."""
    arrived = Fetched()

    async def fetch(part: str) -> None:
        question = Question(Kind(part), name)
        try:
            _sort_in(arrived, part, name, await client.ask(question), now())
        except Unavailable as refusal:
            arrived.refusals[part] = refusal.reason
        except TransientError as failure:
            refused = unexplained(failure)
            if refused is not None:
                arrived.unexplained[part] = refused
            else:
                arrived.failures[part] = failure
        else:
            if part == ABOUT or arrived.listings.get(part):
                answer_rate.good(question)

    wanted = set(parts)
    arrived.rules_compared = client.mixes_up
    await asyncio.gather(*(fetch(part) for part in ALL if part in wanted))
    if client.mixes_up and arrived.rules is not None and not arrived.rules_compared:
        # another part revealed it: the rules came before they could be compared
        arrived.rules, arrived.rules_compared = None, True
        await fetch(RULES)
    _doubt_emptiness(arrived)
    return arrived


def _doubt_emptiness(arrived: Fetched) -> None:
    """Count an empty hot listing as a refusal if there are subscribers: most often such an answer is a stray one.

    Accepted as true, it would clear the figures and leave out the authors.
    """
    if not arrived.has_no_hot or ABOUT in arrived.refusals:
        return
    if arrived.subreddit is None or arrived.subreddit.subscribers != 0:
        del arrived.listings[HOT]
        arrived.unexplained[HOT] = Unexplained(SubredditState.OPEN, "no hot posts", telling=True)


def _sort_in(arrived: Fetched, part: str, name: str, payload: object, at: datetime) -> None:
    if part == ABOUT:
        arrived.subreddit = subreddit(payload, at)
    elif part == RULES:
        arrived.rules = rules(payload, name, at)
    else:
        listing = posts(payload, at)
        arrived.listings[part] = listing.rows
        arrived.odd += listing.odd
        if part == HOT:
            arrived.has_no_hot = not listing.rows and not listing.odd
