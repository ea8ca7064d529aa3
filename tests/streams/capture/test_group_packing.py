"""Names are packed into as few requests as their paths allow."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture.group_packing import PATH_LIMIT, is_better, pack
from streams.reddit.listing_page import listing_path

NAMES = st.lists(st.from_regex(r"[A-Za-z0-9_]{2,21}", fullmatch=True), unique_by=str.lower, max_size=900)


def request_bytes(names: tuple[str, ...], stream: str) -> int:
    return len(listing_path(names, stream)) + len("?limit=100&after=t1_0123456789abc&raw_json=1")


@given(NAMES, st.sampled_from(["submissions", "comments"]), st.integers(200, PATH_LIMIT))
def test_every_name_is_in_one_group_and_every_request_is_short_enough(
    names: list[str], stream: str, limit: int
) -> None:
    groups = pack(names, stream, limit)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert all(request_bytes(group, stream) < limit for group in groups)


def test_few_names_share_one_request() -> None:
    assert pack(["Bitcoin", "ethereum"], "comments") == (("Bitcoin", "ethereum"),)
    assert pack([], "comments") == ()


def test_800_names_of_20_characters_need_three_requests_of_about_equal_size() -> None:
    groups = pack([f"Subreddit_number{number:04}" for number in range(800)], "submissions")
    assert [len(group) for group in groups] == pytest.approx([267, 267, 266], abs=2)


def test_a_collective_listing_stands_alone() -> None:
    assert pack(["all", "Bitcoin", "popular"], "comments") == (("Bitcoin",), ("all",), ("popular",))


@given(NAMES, st.integers(300, PATH_LIMIT), st.integers(1, 40), st.randoms(use_true_random=False))
def test_groups_by_rate_hold_every_name_once_in_short_requests(
    names: list[str], limit: int, most: int, dice: random.Random
) -> None:
    rates = {name: dice.paretovariate(1.0) / 100 for name in names}
    groups = pack(names, "comments", limit, rates=rates, most_groups=most)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert all(request_bytes(group, "comments") < limit for group in groups)
    places = [[names.index(name) for name in group] for group in groups]
    assert all(place == sorted(place) for place in places)


def zipf(count: int, total: float) -> dict[str, float]:
    whole = sum(1 / (place + 1) for place in range(count))
    return {f"Subreddit_{place:05d}": total / whole / (place + 1) for place in range(count)}


def test_hot_subreddits_get_small_groups() -> None:
    rates = zipf(1200, 22.0)
    groups = pack(list(rates), "comments", rates=rates, most_groups=8)
    assert len(groups) == 8
    hottest = next(group for group in groups if "Subreddit_00000" in group)
    assert len(hottest) < min(len(group) for group in groups if group is not hottest)
    others = [sum(rates[name] for name in group) for group in groups if group is not hottest]
    assert max(others) < 1.2 * min(others)


def test_a_group_that_lasts_ten_minutes_is_not_split() -> None:
    rates = zipf(100, 1.5)
    assert len(pack(list(rates), "comments", rates=rates, most_groups=5)) == 1


def test_a_few_busy_names_stay_together() -> None:
    """After a loss each one's own listing is read: that costs less than more groups for ever."""
    rates = zipf(7, 20.0)
    assert len(pack(list(rates), "comments", rates=rates, most_groups=20)) == 1


def test_the_path_decides_where_the_quota_allows_fewer_groups() -> None:
    rates = zipf(5000, 40.0)
    assert len(pack(list(rates), "comments", rates=rates, most_groups=1)) == 14


def test_a_new_packing_must_be_clearly_better() -> None:
    rates = {"a": 2.0, "b": 2.0, "c": 0.1, "d": 0.1}
    together, apart = (("a", "b"), ("c", "d")), (("a", "c"), ("b", "d"))
    assert is_better(apart, together, rates)
    assert not is_better(together, apart, rates)
    assert not is_better(apart, apart, rates)
    assert is_better((("a", "b", "c", "d"),), together, rates), "fewer requests"
    quiet = dict.fromkeys(rates, 0.01)
    assert not is_better(apart, together, quiet)
