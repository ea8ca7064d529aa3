"""How long a proxy rests, and what is shown of it: with a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.http.proxy.rest_periods import IDLE_AFTER, RestPeriods, State


def middle() -> float:
    return 0.5


def rests_of(health: RestPeriods, count: int, *, common: bool = False) -> list[float]:
    """Fail one probe after the other; return how long it rests each time."""
    now, rests = 1.0, []
    for _ in range(count):
        health.rest(now, 0.0, common=common)
        assert str(health.state) == "resting"
        rests.append(health.resting_until - now)
        now = health.resting_until
        health.begin_probe()
        assert str(health.state) == "probing"
        assert not health.works
    return rests


def test_rests_grow_with_each_failed_probe_up_to_five_minutes() -> None:
    assert rests_of(RestPeriods(0.0, middle), 9) == pytest.approx([5, 10, 20, 40, 80, 160, 300, 300, 300])


def test_where_nothing_works_anywhere_the_rests_stay_short() -> None:
    assert rests_of(RestPeriods(0.0, middle), 7, common=True) == pytest.approx([5, 10, 20, 40, 60, 60, 60])


def test_a_proxy_that_fails_again_at_once_rests_longer() -> None:
    """A probe may come through where nothing else does."""
    health, now, rests = RestPeriods(0.0, middle), 0.0, []
    for _ in range(3):
        now += 0.5
        health.rest(now, now)
        rests.append(health.resting_until - now)
        now = health.resting_until
        health.begin_probe()
        health.recovered(now)
        assert health.works
    assert rests == pytest.approx([5, 10, 20])


def test_an_unsteady_proxy_is_trusted_again_after_ten_minutes_of_work() -> None:
    """Its good answers between the failures, and one good test, prove nothing."""
    health, now, rests = RestPeriods(0.0, middle), 0.0, []
    for worked in (1.0, 100.0, 500.0, 601.0):
        now += worked
        health.rest(now, now, unsteady=worked < 600.0)
        rests.append(health.resting_until - now)
        assert health.tests_to_return == (5 if worked < 600.0 else 1)
        now = health.resting_until
        health.begin_probe()
        health.recovered(now)
    assert rests == pytest.approx([5, 10, 20, 5])


def test_a_proxy_that_worked_for_longer_than_it_rested_begins_anew() -> None:
    health = RestPeriods(0.0, middle)
    for now in (0.0, 5.5):
        health.rest(now, now)
        health.begin_probe()
        health.recovered(health.resting_until)
    assert health.rests == 2
    health.rest(40.0, 39.0)
    assert (health.rests, health.failing_since) == (1, 39.0)
    assert health.resting_until == pytest.approx(45.0)


def test_the_failing_began_before_the_first_rest_of_a_row() -> None:
    health = RestPeriods(0.0, middle)
    health.rest(10.0, 7.0)
    health.begin_probe()
    health.rest(20.0, 18.0)
    assert health.failing_since == 7.0


def test_only_what_brought_an_answer_lately_is_shown_as_healthy() -> None:
    health = RestPeriods(0.0, middle)
    assert health.shown(1.0, None) is State.HEALTHY
    assert health.shown(IDLE_AFTER + 1.0, None) is State.IDLE
    assert health.shown(500.0, 500.0 - IDLE_AFTER) is State.HEALTHY
    assert health.shown(500.0, 499.0 - IDLE_AFTER) is State.IDLE
    health.rest(500.0, 400.0)
    assert health.shown(501.0, 400.0) is State.RESTING
    health.begin_probe()
    health.recovered(505.0)
    assert health.shown(506.0, 400.0) is State.HEALTHY, "the probe was an answer"


@given(
    steps=st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.0, 100.0)), max_size=100),
    draw=st.floats(0.0, 1.0, exclude_max=True),
)
def test_no_rest_is_longer_than_it_says(steps: list[tuple[bool, bool, float]], draw: float) -> None:
    health, now = RestPeriods(0.0, lambda: draw), 0.0
    for recovers, common, pause in steps:
        now += pause
        health.rest(now, now, common=common)
        assert 4.5 - 1e-6 <= health.resting_until - now <= (66.0 if common else 330.0) + 1e-6
        now = health.resting_until
        health.begin_probe()
        if recovers:
            health.recovered(now)
