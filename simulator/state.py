"""The states of subreddits and users."""

from enum import StrEnum


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
