"""The questions that the scraper sends to Reddit, about a subreddit or a user, and their addresses."""

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple

Params = Mapping[str, str | int]

#: raw_json: without it Reddit escapes &, < and > as HTML.
RAW: Final[Params] = {"raw_json": 1}


class Kind(enum.StrEnum):
    """The kinds of questions; the first five are about a subreddit, the others about a user."""

    ABOUT = "about"
    RULES = "rules"
    HOT = "hot"
    WEEK = "week"
    YEAR = "year"
    USER = "user"
    SUBMITTED = "submitted"


_CALLS: dict[Kind, tuple[str, Params]] = {
    Kind.ABOUT: ("about", RAW),
    Kind.RULES: ("about/rules", RAW),
    Kind.HOT: ("hot", {"limit": 30, **RAW}),
    Kind.WEEK: ("top", {"t": "week", "limit": 10, **RAW}),
    Kind.YEAR: ("top", {"t": "year", "limit": 100, **RAW}),
    Kind.USER: ("about", RAW),
    Kind.SUBMITTED: ("submitted", {"limit": 30, **RAW}),
}

LISTINGS: Final = frozenset({Kind.HOT, Kind.WEEK, Kind.YEAR, Kind.SUBMITTED})
_OF_USERS: Final = frozenset({Kind.USER, Kind.SUBMITTED})


class Question(NamedTuple):
    """One question; an answer is a fact only when it is about the same name and of the requested kind."""

    kind: Kind
    name: str

    @property
    def of_user(self) -> bool:
        """Whether it is about a user, not a subreddit."""
        return self.kind in _OF_USERS

    @property
    def path(self) -> str:
        """Return the path, not percent-encoded."""
        return f"/{'user' if self.of_user else 'r'}/{self.name}/{_CALLS[self.kind][0]}"

    @property
    def params(self) -> Params:
        """Return the query."""
        return _CALLS[self.kind][1]


def about(path: str) -> Question | None:
    """Return the question for the path of a subreddit's or a user's facts; None for any other path."""
    match path.split("/"):
        case ["", "r", name, "about"]:
            return Question(Kind.ABOUT, name)
        case ["", "user", name, "about"]:
            return Question(Kind.USER, name)
    return None


def same_name(one: object, other: object) -> bool:
    """Compare names as Reddit and the databases do: only the case of ASCII letters is ignored."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())
