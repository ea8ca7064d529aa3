"""A subreddit's facts, from `/r/NAME/about`, and its rules, from `/r/NAME/about/rules`."""

from datetime import datetime

from scraper.parse.fields import Field, own_id, read, text
from scraper.reddit.payload import Object, answer_without, unwrap
from scraper.reddit.rows import Rule, Subreddit, SubredditState

_BEFORE: tuple[Field, ...] = (
    ("title", str),
    ("public_description", str),
    ("description", str),
    ("subscribers", int),
)
_BETWEEN: tuple[Field, ...] = (
    ("created_utc", datetime),
    ("over18", bool),
    ("quarantine", bool),
    ("subreddit_type", str),
    ("submission_type", str),
    ("lang", str),
    ("url", str),
)
_AFTER: tuple[Field, ...] = (
    ("submit_text", str),
    ("allow_images", bool),
    ("allow_videos", bool),
    ("allow_polls", bool),
    ("spoilers_enabled", bool),
    ("wiki_enabled", bool),
    ("restrict_posting", bool),
)


def subreddit(payload: object, fetched_at: datetime) -> Subreddit:
    """Parse the facts. Raises BadAnswer when the answer is not a subreddit with a name."""
    data = unwrap(payload, "t5")
    name = text(data, "display_name") if data is not None else None
    if data is None or name is None:
        raise answer_without("subreddit", payload)
    return Subreddit._make(
        (
            name,
            SubredditState.OPEN.value,
            fetched_at,
            own_id(data, "t5_"),
            *read(data, _BEFORE),
            _active_users(data),
            *read(data, _BETWEEN),
            # the redesign's pictures where they are set, else the old ones
            text(data, "community_icon") or text(data, "icon_img"),
            text(data, "banner_background_image") or text(data, "banner_img"),
            *read(data, _AFTER),
            None,  # not redirected
        )
    )


def _active_users(data: Object) -> int | None:
    """Return the number of users here now: Reddit gives it under two names, and at times under one only."""
    now: int | None
    old: int | None
    now, old = read(data, (("active_user_count", int), ("accounts_active", int)))
    return old if now is None else now


_RULE: tuple[Field, ...] = (
    ("short_name", str),
    ("description", str),
    ("violation_reason", str),
    ("kind", str),
    ("priority", int),
    ("created_utc", datetime),
)


def rules(payload: object, name: str, fetched_at: datetime) -> list[Rule]:
    """Parse the rules in their order. Raises BadAnswer when the answer contains no list of rules.

    An invalid rule keeps its place, as an empty row: the places of the others are their keys.
    """
    found = payload.get("rules") if type(payload) is dict else None
    if type(found) is not list:
        raise answer_without("list of rules", payload)
    return [
        Rule._make((name, position, fetched_at, *read(rule if type(rule) is dict else {}, _RULE)))
        for position, rule in enumerate(found)
    ]
