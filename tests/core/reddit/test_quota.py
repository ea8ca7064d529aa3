"""The arithmetic of the shared quota, case by case."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reddit.bounds import PROBE_INTERVAL
from core.reddit.quota import WINDOW, Priority, Quota, RateHeaders, advance, granted, wait_for
from core.reddit.quota_answers import LADDER, SHORTEST_BLOCK, answered, refused

PER_MINUTE = 6.0
LIMIT = 60.0
BIRTH = 1_700_000_000.0


def fresh(now: float = BIRTH, per_minute: float = PER_MINUTE) -> Quota:
    return advance(Quota(limit=1.0), now, per_minute)


def test_a_stream_may_take_the_last_request_of_the_window_and_nobody_else() -> None:
    quota = replace(fresh(), used=LIMIT - 1)
    assert wait_for(quota, Priority.STREAM, BIRTH) == 0.0
    assert wait_for(quota, Priority.LATE_SCAN, BIRTH) > 0.0
    assert wait_for(quota, Priority.SCRAPER, BIRTH) > 0.0


def test_the_scraper_leaves_more_than_the_deeper_looks_do() -> None:
    quota = replace(fresh(), stream_pace=0.0, used=LIMIT * 0.95)
    assert wait_for(quota, Priority.LATE_SCAN, BIRTH) == 0.0
    assert wait_for(quota, Priority.SCRAPER, BIRTH) > 0.0


def test_nothing_left_means_waiting_for_the_reset() -> None:
    quota = replace(fresh(), used=LIMIT, sent=LIMIT)
    for priority in Priority:
        assert wait_for(quota, priority, BIRTH + 100.0) == WINDOW - 100.0
    assert wait_for(advance(quota, BIRTH + WINDOW, PER_MINUTE), Priority.STREAM, BIRTH + WINDOW) == 0.0


def test_refusals_without_a_time_climb_the_ladder_and_a_success_leads_back_to_its_start() -> None:
    """Within each step a single request tests every 45 s whether Reddit still refuses."""
    quota, now = fresh(), BIRTH
    for step in (60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
        quota = refused(granted(quota, Priority.STREAM, now), now, None, now + 0.5)
        assert quota.blocked_until == now + 0.5 + step
        assert wait_for(quota, Priority.STREAM, now + 1.0) == pytest.approx(PROBE_INTERVAL - 0.5)
        now = quota.blocked_until + 0.1
        quota = advance(quota, now, PER_MINUTE)
        assert wait_for(quota, Priority.STREAM, now) == 0.0
    quota = answered(granted(quota, Priority.STREAM, now), None, now, now + 0.2, PER_MINUTE)
    quota = refused(granted(quota, Priority.STREAM, now + 1), now + 1, None, now + 2)
    assert quota.blocked_until == now + 2 + 60.0


def test_refusals_of_one_moment_count_as_one() -> None:
    """Ten requests were on their way when Reddit began to refuse: that is one step of the ladder, not ten."""
    quota = fresh()
    for _ in range(10):
        quota = granted(quota, Priority.SCRAPER, BIRTH)
    for nth in range(10):
        quota = refused(quota, BIRTH + nth * 0.01, None, BIRTH + 1.0 + nth)
    assert quota.refusals == 1
    assert quota.blocked_until == BIRTH + 1.0 + 60.0


def test_a_success_sent_before_the_refusal_does_not_lead_back_to_the_start() -> None:
    quota = granted(granted(fresh(), Priority.STREAM, BIRTH), Priority.STREAM, BIRTH)
    quota = refused(quota, BIRTH, None, BIRTH + 1.0)
    quota = answered(quota, None, BIRTH, BIRTH + 2.0, PER_MINUTE)
    assert quota.refusals == 1


def test_an_error_of_the_server_is_no_success() -> None:
    quota = refused(granted(fresh(), Priority.STREAM, BIRTH), BIRTH, None, BIRTH + 1.0)
    later = BIRTH + 100.0
    quota = answered(granted(quota, Priority.STREAM, later), None, later, later, PER_MINUTE, success=False)
    assert quota.refusals == 1


@given(seconds=st.floats(0.0, 86_400.0))
def test_retry_after_is_honoured_for_everybody(seconds: float) -> None:
    """Up to one window, whatever the ladder says; and a refusal without a time never cuts it short."""
    bounded = min(max(SHORTEST_BLOCK, seconds), WINDOW)
    quota = granted(granted(fresh(), Priority.STREAM, BIRTH), Priority.STREAM, BIRTH)
    quota = refused(quota, BIRTH, seconds, BIRTH + 2.0)
    assert quota.blocked_until == pytest.approx(BIRTH + 2.0 + bounded)
    after = refused(quota, BIRTH + 1.0, None, BIRTH + 2.5)
    assert after.blocked_until >= quota.blocked_until
    for priority in Priority:
        assert wait_for(quota, priority, BIRTH + 2.0) == pytest.approx(min(bounded, PROBE_INTERVAL))


def test_header_truth_wins_over_our_own_count() -> None:
    quota = answered(granted(fresh(), Priority.STREAM, BIRTH), RateHeaders(41, 19, 300), BIRTH, BIRTH, PER_MINUTE)
    assert (quota.used, quota.remaining(), quota.reset_at) == (41, 19, BIRTH + 300)


def test_a_smaller_quota_in_the_headers_wins_and_a_larger_one_does_not() -> None:
    """The configuration may be wrong about Reddit, but what the user allows is never exceeded."""
    small = answered(fresh(), RateHeaders(1, 29, 300), BIRTH, BIRTH, PER_MINUTE)
    assert small.limit == 30
    large = answered(fresh(), RateHeaders(1, 999, 300), BIRTH, BIRTH, PER_MINUTE)
    assert large.limit == LIMIT


def test_a_configured_quota_far_above_the_servers_does_not_keep_the_scraper_away() -> None:
    """The reserve for streams whose pace nobody knows yet is a share of the limit: of the real one."""
    quota = fresh(per_minute=100 * PER_MINUTE)
    now = BIRTH + 1.0
    quota = answered(
        granted(quota, Priority.SCRAPER, now), RateHeaders(1.0, LIMIT - 1.0, WINDOW - 1.0), now, now, 100 * PER_MINUTE
    )
    assert wait_for(quota, Priority.SCRAPER, now + 1.0) == 0.0


def test_within_a_window_a_late_answer_does_not_turn_the_count_back() -> None:
    quota = answered(fresh(), RateHeaders(20, 40, 300), BIRTH, BIRTH, PER_MINUTE)
    for _ in range(5):
        quota = answered(granted(quota, Priority.STREAM, BIRTH), None, BIRTH, BIRTH, PER_MINUTE)
    slow = answered(granted(quota, Priority.STREAM, BIRTH), RateHeaders(21, 39, 300), BIRTH, BIRTH + 18.0, PER_MINUTE)
    assert slow.used == 25
    assert slow.outstanding == 0


def test_our_own_count_restarts_with_the_first_answer_of_a_new_window_also_before_our_clock_reaches_it() -> None:
    """The reset is rounded up to seconds, and its answer took time: the new window begins a little earlier."""
    quota = fresh()
    first = BIRTH + 10
    quota = answered(granted(quota, Priority.STREAM, first), RateHeaders(1, 59, 60), first, first, PER_MINUTE)
    quota = replace(quota, sent=50.0)
    late = BIRTH + 69.5
    quota = answered(granted(quota, Priority.STREAM, late), RateHeaders(1, 59, 600), late, late, PER_MINUTE)
    assert (quota.sent, quota.remaining()) == (1.0, LIMIT - 1)
    after = late + 3 * 60  # no further restart, whatever the headers say
    quota = answered(granted(quota, Priority.STREAM, after), RateHeaders(1, 59, 600), after, after, PER_MINUTE)
    assert quota.sent == 2.0


def test_an_answer_from_the_former_window_does_not_replace_the_count_of_this_one() -> None:
    quota = answered(fresh(), RateHeaders(59, 1, 1.0), BIRTH, BIRTH, PER_MINUTE)
    quota = granted(quota, Priority.STREAM, BIRTH + 0.5)
    now = BIRTH + 3.0
    quota = advance(quota, now, PER_MINUTE)
    quota = answered(quota, RateHeaders(60, 0, 0.5), BIRTH + 0.5, now, PER_MINUTE)
    assert quota.used == 1
    assert quota.reset_at == now + WINDOW


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -1.0, None])
def test_a_header_that_is_no_number_is_not_believed_and_the_others_are(odd: float | None) -> None:
    def used_and_remaining(headers: RateHeaders) -> tuple[float, float]:
        after = answered(granted(fresh(), Priority.STREAM, BIRTH), headers, BIRTH, BIRTH, PER_MINUTE)
        return after.used, after.remaining()

    assert used_and_remaining(RateHeaders(odd, 10, 10)) == (LIMIT - 10, 10)
    assert used_and_remaining(RateHeaders(10, odd, 10)) == (10, LIMIT - 10)
    assert used_and_remaining(RateHeaders(10, 10, odd)) == (10, 10)
    assert used_and_remaining(RateHeaders(odd, odd, odd)) == (1, LIMIT - 1)


def test_a_clock_set_back_by_hours_blocks_nothing_for_hours() -> None:
    quota = replace(fresh(), used=LIMIT)
    quota = refused(quota, BIRTH + 1.0, None, BIRTH + 2.0)
    back = BIRTH - 7200.0
    quota = advance(quota, back, PER_MINUTE)
    assert quota.used == LIMIT + 1, "what was used stays used"
    assert 0.0 < wait_for(quota, Priority.STREAM, back) <= LADDER[0] + 2.0
    assert quota.reset_at <= back + WINDOW


def test_the_window_rolls_but_what_is_on_its_way_still_counts() -> None:
    quota = granted(replace(fresh(), used=50.0), Priority.SCRAPER, BIRTH)
    quota = advance(quota, BIRTH + WINDOW + 1.0, PER_MINUTE)
    assert (quota.used, quota.outstanding, quota.limit) == (0.0, 1, LIMIT)
    assert quota.remaining() == LIMIT - 1


def test_spare_tells_whether_the_window_is_ahead_of_an_even_pace() -> None:
    quota = replace(fresh(), used=LIMIT / 2)
    assert quota.spare(BIRTH + WINDOW / 2) == pytest.approx(1.0)
    assert quota.spare(BIRTH) == pytest.approx(0.5)
    assert quota.spare(BIRTH + WINDOW * 0.9) > 4.0
