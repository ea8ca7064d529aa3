"""When a refusal that explains nothing is a fact, and when it is looked at again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.crawl.pending_refusals import (
    INTERVAL,
    SHORT_INTERVAL,
    PendingRefusal,
    dump,
    key_of,
    load,
    next_check,
    record_refusal,
)
from scraper.reddit.question import Kind, Question
from scraper.reddit.refusal import Unexplained
from scraper.reddit.rows import SubredditState

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REFUSED = Unexplained(SubredditState.FORBIDDEN, "403 without a reason")
GATED = Unexplained(SubredditState.GATED, "302", target="/over18", telling=True)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def met(*at: tuple[float, str], refusal: Unexplained = REFUSED) -> PendingRefusal:
    """Meet the same refusal at these moments, in these processes."""
    doubt = None
    for seconds, process in at:
        doubt = record_refusal(doubt, refusal, process, after(seconds))
    assert doubt is not None
    return doubt


@pytest.mark.parametrize(
    ("has_others", "at", "confirmed"),
    [
        (False, [(0, "a")], False),
        (False, [(0, "a"), (INTERVAL - 1, "a")], False),
        (False, [(0, "a"), (INTERVAL, "a")], True),
        (True, [(0, "a"), (INTERVAL, "a")], False),
        (True, [(0, "a"), (1, "b")], False),
        (True, [(0, "a"), (1, "b"), (2, "c"), (3, "d")], False),
        (True, [(0, "a"), (INTERVAL, "b")], True),
        (True, [(0, "a"), (1, "b"), (INTERVAL, "a")], True),
        (True, [(0, "a"), (INTERVAL, "a"), (3 * INTERVAL - 1, "a")], False),
        (True, [(0, "a"), (INTERVAL, "a"), (3 * INTERVAL, "a")], True),
    ],
)
def test_it_takes_time_and_another_process_where_there_is_one(
    has_others: bool, at: list[tuple[float, str]], confirmed: bool
) -> None:
    assert met(*at).is_confirmed(after(at[-1][0]), has_others=has_others) is confirmed


def test_what_reddit_says_in_its_own_way_is_confirmed_sooner() -> None:
    assert SHORT_INTERVAL < 60 < INTERVAL
    doubt = met((0, "a"), (SHORT_INTERVAL, "a"), refusal=GATED)
    assert doubt.is_confirmed(after(SHORT_INTERVAL), has_others=False)


@pytest.mark.parametrize(
    "other",
    [Unexplained(SubredditState.MISSING, "404"), Unexplained(SubredditState.FORBIDDEN, "302", target="/error")],
)
def test_another_refusal_begins_anew(other: Unexplained) -> None:
    doubt = record_refusal(met((0, "a"), (10, "b")), other, "a", after(INTERVAL))
    assert (doubt.count, doubt.first_at, doubt.seen_by) == (1, after(INTERVAL).timestamp(), ("a",))


def test_another_process_looks_at_once_and_this_one_leaves_it_alone() -> None:
    due, avoid_until = next_check({"about": met((0, "a"))}, NOW, has_others=True)
    assert due == NOW
    assert avoid_until == after(3 * INTERVAL)
    due, avoid_until = next_check({"about": met((0, "a"), (5, "b"))}, after(5), has_others=True)
    assert due == after(INTERVAL)
    assert avoid_until is None


def test_a_process_alone_waits_for_the_interval() -> None:
    due, avoid_until = next_check({"about": met((0, "a"))}, NOW, has_others=False)
    assert (due, avoid_until) == (after(INTERVAL), None)


@given(times=st.integers(1, 60), has_others=st.booleans(), seconds=st.floats(0, 1e6))
def test_it_comes_again_within_half_an_hour_and_never_in_a_loop(times: int, has_others: bool, seconds: float) -> None:
    """However often it is met without being confirmed."""
    doubt = met(*[(0.0, "a")] * times)
    due, _ = next_check({"about": doubt}, after(seconds), has_others=has_others)
    assert after(seconds) <= due <= after(seconds + max(1800.0, INTERVAL))
    if times > 1:
        assert due >= after(seconds + INTERVAL / 2)


def test_they_survive_as_text() -> None:
    doubts = {"about": met((0, "a"), (9, "b"), refusal=GATED), key_of(Question(Kind.USER, "Ann")): met((3, "a"))}
    assert set(doubts) == {"about", "user:ann"}
    assert load(dump(doubts)) == doubts
    assert dump({}) is None


@pytest.mark.parametrize(
    "text", [None, "", "[]", "nonsense", "{}", '{"about": 1}', '{"about": {}}', '{"about": {"state": "odd"}}',
             '{"about":{"state":"forbidden","text":"x","target":null,"telling":false,"first_at":1e300,"count":1,"seen_by":[]}}'],
)  # fmt: skip
def test_a_text_that_is_none_begins_anew(text: str | None) -> None:
    assert load(text) == {}


def test_long_texts_are_cut() -> None:
    refusal = Unexplained(SubredditState.MOVED, "x" * 5000, target="y" * 5000)
    doubt: Any = met((0, "a"), refusal=refusal)
    assert len(doubt.text) <= 200
    assert len(doubt.target) <= 100


def test_what_earlier_versions_stored_is_read() -> None:
    stored = (
        '{"about":{"state":"moved","text":"301: a redirect","target":"/r/other","telling":true,"first_at":1700000000.0,'
        '"count":2,"seen_by":["host/a","host/b"]}}'
    )
    doubt = PendingRefusal("moved", "301: a redirect", "/r/other", True, 1_700_000_000.0, 2, ("host/a", "host/b"))  # noqa: FBT003
    assert load(stored) == {"about": doubt}
    assert dump(load(stored)) == stored
