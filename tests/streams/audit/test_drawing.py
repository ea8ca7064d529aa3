"""The draws of the audit: random, spread over time, and measured instead of assumed."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from core.spool import Gap
from streams.audit.audit_scope import Scope, is_emptied
from streams.audit.drawing import by_size, concordance, info, of_different_minutes
from streams.audit.sources import Draw, Trees, comments_of, sources_of
from streams.reddit.listing_page import Item
from tests.streams.audit.things import BEGUN, gap, post, posts


def test_items_of_a_sample_are_of_different_minutes() -> None:
    items = [post(number, created=BEGUN + 10.0 * number) for number in range(100)]
    drawn = of_different_minutes(items, 5, Random(1))
    assert len({int(item.created or 0) // 60 for item in drawn}) == 5
    assert of_different_minutes(items[:2], 5, Random(1)) != []
    assert of_different_minutes([], 5, Random(1)) == []


def test_each_minute_can_be_drawn() -> None:
    items = [post(number, created=BEGUN + 60.0 * number) for number in range(10)]
    random = Random(1)
    counts = Counter(item.name for _ in range(500) for item in of_different_minutes(items, 2, random))
    assert len(counts) == 10
    assert min(counts.values()) > 60


def test_large_trees_are_drawn_more_often() -> None:
    large, small, empty = post(1, comments=90), post(2, comments=10), post(3, comments=0)
    random = Random(1)
    counts = Counter(item.name for _ in range(500) for item in by_size([large, small, empty], 1, random))
    assert counts[empty.name] == 0
    assert 0.05 < counts[small.name] / 500 < 0.16
    assert by_size([empty], 3, random) == []


def test_the_same_tree_is_drawn_once() -> None:
    assert len(by_size([post(1, comments=5)], 8, Random(1))) == 1


@pytest.mark.parametrize(("shuffled", "expected"), [(False, 1.0), (True, 0.5)])
def test_the_order_of_ids_is_measured(shuffled: bool, expected: float) -> None:
    order = concordance(posts(100, shuffled=shuffled))
    assert order is not None
    assert abs(order - expected) < 0.08


def test_a_few_items_measure_nothing() -> None:
    assert concordance(posts(10)) is None
    assert concordance([post(number, created=BEGUN) for number in range(50)]) is None, "all of the same minute"


def test_a_request_names_the_items() -> None:
    assert info(["t3_a", "t1_b"]) == ("/api/info", {"id": "t3_a,t1_b"})


@pytest.mark.parametrize(
    ("data", "emptied"),
    [
        ({"body": "text"}, False),
        ({"selftext": ""}, False),
        ({"selftext": "", "removed_by_category": None}, False),
        ({"body": "text", "author": "[deleted]"}, False),
        ({"body": "[removed]"}, True),
        ({"selftext": "[deleted]"}, True),
        ({"selftext": "[ Removed by Reddit ]"}, True),
        ({"selftext": "", "removed_by_category": "moderator"}, True),
    ],
)
def test_removed_and_deleted_items_are_known_by_their_content(data: dict[str, object], emptied: bool) -> None:
    assert is_emptied(data) is emptied


def scope(*gaps: Gap) -> Scope:
    return Scope.of({"alpha": BEGUN + 100}, {"alpha": BEGUN + 900, "beta": BEGUN + 900}, gaps, BEGUN + 500)


@pytest.mark.parametrize(
    ("item", "judged"),
    [
        (post(1, created=BEGUN + 100), True),
        (post(1, created=BEGUN + 500), True),
        (post(1, created=BEGUN + 99), False),
        (post(1, created=BEGUN + 501), False),
        (post(1, created=BEGUN + 300, subreddit="Beta"), False),
        (post(1, created=None), False),
    ],
)
def test_only_what_should_have_been_captured_is_judged(item: Item, judged: bool) -> None:
    assert scope().judges(item) is judged


@pytest.mark.parametrize(
    ("created", "inside"), [(199, False), (200, True), (250, True), (300, True), (301, False)], ids=str
)
def test_a_gap_begins_where_late_items_may_be_missing(created: float, inside: bool) -> None:
    known = scope(gap(250, 300, late_from=200))
    assert (known.gap_of("ALPHA", BEGUN + created) is not None) is inside
    assert known.gap_of("beta", BEGUN + 250) is None


def test_repaired_gaps_and_those_of_the_audit_admit_nothing() -> None:
    known = scope(gap(200, 300, repaired=True), gap(200, 300, of_audit=True))
    assert known.gap_of("alpha", BEGUN + 250) is None
    assert scope(gap(None, None)).gap_of("alpha", BEGUN + 250) is not None


def test_a_tree_of_any_depth_is_read_whole() -> None:
    tree: dict[str, object] = {"kind": "more", "data": {"children": ["zz"]}}
    for number in range(3000):
        data = {"name": f"t1_{number}", "subreddit": "Alpha", "created_utc": 1.7e9, "replies": _listing([tree])}
        tree = {"kind": "t1", "data": data}
    page = comments_of([_listing([{"kind": "t3", "data": {"name": "t3_x"}}]), _listing([tree])])
    assert len(page.items) == 3000
    assert page.rejects == ()


@pytest.mark.parametrize("replies", ["", None, 7, [], {}, {"kind": "Listing"}, {"kind": "Listing", "data": {}}])
def test_odd_replies_are_passed_over(replies: object) -> None:
    data = {"name": "t1_a", "subreddit": "Alpha", "created_utc": 1.7e9, "replies": replies}
    assert len(comments_of([_listing([]), _listing([{"kind": "t1", "data": data}, None, 5])]).items) == 1


def _listing(children: list[object]) -> dict[str, object]:
    return {"kind": "Listing", "data": {"children": children}}


class FakeIndex:
    """An index of names with one post."""

    def start(self) -> float:
        return BEGUN

    def draws(self, moments: list[float], _draw: object) -> list[int]:
        return [36**6] * len(moments)


def test_trees_are_not_used_while_no_captured_post_has_comments_of_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lists of the two streams may have no subreddit in common: the requests are left to the listings."""
    monkeypatch.setattr("streams.audit.sources._RETRY_EVERY", 10)
    index: Any = FakeIndex()
    trees = Trees(Draw(index, "submissions", Random(1)), 0.0)
    foreign = {"name": "t3_a", "subreddit": "Beta", "created_utc": BEGUN, "num_comments": 9}
    asked = 0
    for _ in range(25):
        if trees.next(scope()) is not None:
            asked += 1
            trees.take(_listing([{"kind": "t3", "data": foreign}]), scope())
    assert asked == 7, "five, and then every tenth turn"
    assert "no captured post" in trees.why
    while trees.next(scope()) is None:
        pass
    trees.take(_listing([{"kind": "t3", "data": {**foreign, "subreddit": "Alpha"}}]), scope())
    assert trees.next(scope()) == ("/comments/a", {"limit": 500})


@pytest.mark.parametrize("stream", ["submissions", "comments"])
def test_listings_of_all_of_reddit_are_not_judged(stream: str) -> None:
    index: Any = FakeIndex()
    rotation = sources_of(stream, ["all", "Popular"], lambda _stream: index, Random(1), 600.0)
    assert rotation.next(scope()) is None
    assert all("cannot be judged" in source.why for source in rotation.sources)
    assert len(sources_of(stream, ["all", "Alpha", "Beta"], lambda _stream: index, Random(1), 600.0).sources) == 2
