"""No minute gets more requests than the quota's pace, not even the first one, and nothing is lost for that."""

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture.recent_requests import MINUTE_S, RecentRequests
from tests.streams.capture.two_streams import TwoStreams
from tests.support.soaking import SOAK

#: Requests of any minute at a quota of 100.
MOST = 105
#: One in a hundred items is later at most, seconds.
LATE_S = 30.0


def percentile(values: list[float], share: float) -> float:
    return values[int(len(values) * share)]


@pytest.mark.parametrize(
    ("subreddits", "items", "unavailable"), [(1200, 22.0, 0.0), pytest.param(5000, 40.0, 0.01, marks=SOAK)]
)
def test_a_cold_start_with_many_subreddits_keeps_the_pace(
    tmp_path: Path, subreddits: int, items: float, unavailable: float
) -> None:
    system = TwoStreams(tmp_path, subreddits, items, unavailable)
    system.run(150.0)
    assert system.most_in_a_minute() <= MOST
    assert system.lost() == []
    shown = [item.shown_at for item in system.simulation.world.truth() if item.shown_at is not None]
    assert min(shown) - system.began < 5.0
    assert percentile(system.delays(since=60.0), 0.99) <= LATE_S
    assert percentile(system.delays(since=2.0), 0.97) <= LATE_S, "those of the first minute included"


def test_after_a_long_stop_nothing_waits_for_the_pace_that_would_be_lost(tmp_path: Path) -> None:
    system = TwoStreams(tmp_path, 1200, 22.0)
    system.run(15.0)
    system.time.now += 300.0  # 6,600 items
    system.run(95.0)
    assert system.lost() == []
    assert system.most_in_a_minute() > MOST, "the listings would have moved on"


def test_forty_requests_at_once_leave_ten_for_the_rest_of_the_minute() -> None:
    recent = RecentRequests()
    for _ in range(40):
        recent.add(100.0)
    assert recent.count(130.0) == 40
    assert recent.due(130.0, 50.0) == float("-inf")
    assert recent.pace(100.0, 50.0) == pytest.approx(10 / 60)
    for _ in range(10):
        recent.add(130.0)
    assert recent.due(131.0, 50.0) == 160.0
    assert recent.count(160.0) == 10


def test_the_requests_of_others_count_from_the_first_report_on() -> None:
    recent = RecentRequests()
    for now, total in ((0.0, 700), (5.0, 712), (10.0, 712), (15.0, 3)):
        recent.others_sent(now, total)
    assert recent.count(15.0) == 12, "a count that goes back belongs to a new file"
    assert recent.count(66.0) == 0


@given(
    st.lists(st.floats(0.0, 59.0), max_size=60).map(sorted),
    st.integers(10, 70),
)
def test_an_even_pace_leaves_no_minute_with_too_many(before: list[float], limit: int) -> None:
    recent, moments = RecentRequests(), deque(before)
    for moment in before:
        recent.add(moment)
    now = 59.0
    pace = recent.pace(now, limit)
    assert 0.0 <= pace <= limit / MINUTE_S
    sent = [now + number / pace for number in range(1, int(MINUTE_S * pace))] if pace else []
    most = max(limit, len(before))
    for moment in sent:
        moments.append(moment)
        assert sum(moment - MINUTE_S < one <= moment for one in moments) <= most + 1
