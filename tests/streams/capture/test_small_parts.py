"""The pure parts by tables: backoff, pace, roster."""

import pytest

from core.backoff import Backoff
from core.spool.stream_state import StreamState
from streams.capture.availability import Availability
from streams.capture.rates import PollRate


@pytest.mark.parametrize(
    ("failures", "draw", "pause"),
    [(1, 0.5, 1.0), (2, 0.5, 2.0), (4, 0.5, 8.0), (5, 0.5, 10.0), (9999, 0.5, 10.0), (1, 0.0, 0.7), (10, 0.999, 13.0)],
)
def test_backoff_doubles_up_to_its_longest_and_jitters_around_it(failures: int, draw: float, pause: float) -> None:
    assert Backoff(first=1.0, longest=10.0).pause(failures, lambda: draw) == pytest.approx(pause, abs=0.01)


def test_pace_follows_up_at_once_and_down_slowly() -> None:
    pace = PollRate(1.0).observe(300, 2.0)
    assert pace.rate == 150.0
    after = pace.observe(0, 2.0)
    assert 100.0 < after.rate < 150.0
    for _ in range(40):
        after = after.observe(0, 2.0)
    assert after.rate < 0.01


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_pace_learns_nothing_from_no_time(seconds: float) -> None:
    assert PollRate(3.0).observe(100, seconds) == PollRate(3.0)


def test_roster_sets_aside_and_takes_back() -> None:
    availability = Availability(("A", "B", "C"))
    assert availability.due(1e12) is None
    assert availability.next_try(1000.0) == float("inf")
    first = availability.exclude("B", "private", 1000.0)
    assert availability.active() == ("A", "C")
    assert first.next_try == availability.next_try(1000.0) == 1060.0
    assert availability.due(1059.0) is None
    assert availability.due(1060.0) == "B"
    again = availability.exclude("B", "banned", 1060.0)
    assert (again.reason, again.since, again.next_try) == ("banned", 1000.0, 1180.0)
    assert availability.restore("B") == again
    assert availability.active() == ("A", "B", "C")


def test_roster_tries_at_least_every_quarter_of_an_hour_for_weeks() -> None:
    availability = Availability(("A",))
    for _ in range(2000):
        absence = availability.exclude("A", "private", 0.0)
    assert absence.next_try == 900.0


def test_roster_remembers_absences_of_what_is_still_configured() -> None:
    availability = Availability(("A", "B"))
    availability.exclude("A", "private", 1.0)
    availability.exclude("B", "missing", 2.0)
    other = Availability(("B", "C"))
    other.load(availability.dump())
    assert other.active() == ("C",)
    assert other.absent["B"] == availability.absent["B"]


@pytest.mark.parametrize("stored", [None, [], "x", 5, {}])
def test_roster_starts_whole_where_nothing_is_stored(stored: object) -> None:
    availability = Availability(("A",))
    availability.load(StreamState.read({"absent": stored}).absent)
    assert availability.active() == ("A",)


def test_a_clock_that_is_set_back_does_not_put_off_the_next_try() -> None:
    availability = Availability(("Alpha",))
    availability.exclude("Alpha", "private", 1000.0 + 172_800.0)
    assert availability.due(1000.0) == "Alpha"
    assert availability.next_try(1000.0) == 1000.0
