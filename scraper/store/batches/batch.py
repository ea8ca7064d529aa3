"""A batch of rows that one transaction stores completely or not at all, and the leased work that it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson

from scraper.reddit.rows import AuthorFigures, Post, PostFigures, Rule, Subreddit, User


@dataclass(frozen=True, slots=True)
class RemainingWork:
    """The parts and authors that are still to fetch; stored in the frontier, so that nothing saved is fetched again."""

    parts: tuple[str, ...]  #: of about, rules, hot, week, year
    authors: tuple[str, ...] | None = None  #: None: not known yet (hot has not arrived)
    tries: Mapping[str, int] = field(default_factory=dict)  #: turns in which a part or an author failed

    def dump(self) -> str:
        """Return it as the text that the frontier stores."""
        value = {"parts": self.parts, "authors": self.authors}
        return orjson.dumps(value | ({"tries": self.tries} if self.tries else {})).decode()

    @classmethod
    def load(cls, text: str | None) -> "RemainingWork | None":
        """Parse the output of `dump`; None for any other text: then everything is fetched."""
        try:
            value = orjson.loads(text) if text else None
        except orjson.JSONDecodeError:
            return None
        if not isinstance(value, dict) or not isinstance(value.get("parts"), list):
            return None
        authors = value.get("authors")
        return cls(
            tuple(str(part) for part in value["parts"]),
            tuple(str(author) for author in authors) if isinstance(authors, list) else None,
            _counts(value.get("tries")),
        )


def _counts(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {key: count for key, count in value.items() if isinstance(count, int) and not isinstance(count, bool)}


@dataclass(frozen=True, slots=True)
class Lease:
    """A subreddit that only this process works on, until the lease expires."""

    name: str  #: the name to request, in the spelling known so far
    depth: int
    attempts: int
    review: str | None  #: a person's entry, trimmed and in lower case; None if there is none
    todo: RemainingWork | None  #: None: everything
    leased_until: datetime
    tries: Mapping[str, int] = field(default_factory=dict)  #: failures recorded by earlier turns
    doubts: str | None = None  #: refusals that await confirmation (scraper.crawl.pending_refusals)


class Found(NamedTuple):
    """A discovered subreddit; of several depths the smallest counts."""

    name: str
    depth: int
    found_in: str | None = None


class Progress(NamedTuple):
    """The remaining work of a leased subreddit after this batch."""

    name: str
    todo: RemainingWork | None


class SaveOutcome(NamedTuple):
    """How a lease ended: finished (due again after the refresh time, or at `due_at`), or to be retried at `due_at`.

    `depth`: the lease's depth; a subreddit found at a smaller depth meanwhile becomes due once more when it is
    finished.
    `pending`: finished, except for the work in its todo, which is retried at `due_at`.
    `doubts`: refusals that await confirmation, as text (scraper.crawl.pending_refusals).
    `avoid_until`: until then only other processes may lease it, if there are any.
    """

    name: str
    state: str | None
    finished: bool
    due_at: datetime | None = None
    error: str | None = None
    depth: int = 0
    pending: bool = False
    doubts: str | None = None
    avoid_until: datetime | None = None


class ProxyDelta(NamedTuple):
    """The traffic of a proxy since the last report; counts add up over processes and machines."""

    name: str
    address: str | None = None  #: without its password
    state: str | None = None
    success_count: int = 0
    error_count: int = 0
    latency_sum: float = 0.0  #: seconds, summed over the answers that `latency_count` counts
    latency_count: int = 0
    consecutive_failures: int = 0
    last_error: str | None = None  #: None: no error since the last report
    last_error_at: datetime | None = None
    resting_until: datetime | None = None


@dataclass(slots=True)
class Batch:
    """Everything that one transaction applies, in the order of the fields."""

    subreddits: list[Subreddit] = field(default_factory=list)
    missing: list[tuple[str, datetime]] = field(default_factory=list)
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    post_figures: dict[str, PostFigures] = field(default_factory=dict)
    author_figures: dict[str, AuthorFigures] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    outcomes: list[SaveOutcome] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)
    released_users: list[str] = field(default_factory=list)
    proxy: ProxyDelta | None = None

    def __len__(self) -> int:
        """Count the rows: roughly the cost of the transaction."""
        rows = len(self.subreddits) + len(self.missing) + len(self.posts) + len(self.users) + len(self.found)
        rows += len(self.rules) + sum(len(rules) for rules in self.rules.values())
        rows += len(self.post_figures) + len(self.author_figures) + len(self.progress) + len(self.outcomes)
        return rows + len(self.given_back) + len(self.released_users) + (self.proxy is not None)
