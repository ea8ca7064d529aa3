"""Reading a page: odd things in a listing are still items, what is no listing is an error."""

import json
from typing import Any

import pytest

from core.reddit.request_errors import BadAnswer
from streams.reddit.listing_page import EARLIEST, LATEST, Item, listing_path, parse_page
from tests.streams.capture.world import envelope


def only(data: dict[str, Any], stream: str = "comments") -> Item:
    kind = {"comments": "t1", "submissions": "t3"}[stream]
    page = parse_page(envelope([{"kind": kind, "data": data}]), stream)
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


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("t1_a", "t1_a"),
        ("t3_zz9", "t3_zz9"),
        (None, None),
        ("", None),
        ("t1_", "t1_last"),
        ("t5_abc", "t1_last"),
        ("t1_A", "t1_last"),
        ("t1_a\n", "t1_last"),
        ("t1_" + "a" * 14, "t1_last"),
        ("t1_a&limit=1", "t1_last"),
        ("../t1_a", "t1_last"),
        ("\ud800", "t1_last"),
        (5, "t1_last"),
        (["t1_a"], "t1_last"),
    ],
)
def test_the_next_anchor(after: Any, expected: str | None) -> None:
    """Only a fullname goes back into a request; what is none gives way to the last item that has one."""
    things = [{"data": {"name": name}} for name in ("t1_first", "t1_last", "odd name")]
    assert parse_page(envelope(things, after), "comments").after == expected


def test_an_odd_anchor_without_an_item_is_an_end() -> None:
    assert parse_page(envelope([], "nonsense"), "comments").after is None


@pytest.mark.parametrize("child", [None, [], "x", 5, {}, {"data": None}, {"data": {}}, {"data": "x"}])
def test_what_is_no_item_is_kept_as_a_reject(child: Any) -> None:
    page = parse_page(envelope([child, {"data": {"name": "t1_a"}}]), "comments")
    assert [item.name for item in page.items] == ["t1_a"]
    assert [reject.reason for reject in page.rejects] == ["not an object"]


@pytest.mark.parametrize(
    ("stream", "kind", "data", "reason"),
    [
        ("comments", "more", {"count": 0, "name": "t1__", "id": "_", "children": ["k1"]}, "kind 'more'"),
        ("comments", "t5", {"name": "t5_2aaaa", "display_name": "x"}, "kind 't5'"),
        ("comments", "t3", {"name": "t3_a", "title": "x"}, "kind 't3'"),
        ("submissions", "t1", {"name": "t1_c1", "body": "hello"}, "kind 't1'"),
        ("submissions", "Listing", {"children": []}, "kind 'Listing'"),
        ("submissions", 3, {"name": "t3_a"}, "kind '3'"),
        ("submissions", "\ud800", {"name": "t3_a"}, "kind '\ufffd'"),
        ("submissions", None, {"name": "t1_c1", "body": "hello"}, "name 't1_c1'"),
        ("comments", None, {"name": "t5_2aaaa"}, "name 't5_2aaaa'"),
        ("comments", "t1", {"name": "t3_a"}, "name 't3_a'"),
    ],
)
def test_a_foreign_kind_is_kept_whole_as_a_reject(stream: str, kind: Any, data: dict[str, Any], reason: str) -> None:
    """Also where the kind is missing and the name tells."""
    child = {"kind": kind, "data": data}
    (reject,) = parse_page(envelope([child]), stream).rejects
    assert reject.reason.startswith(f"{reason}, which does not belong to {stream}")
    assert json.loads(reject.raw) == child
    assert reject.reason.encode()


@pytest.mark.parametrize("data", [{"name": "t3_a"}, {"id": "a"}, {"name": "odd"}, {"title": "x"}])
def test_without_a_kind_only_a_foreign_name_is_a_reject(data: dict[str, Any]) -> None:
    page = parse_page(envelope([{"data": data}, {"kind": None, "data": data}]), "submissions")
    assert (len(page.items), page.rejects) == (2, ())


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
        ("1700000000", 1700000000.0),
        ("1700000000.0", 1700000000.0),
        (" 1700000000.75 ", 1700000000.75),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("2023-11-14T22:13:20+00:00", 1700000000.0),
        ("2023-11-14 22:13:20", 1700000000.0),
        (-1, None),
        ("-1700000000", None),
        (0, None),
        (EARLIEST, EARLIEST),
        (EARLIEST - 1, None),
        (LATEST - 1, LATEST - 1),
        (LATEST, None),
        (1700000000000, None),
        ("1700000000000", None),
        (1e300, None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("1_700_000_000", None),
        ("9999-12-31T23:59:59+00:00", None),
        ("yesterday", None),
        ("", None),
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
