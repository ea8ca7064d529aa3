"""The remaining work of a subreddit, and the lease of the process that does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson


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
    doubts: str | None = None  #: refusals that await confirmation (scraper.crawl.doubts)
