"""Reading a page: odd things in a listing are still items, what is no listing is an error."""

from typing import Any

import pytest

from core.reddit.errors import BadAnswer
from streams.capture.listing import Item, listing_path, parse_page
from tests.streams.capture.world import envelope


def only(data: dict[str, Any], stream: str = "comments") -> Item:
    page = parse_page(envelope([{"kind": "t1", "data": data}]), stream)
    (item,) = page.items
    return item


@pytest.mark.parametrize(
    "answer",
    [None, [], "", "text", 5, {}, {"data": None}, {"data": []}, {"data": {}}, {"data": {"children": 1}}, {"error": 1}],
)
def test_what_is_no_listing(answer: object) -> None:
    with pytest.raises(BadAnswer):
        parse_page(answer, "comments")


def test_an_empty_listing() -> None:
    page = parse_page(envelope([]), "comments")
    assert (page.items, page.after, page.rejects) == ((), None, ())


@pytest.mark.parametrize(("after", "expected"), [("t1_a", "t1_a"), (None, None), ("", None), (5, None)])
def test_the_next_anchor(after: Any, expected: str | None) -> None:
    assert parse_page(envelope([], after), "comments").after == expected


@pytest.mark.parametrize("child", [None, [], "x", 5, {}, {"data": None}, {"data": {}}, {"data": "x"}])
def test_what_is_no_item_is_kept_as_a_reject(child: Any) -> None:
    page = parse_page(envelope([child, {"data": {"name": "t1_a"}}]), "comments")
    assert [item.name for item in page.items] == ["t1_a"]
    assert len(page.rejects) == 1


@pytest.mark.parametrize(
    ("data", "stream", "fullname"),
    [
        ({"name": "t1_a", "id": "b"}, "comments", "t1_a"),
        ({"id": "b"}, "comments", "t1_b"),
        ({"id": "b"}, "submissions", "t3_b"),
        ({"name": None, "id": "b"}, "submissions", "t3_b"),
        ({"name": 5, "id": 6, "body": "x"}, "comments", ""),
        ({"body": "x"}, "comments", ""),
    ],
)
def test_the_fullname(data: dict[str, Any], stream: str, fullname: str) -> None:
    item = only(data, stream)
    assert item.fullname == fullname
    assert item.name, "something must identify it"


def test_a_nameless_item_is_recognised_while_it_is_voted_on() -> None:
    assert only({"body": "x", "score": 1}).name == only({"body": "x", "score": 2}).name
    assert only({"body": "x"}).name != only({"body": "y"}).name


def test_half_a_surrogate_pair_fits_into_what_we_store() -> None:
    item = only({"name": "t1_\ud800", "subreddit": "\udfff"})
    assert item.name.encode()
    assert item.subreddit.encode()


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (1700000000, 1700000000.0),
        (1700000000.5, 1700000000.5),
        (-1, -1.0),
        ("1700000000", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ({}, None),
    ],
)
def test_the_date(created: object, expected: float | None) -> None:
    assert only({"name": "t1_a", "created_utc": created}).created == expected


def test_paths() -> None:
    assert listing_path(["A", "B"], "submissions") == "/r/A+B/new"
    assert listing_path(("A",), "comments") == "/r/A/comments"
