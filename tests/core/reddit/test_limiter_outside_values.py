"""The shared quota file and values that no header should have said, or that an older version stored."""

import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.reddit.bounds import FIRST_PROBE, PROBE_INTERVAL
from core.reddit.limiter import Grant, Limiter, Wait, limiter_path, read_counters, read_quota
from core.reddit.quota import GRANT_LIFETIME, STORED, WINDOW, Priority, RateHeaders
from core.status.stream_stats import read_flow

PER_MINUTE = 100.0
BIRTH = 1_700_000_000.0
NOTHING_REMAINS = RateHeaders(used=1000.0, remaining=0.0, reset=1e12)

#: The columns of version 1: what an installation that is updated has on its disk.
OLD = (
    "limit",
    "used",
    "stream_pace",
    "stream_at",
    "window_start",
    "reset_at",
    "blocked_until",
    "refusals",
    "refused_at",
)


class Clock:
    """Stands still until it is moved."""

    now = BIRTH

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Callable[[str], Limiter]]:
    made: list[Limiter] = []

    def make(name: str) -> Limiter:
        made.append(Limiter(tmp_path, name, PER_MINUTE, clock=clock))
        return made[-1]

    yield make
    for limiter in made:
        limiter.close()


def take(limiter: Limiter, priority: Priority = Priority.STREAM) -> Grant:
    answer = limiter.ask(priority)
    assert isinstance(answer, Grant), answer
    return answer


def store_by_an_older_version(path: Path, **odd: object) -> None:
    """Write a file as version 1 did, with a window in which half of the quota is used."""
    usual: dict[str, object] = dict.fromkeys(OLD, 0.0)
    usual |= {"limit": 1000.0, "used": 500.0, "window_start": BIRTH - 300.0, "reset_at": BIRTH + 300.0} | odd
    with sqlite3.connect(limiter_path(path)) as connection:
        columns = ", ".join(f'"{name}" REAL' for name in OLD)
        connection.execute(f"CREATE TABLE quota (id INTEGER PRIMARY KEY CHECK (id = 1), {columns})")
        connection.execute("CREATE TABLE grants (id INTEGER PRIMARY KEY AUTOINCREMENT, process TEXT, at REAL)")
        connection.execute(
            "CREATE TABLE requests (process TEXT, status TEXT, count INTEGER, PRIMARY KEY (process, status))"
        )
        connection.execute("INSERT INTO requests VALUES ('comments', '429', 7)")
        marks = ", ".join("?" for _ in OLD)
        connection.execute(f"INSERT INTO quota VALUES (1, {marks})", [usual[name] for name in OLD])
    connection.close()


def test_a_file_of_the_version_before_keeps_its_counts(make: Callable[[str], Limiter], tmp_path: Path) -> None:
    store_by_an_older_version(tmp_path)
    before = read_quota(tmp_path)
    assert before is not None
    assert (before.used, before.reset_at) == (500.0, BIRTH + 300.0), "read before any process opened it"
    take(make("comments"))
    quota = read_quota(tmp_path)
    assert quota is not None
    assert (quota.used, quota.outstanding, quota.reset_at) == (500.0, 1, BIRTH + 300.0)
    assert read_counters(tmp_path)["rate_limit_hits"] == 7


@pytest.mark.parametrize(
    "odd",
    [
        {"reset_at": BIRTH + 1e12, "used": 1e12},
        {"blocked_until": BIRTH + 1e12, "refusals": 9.0, "refused_at": BIRTH - 1.0},
        {"limit": 1.0, "used": 1.0},
        {"limit": None, "used": None, "reset_at": None, "refusals": None},
        {"limit": math.inf, "used": math.inf, "blocked_until": math.inf},
        {"refused_at": 1e300, "stream_at": 1e300, "stream_pace": 1e300},
        {"used": "many", "reset_at": "soon", "refusals": "x"},
    ],
)
def test_a_poisoned_file_recovers_by_itself(
    make: Callable[[str], Limiter], tmp_path: Path, clock: Clock, odd: dict[str, object]
) -> None:
    """No restart and no deleted file: the first request is a test, and its answer sets everything right."""
    store_by_an_older_version(tmp_path, **odd)
    assert read_flow(tmp_path, (), 100, BIRTH).unreadable == []
    limiter = make("comments")
    limiter.answered(take(limiter), "200", RateHeaders(6.0, 994.0, 300.0))
    clock.now += 0.1
    for _ in range(10):
        take(limiter)
    with sqlite3.connect(limiter_path(tmp_path)) as connection:
        stored = connection.execute(f"SELECT {', '.join(STORED)} FROM quota".replace("limit", '"limit"')).fetchone()
    connection.close()
    assert all(isinstance(value, float) and math.isfinite(value) for value in stored)


def test_one_odd_answer_stops_all_processes_for_half_a_minute_only(
    make: Callable[[str], Limiter], clock: Clock
) -> None:
    processes = [make(name) for name in ("submissions", "comments", "scraper-a")]
    processes[0].answered(take(processes[0]), "200", NOTHING_REMAINS)
    for limiter in processes:
        answer = limiter.ask(Priority.STREAM)
        assert isinstance(answer, Wait)
        assert answer.seconds == FIRST_PROBE
    clock.now += FIRST_PROBE
    answers = [limiter.ask(Priority.STREAM) for limiter in processes]
    tests = [answer for answer in answers if isinstance(answer, Grant)]
    assert len(tests) == 1, "one test over all processes"
    clock.now += 1.0
    processes[0].answered(tests[0], "200", RateHeaders(7.0, 993.0, 300.0))
    for limiter in processes:
        take(limiter)
    assert processes[0].state().used == 7.0


def test_a_test_whose_process_is_killed_is_followed_by_another(make: Callable[[str], Limiter], clock: Clock) -> None:
    victim, other = make("victim"), make("other")
    victim.refused(take(victim), 600.0)
    clock.now += PROBE_INTERVAL
    take(victim)
    victim.close()
    assert isinstance(other.ask(Priority.STREAM), Wait)
    clock.now += PROBE_INTERVAL
    other.answered(take(other), "200", None)
    take(other)


def test_a_429_with_a_reset_of_a_second_costs_two_seconds(make: Callable[[str], Limiter], clock: Clock) -> None:
    one, two = make("one"), make("two")
    assert one.refused(take(one), None, RateHeaders(1000.0, 0.0, 1.0)) == pytest.approx(2.0)
    assert isinstance(two.ask(Priority.STREAM), Wait)
    clock.now += 2.0
    two.answered(take(two), "200", RateHeaders(1.0, 999.0, 600.0))
    take(one)
    take(two)


@pytest.mark.parametrize("status", ["401", "408", "500", "503"])
def test_an_answer_that_served_nothing_does_not_end_a_wait(
    make: Callable[[str], Limiter], clock: Clock, status: str
) -> None:
    limiter = make("comments")
    limiter.refused(take(limiter), 300.0)
    clock.now += PROBE_INTERVAL
    limiter.answered(take(limiter), status, None)
    assert isinstance(limiter.ask(Priority.STREAM), Wait)


@pytest.mark.parametrize("step", [-7200.0, -90.0, -10.0, 10.0, 90.0, 7200.0])
def test_a_clock_step_loses_no_grant_and_blocks_nothing(
    make: Callable[[str], Limiter], clock: Clock, step: float
) -> None:
    limiter = make("comments")
    grants = [take(limiter) for _ in range(5)]
    clock.now += step
    state = limiter.state()
    assert state.used + state.outstanding == 5 or step > WINDOW, "each still counts, once"
    for grant in grants:
        limiter.answered(grant, "200", None)
    state = limiter.state()
    assert (state.used, state.outstanding) == (5, 0)
    clock.now += GRANT_LIFETIME + 1.0
    assert limiter.state().used == 5
    take(limiter)
