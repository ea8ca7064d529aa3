"""No kind of work starves, however slow the answers are."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture.scheduler import Kind, Task, choose, idle_seconds

LATENCIES = [0.05, 0.3, 1.0, 2.4, 3.0, 10.0, 30.0]
NO_REQUEST = {Kind.AUDIT, Kind.PRUNE, Kind.PACK}
BACKGROUND = [kind for kind in Kind if not kind.urgent]


def play(latency: float, polls: int, background: list[Kind], seconds: float, interval: float = 2.5) -> list[Kind]:
    """Work under a fake clock: each step takes `latency`; background work is always waiting for its next step."""
    now, previous = 0.0, None
    due = {(Kind.POLL, key): 0.0 for key in range(polls)} | {(kind, 0): 0.0 for kind in background}
    done: list[Kind] = []
    while now < seconds:
        tasks = [Task(kind, at, key) for (kind, key), at in due.items()]
        task = choose(tasks, now, previous)
        if task is None:
            now += max(0.001, idle_seconds(tasks, now))
            continue
        began = now
        now += 0.0 if task.kind in NO_REQUEST else latency
        pause = {Kind.POLL: interval, Kind.AUDIT: 5.0, Kind.PRUNE: 15.0, Kind.PACK: 60.0}.get(task.kind)
        due[task.kind, task.key] = began + pause if pause else now
        previous = task.kind if task.kind.sends_request else previous  # as the capture loop does
        done.append(task.kind)
    return done


@pytest.mark.parametrize("latency", LATENCIES)
def test_every_kind_of_work_gets_its_share(latency: float) -> None:
    done = Counter(play(latency, 1, BACKGROUND, 200 * max(latency, 2.5)))
    requests = sum(done.values()) - sum(done[kind] for kind in NO_REQUEST)
    assert done[Kind.PRUNE] >= 5
    for kind in (Kind.JOIN, Kind.REPAIR, Kind.RETURN, Kind.LATE_SCAN):
        assert done[kind] >= requests * 0.08, f"{kind} got {done[kind]} of {requests} requests"


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("polls", [1, 3, 18])
def test_polls_keep_half_of_the_time_when_answers_are_slow(latency: float, polls: int) -> None:
    done = play(latency, polls, BACKGROUND, 300 * max(latency, 2.5))
    requests = [kind for kind in done if kind not in NO_REQUEST]
    overloaded = latency * polls >= 2.5
    share = requests.count(Kind.POLL) / len(requests)
    assert share >= 0.48 if overloaded else requests.count(Kind.POLL) >= 100 * polls


@pytest.mark.parametrize("latency", LATENCIES)
def test_polls_never_wait_for_two_background_steps(latency: float) -> None:
    done = [kind for kind in play(latency, 1, BACKGROUND, 300 * max(latency, 2.5)) if kind not in NO_REQUEST]
    if latency >= 2.5:  # a poll is always due
        assert all(Kind.POLL in pair for pair in itertools.pairwise(done))


def test_every_group_is_polled_in_turn() -> None:
    now, due, order, previous = 0.0, dict.fromkeys(range(5), 0.0), [], None
    for _ in range(50):
        task = choose([Task(Kind.POLL, at, key) for key, at in due.items()], now, previous)
        assert task is not None
        order.append(task.key)
        due[task.key] = now + 0.25
        now += 3.0
    assert set(Counter(order).values()) == {10}


@given(
    st.lists(st.tuples(st.sampled_from(list(Kind)), st.floats(-100, 100)), max_size=12),
    st.sampled_from([None, *Kind]),
    st.randoms(use_true_random=False),
)
def test_only_what_is_due_is_chosen_and_something_is_if_anything_is(
    work: list[tuple[Kind, float]], previous: Kind | None, order: random.Random
) -> None:
    tasks = [Task(kind, due, number) for number, (kind, due) in enumerate(work)]
    chosen = choose(tasks, 0.0, previous)
    assert (chosen is None) == (not any(task.due <= 0.0 for task in tasks))
    assert chosen is None or chosen.due <= 0.0
    shuffled = tasks[:]
    order.shuffle(shuffled)
    again = choose(shuffled, 0.0, previous)
    assert (again is None) == (chosen is None)
    assert again is None or chosen is None or again.due == chosen.due


def test_nothing_to_do_means_a_bounded_sleep() -> None:
    assert idle_seconds([], 0.0) == 60.0
    assert idle_seconds([Task(Kind.POLL, 5.0)], 2.0) == 3.0
    assert idle_seconds([Task(Kind.POLL, 1.0)], 2.0) == 0.0
