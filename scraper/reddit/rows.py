"""The rows that parsing produces and the database stores: plain tuples, in the order of their columns.

Each is one row of the table of its name. Fields that Reddit did not give are None. Times are in UTC; `fetched_at` is
when the answer arrived, and decides which of two versions of a row is newer.
"""

import enum
from datetime import datetime
from typing import NamedTuple


class SubredditState(enum.StrEnum):
    """The result of the request for a subreddit's facts."""

    OPEN = "open"  #: the facts were given; `subreddit_type` tells public from restricted
    PRIVATE = "private"
    BANNED = "banned"
    QUARANTINED = "quarantined"
    MISSING = "missing"  #: no subreddit has this name
    FORBIDDEN = "forbidden"  #: refused with another reason, or repeatedly without one
    MOVED = "moved"  #: every request is redirected to another name
    GATED = "gated"  #: Reddit first requires an age, a login or a consent


class UserState(enum.StrEnum):
    """The result of the request for a user's facts."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    MISSING = "missing"  #: deleted or shadow-banned: the two cannot be distinguished from outside
    FORBIDDEN = "forbidden"  #: refused repeatedly; this does not say that the account is deleted
    MOVED = "moved"
    GATED = "gated"


class Subreddit(NamedTuple):
    """Facts of a subreddit, from `/r/NAME/about`; of an unreadable one only the first fields are known."""

    name: str  #: in Reddit's spelling (`display_name`); unique without regard to case
    state: str  #: a SubredditState
    fetched_at: datetime
    reddit_id: str | None = None  #: without the prefix t5_
    title: str | None = None
    public_description: str | None = None
    description: str | None = None
    subscribers: int | None = None
    active_users: int | None = None
    created_utc: datetime | None = None
    over18: bool | None = None
    quarantine: bool | None = None
    subreddit_type: str | None = None
    submission_type: str | None = None
    lang: str | None = None
    url: str | None = None
    icon_url: str | None = None
    banner_url: str | None = None
    submit_text: str | None = None
    allow_images: bool | None = None
    allow_videos: bool | None = None
    allow_polls: bool | None = None
    spoilers_enabled: bool | None = None
    wiki_enabled: bool | None = None
    restrict_posting: bool | None = None
    moved_to: str | None = None  #: the name that requests are redirected to, or the gate


class Rule(NamedTuple):
    """One rule of a subreddit, from `/r/NAME/about/rules`; its place in the answer is its key."""

    subreddit_name: str
    position: int  #: 0, 1, 2 … in the order of the answer
    fetched_at: datetime
    short_name: str | None = None
    description: str | None = None
    violation_reason: str | None = None
    kind: str | None = None  #: link, comment or all
    priority: int | None = None
    created_utc: datetime | None = None


class Post(NamedTuple):
    """One submission, from a listing of a subreddit or of a user."""

    reddit_id: str  #: without the prefix t3_
    subreddit_name: str
    author_username: str | None  #: None when Reddit gives none, or [deleted]
    title: str
    fetched_at: datetime
    selftext: str | None = None
    url: str | None = None
    permalink: str | None = None
    domain: str | None = None
    created_utc: datetime | None = None
    edited_utc: datetime | None = None
    score: int | None = None
    upvote_ratio: float | None = None
    num_comments: int | None = None
    num_crossposts: int | None = None
    is_self: bool | None = None
    is_video: bool | None = None
    over_18: bool | None = None
    spoiler: bool | None = None
    stickied: bool | None = None
    locked: bool | None = None
    archived: bool | None = None
    distinguished: str | None = None
    link_flair_text: str | None = None
    author_flair_text: str | None = None
    post_hint: str | None = None
    total_awards_received: int | None = None


class User(NamedTuple):
    """Facts of a user, from `/user/NAME/about`."""

    username: str  #: in Reddit's spelling; unique without regard to case
    state: str  #: a UserState
    fetched_at: datetime
    reddit_id: str | None = None  #: without the prefix t2_
    created_utc: datetime | None = None
    link_karma: int | None = None
    comment_karma: int | None = None
    total_karma: int | None = None
    awardee_karma: int | None = None
    awarder_karma: int | None = None
    is_employee: bool | None = None
    is_mod: bool | None = None
    is_gold: bool | None = None
    verified: bool | None = None
    has_verified_email: bool | None = None
    over_18: bool | None = None
    icon_url: str | None = None
    public_description: str | None = None  #: of the user's profile
    moved_to: str | None = None  #: the name that requests are redirected to, or the gate


class PostFigures(NamedTuple):
    """Figures from a subreddit's hot posts; the formulas are in scraper.parse.figures."""

    score_mean: float | None = None
    score_median: float | None = None
    comments_per_upvote: float | None = None
    posts_per_day: float | None = None


class AuthorFigures(NamedTuple):
    """What a newcomer needs: the 10th percentiles of a subreddit's authors (see scraper.parse.figures)."""

    account_age_days_p10: float | None = None
    comment_karma_p10: float | None = None
    post_karma_p10: float | None = None
