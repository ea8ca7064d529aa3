"""The states of subreddits and users."""

from enum import StrEnum


class State(StrEnum):
    """What became of a subreddit."""

    PUBLIC = "public"
    PRIVATE = "private"
    BANNED = "banned"
    QUARANTINED = "quarantined"
    MISSING = "missing"


class UserState(StrEnum):
    """What became of a user."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    #: deleted or shadow-banned: from outside the two look the same
    MISSING = "missing"
