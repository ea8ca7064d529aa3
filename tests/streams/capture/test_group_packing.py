"""Names are packed into as few requests as their paths allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture.group_packing import PATH_LIMIT, pack
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
