"""Parses posts from a listing of a subreddit or a user, and the authors and subreddits in them."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import astuple

from scraper.parse.fields import Field, moment, own_id, read, text
from scraper.reddit.payload import Object, TypedListing, TypedPost, answer_without, unwrap
from scraper.reddit.rows import Post

_FIELDS: tuple[Field, ...] = (
    ("selftext", str),
    ("url", str),
    ("permalink", str),
    ("domain", str),
    ("created_utc", datetime),
    ("edited", datetime),  # false if never edited, true if edited before Reddit kept the time
    ("score", int),
    ("upvote_ratio", float),
    ("num_comments", int),
    ("num_crossposts", int),
    ("is_self", bool),
    ("is_video", bool),
    ("over_18", bool),
    ("spoiler", bool),
    ("stickied", bool),
    ("locked", bool),
    ("archived", bool),
    ("distinguished", str),
    ("link_flair_text", str),
    ("author_flair_text", str),
    ("post_hint", str),
    ("total_awards_received", int),
)

_PREFIX = "t3_"

#: The same as `Post._make`, without its check of the length: that of typed posts is known (a test compares).
_new = tuple.__new__

_DELETED_AUTHOR = "[deleted]"
_AUTOMODERATOR = "automoderator"
# Valid in an address: a dot and a colon for r/reddit.com and t:countries; nothing that leaves the path.
_ASKABLE = re.compile(r"[\w-][\w.:-]*", re.ASCII)


class Posts(NamedTuple):
    """The posts of a listing in its order, and the number of children that are not posts."""

    rows: list[Post]
    odd: int


def posts(payload: object, fetched_at: datetime) -> Posts:
    """Parse a listing. Raises BadAnswer when the answer is not a listing."""
    if type(payload) is TypedListing:
        typed = payload.posts
        rows = [row for post in typed if (row := _typed_post(post, fetched_at)) is not None]
        return Posts(rows, len(typed) - len(rows))
    data = unwrap(payload, "Listing")
    children = data.get("children") if data is not None else None
    if type(children) is not list:
        raise answer_without("listing", payload)
    rows = [row for child in children if (row := _post(unwrap(child, "t3"), fetched_at)) is not None]
    return Posts(rows, len(children) - len(rows))


def _post(data: Object | None, fetched_at: datetime) -> Post | None:
    """Parse a post; None when it has no id, subreddit or title to store it under."""
    if data is None:
        return None
    post_id, subreddit, title = own_id(data, _PREFIX), text(data, "subreddit"), data.get("title")
    if post_id is None or subreddit is None or type(title) is not str:
        return None
    author = text(data, "author")
    return Post._make(
        (post_id, subreddit, None if author == _DELETED_AUTHOR else author, title, fetched_at, *read(data, _FIELDS))
    )


def _typed_post(post: TypedPost, fetched_at: datetime) -> Post | None:
    """Parse a post whose fields have the right types; same result as `_post`."""
    post_id, name, subreddit, author, title, selftext, url, permalink, domain, created, edited, *others = astuple(post)
    if not post_id:
        post_id = name.removeprefix(_PREFIX) if name and name.startswith(_PREFIX) else None
    if not post_id or not subreddit or title is None:
        return None
    return _new(
        Post,
        (
            post_id,
            subreddit,
            None if not author or author == _DELETED_AUTHOR else author,
            title,
            fetched_at,
            selftext,
            url,
            permalink,
            domain,
            None if created is None else moment(created),
            None if edited is False or edited is None else moment(edited),
            *others,
        ),
    )


def authors(rows: Iterable[Post], limit: int) -> tuple[str, ...]:
    """Return the first `limit` authors of the posts, in their order and each once."""
    return distinct((row.author_username for row in rows), _is_person, limit)


def found_subreddits(rows: Iterable[Post]) -> tuple[str, ...]:
    """Return the subreddits of the posts, each once; profiles of users are skipped."""
    return distinct((row.subreddit_name for row in rows), _is_no_profile)


def _is_person(key: str) -> bool:
    return key != _AUTOMODERATOR


def _is_no_profile(key: str) -> bool:
    return not key.startswith("u_")


def distinct(
    names: Iterable[str | None], wanted: Callable[[str], bool] = _is_no_profile, limit: int | None = None
) -> tuple[str, ...]:
    """Keep the names that can be requested, in their first spelling: Reddit ignores case."""
    kept: dict[str, str] = {}
    for name in names:
        if limit is not None and len(kept) >= limit:
            break
        if name is None or not _ASKABLE.fullmatch(name):
            continue
        key = name.lower()
        if key not in kept and wanted(key):
            kept[key] = name
    return tuple(kept.values())
