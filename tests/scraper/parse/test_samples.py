"""Every real answer through parsing: each value is that of the field it comes from, or None where there was none."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from scraper.parse.posts import posts
from scraper.parse.subreddits import subreddit
from scraper.parse.users import user
from scraper.reddit.rows import Post, Subreddit, User
from tests.scraper.samples import listing, samples

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
Data = dict[str, Any]


def moment(key: str) -> Callable[[Data], datetime | None]:
    def read(data: Data) -> datetime | None:
        value = data.get(key)
        return datetime.fromtimestamp(value, UTC) if value and value is not True else None

    return read


def first(*keys: str) -> Callable[[Data], Any]:
    return lambda data: next((data[key] for key in keys if data.get(key)), None)


def of_profile(key: str) -> Callable[[Data], Any]:
    return lambda data: (data.get("subreddit") or {}).get(key)


#: Columns that are not simply the field of their name.
SUBREDDIT: dict[str, Callable[[Data], Any]] = {
    "name": lambda data: data["display_name"],
    "state": lambda _: "open",
    "fetched_at": lambda _: NOW,
    "reddit_id": lambda data: data["name"].removeprefix("t5_"),
    "active_users": lambda data: next(
        (data[key] for key in ("active_user_count", "accounts_active") if data.get(key) is not None), None
    ),
    "created_utc": moment("created_utc"),
    "icon_url": first("community_icon", "icon_img"),
    "banner_url": first("banner_background_image", "banner_img"),
}
POST: dict[str, Callable[[Data], Any]] = {
    "reddit_id": lambda data: data["name"].removeprefix("t3_"),
    "subreddit_name": lambda data: data["subreddit"],
    "author_username": lambda data: None if data["author"] == "[deleted]" else data["author"],
    "fetched_at": lambda _: NOW,
    "created_utc": moment("created_utc"),
    "edited_utc": moment("edited"),
}
USER: dict[str, Callable[[Data], Any]] = {
    "username": lambda data: data["name"],
    "state": lambda _: "active",
    "fetched_at": lambda _: NOW,
    "reddit_id": lambda data: data["id"],
    "created_utc": moment("created_utc"),
    "icon_url": first("icon_img", "snoovatar_img"),
    "public_description": of_profile("public_description"),
    "over_18": lambda data: (data.get("subreddit") or data).get("over_18", data.get("over_18")),
}


def expected(data: Data, fields: tuple[str, ...], special: dict[str, Callable[[Data], Any]]) -> Data:
    return {field: special[field](data) if field in special else data.get(field) for field in fields}


@pytest.mark.parametrize("wrapped", [True, False])
def test_every_subreddit(*, wrapped: bool) -> None:
    for data in samples("t5"):
        row = subreddit({"kind": "t5", "data": data} if wrapped else data, NOW)
        assert row._asdict() == expected(data, Subreddit._fields, SUBREDDIT)


@pytest.mark.parametrize("wrapped", [True, False])
def test_every_user(*, wrapped: bool) -> None:
    for data in samples("t2"):
        row = user({"kind": "t2", "data": data} if wrapped else data, NOW)
        assert row._asdict() == expected(data, User._fields, USER)


def test_every_post() -> None:
    originals = samples("t3")
    for start in range(0, len(originals), 100):
        page = originals[start : start + 100]
        found = posts(listing(page), NOW)
        assert found.odd == 0
        assert [row._asdict() for row in found.rows] == [expected(data, Post._fields, POST) for data in page]


def test_posts_without_their_wrapping() -> None:
    page = samples("t3")[:100]
    assert posts({"data": {"children": page}}, NOW) == posts(listing(page), NOW)


def test_the_samples_give_every_column_at_least_once() -> None:
    """Otherwise a column could read a field that Reddit never had. Where a name has moved to stands in no answer."""
    tables: list[tuple[tuple[str, ...], list[Any]]] = [
        (Subreddit._fields, [subreddit(data, NOW) for data in samples("t5")]),
        (Post._fields, posts(listing(samples("t3")), NOW).rows),
        (User._fields, [user(data, NOW) for data in samples("t2")]),
    ]
    for fields, rows in tables:
        given = {field for row in rows for field, value in row._asdict().items() if value is not None}
        assert given == set(fields) - {"moved_to"}
