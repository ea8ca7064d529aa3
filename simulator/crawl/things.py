"""Posts, subreddits and users: their states, and their data before rendering."""

from enum import StrEnum
from typing import NamedTuple

from simulator.crawl.made_up_names import base36

#: the fixed time of this world: 2025-10-09 08:53:20 UTC
EPOCH = 1_760_000_000
DAY = 86_400
_USER_IDS = 36**5


class State(StrEnum):
    """The state of a subreddit."""

    PUBLIC = "public"
    PRIVATE = "private"
    BANNED = "banned"
    QUARANTINED = "quarantined"
    MISSING = "missing"


class UserState(StrEnum):
    """The state of a user."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    #: deleted or shadow-banned: the two cannot be distinguished from outside
    MISSING = "missing"


class Post(NamedTuple):
    """One post; `author` is None when the account is deleted."""

    bare: str
    subreddit: str
    author: str | None
    author_number: int
    created: int
    score: int
    stickied: bool
    template: int


class Subreddit(NamedTuple):
    """One subreddit with all its posts; the listings contain places among them."""

    number: int
    name: str
    created: int
    subscribers: int
    posts: tuple[Post, ...]
    hot: tuple[int, ...]
    rules: int

    def top(self, days: float) -> list[Post]:
        """Return the posts of this many days, best first."""
        since = EPOCH - days * DAY
        return sorted((post for post in self.posts if post.created >= since), key=lambda post: -post.score)


class User(NamedTuple):
    """One user."""

    number: int
    name: str
    created: int
    link_karma: int
    comment_karma: int


def user_id(number: int) -> str:
    """Return a user's id, without its prefix."""
    return base36(_USER_IDS + number)
