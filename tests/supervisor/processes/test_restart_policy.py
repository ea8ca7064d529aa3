"""Every rule of the restart policy, by example and by property."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PERMANENT_EXIT
from supervisor.processes import restart_policy
from supervisor.processes.restart_policy import (
    FIRST_DELAY,
    LONGEST_DELAY,
    MOST_FAILURES,
    STABLE_AFTER,
    WINDOW,
    RestartState,
    State,
)

CODES = st.one_of(st.integers(0, 77), st.integers(79, 255), st.integers(-31, -1))


def fail(life: RestartState, now: float, code: int = 1, draw: float = 1.0) -> RestartState:
    return restart_policy.exited(restart_policy.started(life, now), code, now, draw)


def test_the_first_restart_is_quick_and_the_delays_double_up_to_the_cap() -> None:
    assert [restart_policy.backoff(n, 1.0) for n in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30]
    assert restart_policy.backoff(20, 1.0, restart_policy.LONGEST_AFTER_KILL) == 8
    assert restart_policy.backoff(1, 0.0) == FIRST_DELAY / 2


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_delay_never_exceeds_the_cap_and_never_vanishes(failures: int, draw: float) -> None:
    assert FIRST_DELAY / 2 <= restart_policy.backoff(failures, draw) <= LONGEST_DELAY


def test_ten_failed_starts_park_a_child_that_was_never_ready() -> None:
    life = RestartState()
    for n in range(MOST_FAILURES):
        assert life.state is not State.FATAL, n
        life = fail(life, now=float(n))
    assert life.state is State.FATAL
    assert "10 times" in life.why


def test_an_exit_that_says_never_parks_at_once() -> None:
    assert fail(RestartState(), 0.0, PERMANENT_EXIT).state is State.FATAL
    running = restart_policy.ready(restart_policy.started(RestartState(), 0.0), 1.0)
    assert restart_policy.exited(running, PERMANENT_EXIT, 2.0, 0.5).state is State.FATAL


@given(st.lists(st.tuples(CODES, st.floats(0, 1), st.booleans(), st.floats(0, 60)), max_size=60))
def test_a_child_is_restarted_until_it_failed_too_often_within_the_window(
    deaths: list[tuple[int, float, bool, float]],
) -> None:
    life = restart_policy.ready(restart_policy.started(RestartState(), 0.0), 0.0)
    now, faults = 0.0, list[float]()
    for code, draw, becomes_ready, lived in deaths:
        now += lived
        if life.state is State.RUNNING and now - life.since >= STABLE_AFTER:
            faults = []
        faults = [moment for moment in faults if now - moment < WINDOW] + ([now] if code != -9 else [])
        life = restart_policy.exited(life, code, now, draw)
        assert life.last_exit == code
        assert (life.state is State.FATAL) == (len(faults) >= MOST_FAILURES)
        if life.state is State.FATAL:
            assert life.why.startswith("it failed 10 times within ")
            return
        assert now < life.restart_at <= now + LONGEST_DELAY
        now = life.restart_at
        life = restart_policy.started(life, now)
        if becomes_ready:
            life = restart_policy.ready(life, now)
    assert life.restarts == len(deaths)


def test_a_hang_is_its_own_fault_though_it_was_killed_for_it() -> None:
    life = restart_policy.ready(restart_policy.started(RestartState(), 0.0), 0.0)
    for n in range(MOST_FAILURES):
        life = restart_policy.exited(restart_policy.started(life, float(n)), -9, float(n), 1.0, hung=True)
    assert life.state is State.FATAL


def test_failures_older_than_the_window_are_forgiven() -> None:
    life = RestartState()
    for n in range(3 * MOST_FAILURES):
        life = fail(life, n * WINDOW / (MOST_FAILURES - 1))
    assert life.state is State.BACKOFF


def test_being_killed_while_starting_is_not_held_against_a_child() -> None:
    life = RestartState()
    for n in range(3 * MOST_FAILURES):
        life = fail(life, float(n), code=-9)
    assert life.state is State.BACKOFF


def test_after_a_stable_time_the_backoff_starts_again() -> None:
    life = RestartState()
    for n in range(5):
        life = fail(life, float(n))
    life = restart_policy.ready(restart_policy.started(life, 10.0), 10.0)
    shaken = restart_policy.exited(life, -9, 10.0 + STABLE_AFTER - 1, 1.0)
    stable = restart_policy.exited(life, -9, 10.0 + STABLE_AFTER, 1.0)
    assert len(shaken.deaths) == 6
    assert len(stable.deaths) == 1
    assert stable.restart_at == pytest.approx(10.0 + STABLE_AFTER + FIRST_DELAY)


@pytest.mark.parametrize("code", [0, 1, -9, -15, PERMANENT_EXIT])
def test_whatever_the_exit_a_stopping_child_has_stopped(code: int) -> None:
    life = restart_policy.stop_requested(restart_policy.started(RestartState(), 0.0), 1.0, alive=True)
    assert life.state is State.STOPPING
    assert restart_policy.exited(life, code, 2.0, 0.5).state is State.EXITED


def test_ready_is_not_believed_of_a_stopping_child() -> None:
    life = restart_policy.stop_requested(restart_policy.started(RestartState(), 0.0), 1.0, alive=True)
    assert restart_policy.ready(life, 2.0) == life


def test_stop_ends_a_child_in_backoff_and_leaves_a_parked_one_parked() -> None:
    waiting = fail(RestartState(), 0.0)
    assert restart_policy.stop_requested(waiting, 1.0, alive=False).state is State.EXITED
    parked = replace(waiting, state=State.FATAL)
    assert restart_policy.stop_requested(parked, 1.0, alive=False) == parked


@given(st.lists(st.tuples(CODES, st.floats(0, 1)), max_size=30))
def test_a_person_wakes_a_child_in_whatever_state_and_its_faults_are_forgiven(deaths: list[tuple[int, float]]) -> None:
    life = RestartState()
    for n, (code, draw) in enumerate(deaths):
        life = fail(life, float(n), code, draw)
    woken = restart_policy.restart_requested(replace(life, why="parked"), 99.0)
    assert (woken.state, woken.restart_at, woken.why) == (State.BACKOFF, 99.0, "")
    assert restart_policy.started(woken, 99.0).restarts == life.restarts + 1
    assert fail(woken, 100.0).restart_at <= 100.0 + FIRST_DELAY


def test_exits_in_words() -> None:
    assert [restart_policy.describe_exit(code) for code in (0, 78, -9, -99)] == [
        "code 0",
        "code 78",
        "SIGKILL",
        "signal 99",
    ]
