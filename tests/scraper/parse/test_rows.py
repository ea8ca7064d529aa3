"""Rows from answers that are not as they should be: what is odd becomes None, what is no row is counted or said."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.reddit.request_errors import BadAnswer
from scraper.parse.posts import Posts, authors, found_subreddits, posts
from scraper.parse.subreddits import rules, subreddit
from scraper.parse.users import user
from scraper.reddit.rows import Post, Rule
from tests.scraper.samples import listing

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
THEN = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # 1700000000

NOT_EVEN_AN_OBJECT: list[Any] = [None, True, 0, 1.5, "", "<html>", [], [{}], {}, {"data": None}, {"data": []}]
ERROR = {"message": "Forbidden", "error": 403}


def post(**fields: Any) -> dict[str, Any]:
    return {"id": "p1", "subreddit": "Bitcoin", "title": "Hello", **fields}


def one(**fields: Any) -> Post:
    (row,) = posts(listing([post(**fields)]), NOW).rows
    return row


@pytest.mark.parametrize(
    "payload",
    [*NOT_EVEN_AN_OBJECT, ERROR, {"kind": "t2", "data": {"display_name": "x"}}, {"kind": "t5", "data": {"id": "x"}},
     {"kind": "t5", "data": {"display_name": ""}}, {"kind": "t5", "data": {"display_name": 3}}, listing([])],
)  # fmt: skip
def test_no_subreddit(payload: Any) -> None:
    with pytest.raises(BadAnswer, match="no subreddit in the answer but "):
        subreddit(payload, NOW)


@pytest.mark.parametrize(
    "payload",
    [*NOT_EVEN_AN_OBJECT, ERROR, {"kind": "t5", "data": {"name": "t5_x"}}, {"kind": "t2", "data": {"id": "x"}},
     {"kind": "t2", "data": {"name": None}}, listing([])],
)  # fmt: skip
def test_no_user(payload: Any) -> None:
    with pytest.raises(BadAnswer, match="no user in the answer but "):
        user(payload, NOW)


@pytest.mark.parametrize(
    "payload",
    [*NOT_EVEN_AN_OBJECT, ERROR, {"kind": "t5", "data": {"children": []}}, {"kind": "Listing", "data": {}},
     {"kind": "Listing", "data": {"children": {}}}, {"kind": "Listing", "data": {"children": None}}],
)  # fmt: skip
def test_no_listing(payload: Any) -> None:
    with pytest.raises(BadAnswer, match="no listing in the answer but "):
        posts(payload, NOW)


@pytest.mark.parametrize("payload", [*NOT_EVEN_AN_OBJECT, ERROR, {"rules": None}, {"rules": {}}, listing([])])
def test_no_rules(payload: Any) -> None:
    with pytest.raises(BadAnswer, match="no list of rules in the answer but "):
        rules(payload, "Bitcoin", NOW)


def test_what_came_instead_is_said_in_a_few_words() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    cases = {"a list of 1": deep, "an object with ['0', '1', '10', '100', '101']": dict.fromkeys(map(str, range(999)))}
    for came, payload in cases.items():
        with pytest.raises(BadAnswer) as error:
            posts(payload, NOW)
        assert str(error.value) == f"no listing in the answer but {came}"


@pytest.mark.parametrize(
    "child",
    [None, 1, "t3", [], {}, {"kind": "t3"}, {"kind": "t3", "data": {}}, {"kind": "more", "data": post()},
     {"kind": "t1", "data": post()}, {"kind": "t3", "data": post(id=None)}, {"kind": "t3", "data": post(id="")},
     {"kind": "t3", "data": post(title=None)}, {"kind": "t3", "data": post(title=["x"])},
     {"kind": "t3", "data": post(subreddit=None)}, {"kind": "t3", "data": post(subreddit="")},
     {"kind": "t3", "data": post(id=7, name="t1_x")}, {"kind": "t3", "data": post(id=None, name="t3_")}],
)  # fmt: skip
def test_a_child_that_is_no_post_is_counted_and_the_others_stand(child: Any) -> None:
    payload = {"kind": "Listing", "data": {"children": [child, {"kind": "t3", "data": post()}]}}
    found = posts(payload, NOW)
    assert ([row.reddit_id for row in found.rows], found.odd) == (["p1"], 1)


def test_an_empty_listing() -> None:
    assert posts(listing([]), NOW) == Posts([], 0)


def test_the_id_comes_from_the_fullname_where_it_stands_nowhere_else() -> None:
    assert one(id=None, name="t3_abc").reddit_id == "abc"
    assert subreddit({"display_name": "A", "name": "t5_abc"}, NOW).reddit_id == "abc"
    assert user({"name": "somebody"}, NOW).reddit_id is None


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("selftext", "", ""), ("selftext", None, None), ("selftext", 5, None), ("selftext", {"a": 1}, None),
        ("score", 7, 7), ("score", 7.0, 7), ("score", 7.9, 7), ("score", "7", None), ("score", True, None),
        ("score", float("inf"), None), ("score", float("nan"), None), ("score", -3, -3),
        ("upvote_ratio", 1, 1.0), ("upvote_ratio", 0.5, 0.5), ("upvote_ratio", "0.5", None),
        ("upvote_ratio", True, None), ("upvote_ratio", 10**400, None),
        ("stickied", True, True), ("stickied", 1, None), ("stickied", "true", None), ("stickied", None, None),
        ("distinguished", "moderator", "moderator"), ("distinguished", ["moderator"], None),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_kind_is_none(field: str, given: Any, kept: Any) -> None:
    value = getattr(one(**{field: given}), field)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (1700000000, THEN), (1700000000.0, THEN), (1700000000.25, THEN.replace(microsecond=250_000)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)), (-1.0, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1e18, None), (-1e18, None), (10**400, None), (float("nan"), None), (float("inf"), None), ("1700000000", None),
        (True, None), (False, None), (None, None), ([], None),
    ],
)  # fmt: skip
def test_times(given: Any, kept: datetime | None) -> None:
    """`edited` is false, or true where Reddit did not yet keep the time, or the time."""
    row = one(created_utc=given, edited=given)
    assert (row.created_utc, row.edited_utc) == (kept, kept)


@pytest.mark.parametrize("author", ["[deleted]", None, "", 4])
def test_a_post_of_nobody(author: Any) -> None:
    assert one(author=author).author_username is None


def test_active_users_under_either_name() -> None:
    base = {"display_name": "A"}
    assert subreddit({**base, "accounts_active": 5, "active_user_count": 0}, NOW).active_users == 0
    assert subreddit({**base, "accounts_active": 5, "active_user_count": None}, NOW).active_users == 5
    assert subreddit(base, NOW).active_users is None


def test_a_suspended_user() -> None:
    """Reddit answers 200, with little else."""
    data = {"name": "Gone", "is_suspended": True, "awardee_karma": 0, "awarder_karma": 0, "total_karma": 0}
    row = user({"kind": "t2", "data": data}, NOW)
    assert (row.username, row.state, row.total_karma, row.created_utc) == ("Gone", "suspended", 0, None)


@pytest.mark.parametrize("odd", [False, None, "true", 1])
def test_a_user_who_is_not_suspended(odd: Any) -> None:
    assert user({"name": "here", "is_suspended": odd}, NOW).state == "active"


def test_a_user_whose_profile_is_odd() -> None:
    row = user({"name": "here", "subreddit": ["u_here"], "over_18": True}, NOW)
    assert (row.public_description, row.over_18) == (None, True)
    row = user({"name": "here", "subreddit": {"over_18": False, "public_description": "Hi"}, "over_18": True}, NOW)
    assert (row.public_description, row.over_18) == ("Hi", False)


def test_rules_keep_their_places() -> None:
    full = {
        "kind": "link", "description": "Be kind.", "short_name": "Kind", "violation_reason": "Unkind",
        "created_utc": 1700000000.0, "priority": 4, "description_html": "<p>Be kind.</p>",
    }  # fmt: skip
    found = rules({"rules": [full, "odd", {"short_name": 3}], "site_rules": ["Spam"]}, "Bitcoin", NOW)
    assert found == [
        Rule("Bitcoin", 0, NOW, "Kind", "Be kind.", "Unkind", "link", 4, THEN),
        Rule("Bitcoin", 1, NOW),
        Rule("Bitcoin", 2, NOW),
    ]
    assert rules({"rules": []}, "Bitcoin", NOW) == []


def written_by(*names: str | None) -> list[Post]:
    return [Post(str(number), "Bitcoin", name, "t", NOW) for number, name in enumerate(names)]


def standing_in(*names: str) -> list[Post]:
    return [Post(str(number), name, "a", "t", NOW) for number, name in enumerate(names)]


def test_authors_in_the_order_of_their_posts() -> None:
    rows = written_by("b", None, "a", "B", "AutoModerator", "automoderator", "c-_9", "[deleted]")
    assert authors(rows, 40) == ("b", "a", "c-_9")
    assert authors(rows, 2) == ("b", "a")
    assert authors(rows, 0) == ()


@pytest.mark.parametrize("name", ["a/b", "..", "a?b", "a b", "ä", "", "a%2fb", "<USERNAME>", "a\n"])
def test_a_name_that_would_be_another_address_is_not_asked_for(name: str) -> None:
    assert authors(written_by(name), 40) == ()
    assert found_subreddits(standing_in(name)) == ()


def test_subreddits_of_posts() -> None:
    rows = standing_in("Bitcoin", "u_spez", "bitcoin", "U_Other", "reddit.com", "t:1234", "u", "unix")
    assert found_subreddits(rows) == ("Bitcoin", "reddit.com", "t:1234", "u", "unix")
