"""Expected column values for Reddit's JSON: written from the description of the rows, not from the product's code."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Data = Mapping[str, Any]
Values = dict[str, Any]

_SUBREDDIT_TEXTS = (
    "title", "public_description", "description", "subreddit_type", "submission_type", "lang", "url", "submit_text",
)  # fmt: skip
_SUBREDDIT_FLAGS = (
    "over18", "quarantine", "allow_images", "allow_videos", "allow_polls", "spoilers_enabled", "wiki_enabled",
    "restrict_posting",
)  # fmt: skip
_POST_TEXTS = (
    "title", "selftext", "url", "permalink", "domain", "distinguished", "link_flair_text", "author_flair_text",
    "post_hint",
)  # fmt: skip
_POST_NUMBERS = ("score", "upvote_ratio", "num_comments", "num_crossposts", "total_awards_received")
_POST_FLAGS = ("is_self", "is_video", "over_18", "spoiler", "stickied", "locked", "archived")
_USER_NUMBERS = ("link_karma", "comment_karma", "total_karma", "awardee_karma", "awarder_karma")
_USER_FLAGS = ("is_employee", "is_mod", "is_gold", "verified", "has_verified_email")


def subreddit(data: Data) -> Values:
    """Return a row of reddit_subreddits, without the columns of people and figures."""
    active = data.get("active_user_count")
    return {
        "name": data["display_name"],
        "state": "open",
        "moved_to": None,
        "reddit_id": data["name"].removeprefix("t5_"),
        "subscribers": data.get("subscribers"),
        "active_users": data.get("accounts_active") if active is None else active,
        "created_utc": moment(data.get("created_utc")),
        "icon_url": data.get("community_icon") or data.get("icon_img") or None,
        "banner_url": data.get("banner_background_image") or data.get("banner_img") or None,
    } | {name: data.get(name) for name in (*_SUBREDDIT_TEXTS, *_SUBREDDIT_FLAGS)}


def rule(data: Data, subreddit_name: str, position: int) -> Values:
    """Return a row of reddit_rules."""
    same = ("short_name", "description", "violation_reason", "kind", "priority")
    return {
        "subreddit_name": subreddit_name,
        "position": position,
        "created_utc": moment(data.get("created_utc")),
    } | {name: data.get(name) for name in same}


def post(data: Data) -> Values:
    """Return a row of reddit_posts."""
    return {
        "reddit_id": data["id"],
        "subreddit_name": data["subreddit"],
        "author_username": None if data.get("author") in {None, "", "[deleted]"} else data["author"],
        "created_utc": moment(data.get("created_utc")),
        "edited_utc": moment(data.get("edited")),
    } | {name: data.get(name) for name in (*_POST_TEXTS, *_POST_NUMBERS, *_POST_FLAGS)}


def user(data: Data, state: str) -> Values:
    """Return a row of reddit_users."""
    profile = data.get("subreddit") or {}
    adult = profile.get("over_18")
    return {
        "username": data["name"],
        "state": state,
        "moved_to": None,
        "reddit_id": data.get("id"),
        "created_utc": moment(data.get("created_utc")),
        "over_18": data.get("over_18") if adult is None else adult,
        "icon_url": data.get("icon_img") or data.get("snoovatar_img") or None,
        "public_description": profile.get("public_description"),
    } | {name: data.get(name) for name in (*_USER_NUMBERS, *_USER_FLAGS)}


def moment(seconds: Any) -> datetime | None:
    """Convert seconds since 1970 to a time; `edited` is false, or true, if there is none."""
    if isinstance(seconds, bool) or seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def same(expected: Any, saved: Any) -> bool:
    """Return whether a database's value equals the expected one; SQLite has neither booleans nor times."""
    if expected is None or saved is None:
        return expected is saved
    return _EQUAL.get(type(expected), _plain)(expected, saved)


def _plain(expected: Any, saved: Any) -> bool:
    return type(saved) is type(expected) and bool(saved == expected)


def _flag(expected: bool, saved: Any) -> bool:
    return saved in {0, 1} and bool(saved) is expected


def _number(expected: float, saved: Any) -> bool:
    return isinstance(saved, int | float) and not isinstance(saved, bool) and saved == expected


def _time(expected: datetime, saved: Any) -> bool:
    return when(saved) == expected


def when(saved: Any) -> datetime | None:
    """Convert a database's time: PostgreSQL's is unchanged, SQLite's is text in UTC."""
    if isinstance(saved, str):
        saved = datetime.fromisoformat(saved)
    if not isinstance(saved, datetime):
        return None
    return saved if saved.tzinfo else saved.replace(tzinfo=UTC)


_EQUAL: dict[type, Callable[[Any, Any], bool]] = {bool: _flag, int: _number, float: _number, datetime: _time}
