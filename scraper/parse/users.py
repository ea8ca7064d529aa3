"""A user's facts, from `/user/NAME/about`."""

from datetime import datetime

from scraper.parse.fields import Field, own_id, read, text
from scraper.reddit.payload import Object, answer_without, unwrap
from scraper.reddit.rows import User, UserState

_FIELDS: tuple[Field, ...] = (
    ("created_utc", datetime),
    ("link_karma", int),
    ("comment_karma", int),
    ("total_karma", int),
    ("awardee_karma", int),
    ("awarder_karma", int),
    ("is_employee", bool),
    ("is_mod", bool),
    ("is_gold", bool),
    ("verified", bool),
    ("has_verified_email", bool),
)
_OF_PROFILE: tuple[Field, ...] = (("over_18", bool), ("public_description", str))


def user(payload: object, fetched_at: datetime) -> User:
    """Parse the facts; a suspended user has few. Raises BadAnswer when the answer is not a user with a name."""
    data = unwrap(payload, "t2")
    name = text(data, "name") if data is not None else None
    if data is None or name is None:
        raise answer_without("user", payload)
    state = UserState.SUSPENDED if data.get("is_suspended") is True else UserState.ACTIVE
    over_18, public_description = _profile(data)
    return User._make(
        (
            name,
            state.value,
            fetched_at,
            own_id(data, "t2_"),
            *read(data, _FIELDS),
            over_18,
            text(data, "icon_img") or text(data, "snoovatar_img"),
            public_description,
            None,  # not redirected
        )
    )


def _profile(data: Object) -> tuple[bool | None, str | None]:
    """Return the profile's values; without a profile, `over_18` beside it is the user's own setting."""
    profile = data.get("subreddit")
    over_18: bool | None
    description: str | None
    over_18, description = read(profile if type(profile) is dict else {}, _OF_PROFILE)
    if over_18 is None:
        (over_18,) = read(data, _OF_PROFILE[:1])
    return over_18, description
