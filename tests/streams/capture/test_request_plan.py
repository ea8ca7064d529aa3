"""The plan of polls stays within the quota, loses nothing while that is possible, and says when it is not."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.reddit.limiter import Wishes
from streams.capture.request_plan import FRESH_S, plan, reach, requests_per_second, seconds_back, share, wishes

LONGEST = 16.0
#: requests per second of a client's whole quota
WHOLE = 100 / 60


def late(rates: list[float]) -> float:
    return seconds_back(len(rates))


RATES = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=60)


def used(rates: list[float], allowed: float) -> float:
    made = plan(dict(enumerate(rates)), allowed=allowed, longest=LONGEST)
    return sum(requests_per_second(rate, made.interval(rate), late(rates)) for rate in rates)


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [(0.0, 16.0, 16.0), (0.01, 16.0, 16.0), (1.0, 2.5, 2.5), (19.0, 2.5, 2.5), (100.0, 0.5, 0.5), (1000.0, 0.25, 0.25)],
)
def test_a_single_group_is_polled_as_soon_as_is_worth_a_request(rate: float, low: float, high: float) -> None:
    made = plan({1: rate}, allowed=100.0, longest=LONGEST)
    assert low <= made.interval(rate) <= high
    assert not made.slowed


@example(rates=[21.0, 0.6], allowed=0.25)  # an interval at the edge of a page, where rounding adds a page
@given(RATES, st.floats(0.05, 5.0))
def test_a_plan_never_costs_more_than_is_allowed_unless_less_would_lose_items(
    rates: list[float], allowed: float
) -> None:
    made = plan(dict(enumerate(rates)), allowed=allowed, longest=LONGEST)
    at_the_end = all(
        requests_per_second(rate, made.interval(rate), late(rates))
        <= 1.01 * requests_per_second(rate, max(0.25, reach(rate)), late(rates))
        for rate in rates
    )
    assert used(rates, allowed) <= allowed * 1.001 or at_the_end


@given(RATES, st.floats(0.05, 5.0))
def test_no_group_waits_longer_than_its_listing_reaches(rates: list[float], allowed: float) -> None:
    made = plan(dict(enumerate(rates)), allowed=allowed, longest=LONGEST)
    assert all(made.interval(rate) <= max(LONGEST, reach(rate)) for rate in rates)


@given(RATES, st.floats(0.05, 5.0))
def test_with_spare_quota_a_busier_group_is_never_polled_later(rates: list[float], allowed: float) -> None:
    made = plan(dict(enumerate(rates)), allowed=allowed, longest=LONGEST)
    if made.stretch:
        return
    intervals = [made.interval(rate) for rate in sorted(rates)]
    assert all(later <= sooner * 1.0001 for sooner, later in itertools.pairwise(intervals))


def test_more_quota_means_less_delay() -> None:
    rates = dict(enumerate([3.0, 1.0, 0.5, 0.1, 0.1, 0.1]))
    scarce, ample = (plan(rates, allowed=allowed, longest=LONGEST) for allowed in (0.3, 2.0))
    assert all(ample.interval(rate) <= scarce.interval(rate) for rate in rates.values())
    assert ample.interval(3.0) < scarce.interval(3.0)


def test_quiet_groups_wait_longer_than_configured_before_the_quota_is_short() -> None:
    made = plan(dict.fromkeys(range(28), 0.1), allowed=WHOLE * 0.9, longest=LONGEST)
    assert len(made.slowed) == 28
    assert LONGEST < made.interval(0.1) < 2 * LONGEST
    assert not made.short


def test_a_shortage_is_known_before_anything_is_lost() -> None:
    made = plan(dict.fromkeys(range(100), 0.5), allowed=WHOLE, longest=LONGEST)
    assert made.short
    assert made.needed > made.allowed == pytest.approx(100.0)
    assert made.interval(0.5) < 1000 / 0.5, "the listing still holds everything at the next poll"


@given(RATES, RATES, st.floats(0.5, 5.0))
def test_the_streams_share_the_quota_by_what_they_need(one: list[float], two: list[float], total: float) -> None:
    first, second = wishes(one, LONGEST), wishes(two, LONGEST)
    shares = share(first, [second], total), share(second, [first], total)
    if first.wished + second.wished <= total:
        assert all(mine >= wish.wished - 1e-9 for mine, wish in zip(shares, (first, second), strict=True))
    else:
        assert sum(shares) == pytest.approx(total)
        assert all(mine >= min(wish.needed, total * wish.needed / (first.needed + second.needed)) - 1e-9
                   for mine, wish in zip(shares, (first, second), strict=True))  # fmt: skip


def test_a_quiet_stream_leaves_its_part_to_a_busy_one() -> None:
    quiet, busy = Wishes(0.06, 0.4), Wishes(1.2, 1.6)
    assert share(busy, [quiet], 1.5) > 1.2
    assert share(quiet, [busy], 1.5) < 0.3


def test_a_lone_stream_may_use_everything() -> None:
    assert share(Wishes(0.1, 0.4), [], 1.5) == 1.5
    assert used([1.0], 1.5) == pytest.approx(1 / FRESH_S)


def test_many_groups_fit_into_the_quota_of_one_client() -> None:
    """5,000 subreddits at 40 items a second: no item waits for half a minute, and something is left for the rest."""
    comments = [5.5, 3.7, 2.9, 2.6, 2.5, 2.4, 2.2, 2.1, 1.9, 1.9, 1.9, 1.9, 1.9, 1.8]
    submissions = [0.75, 0.5, *[0.3] * 12]
    own, other = wishes(comments, LONGEST), wishes(submissions, LONGEST)
    total = 0.9 * WHOLE
    assert own.needed + other.needed < 0.85 * WHOLE
    for rates, mine, theirs in ((comments, own, other), (submissions, other, own)):
        made = plan(dict(enumerate(rates)), allowed=share(mine, [theirs], total), longest=LONGEST)
        assert max(made.interval(rate) for rate in rates) < 27.0
        assert not made.short


def test_a_group_is_polled_sooner_where_that_saves_a_second_page() -> None:
    rates = [2.2] * 14
    made = plan(dict(enumerate(rates)), allowed=0.6, longest=LONGEST)
    assert 2.2 * (made.interval(2.2) + late(rates)) <= 85.0 + 1e-6
    assert used(rates, 0.6) <= 0.6
