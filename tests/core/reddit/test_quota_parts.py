"""Several machines with a part of one client's quota each: they keep it together, and none starves."""

import heapq
import itertools
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.reddit.quota import WINDOW, Priority, Quota, RateHeaders, advance, granted, part_of, wait_for
from core.reddit.quota_answers import answered, refused

PER_MINUTE = 60.0
LIMIT = 600
BIRTH = 1_700_000_000.0


@dataclass
class Reddit:
    """Counts the requests of all machines in fixed windows, says so in its headers, and refuses what is above."""

    counts: Counter[int] = field(default_factory=Counter)

    def serve(self, now: float) -> RateHeaders:
        window = int((now - BIRTH) // WINDOW)
        self.counts[window] += 1
        used = self.counts[window]
        return RateHeaders(used, max(0, LIMIT - used), math.ceil(BIRTH + (window + 1) * WINDOW - now))


class Flight(NamedTuple):
    """A request on its way: when its answer arrives, a number, when it was sent, by whom, and the answer."""

    at: float
    number: int
    sent_at: float
    asker: "Asker"
    headers: RateHeaders


@dataclass
class Asker:
    """A machine: a stream that requests at an even pace, and a scraper that takes all that it gets."""

    part: float
    pace: float = 0.0
    concurrency: int = 0
    quota: Quota = field(default_factory=lambda: Quota(limit=1.0))
    flying: int = 0
    stream_due: float = BIRTH
    served: Counter[Priority] = field(default_factory=Counter)

    def take(self, flight: Flight, now: float) -> None:
        """Receive an answer."""
        self.look(now)
        headers, sent_at = flight.headers, flight.sent_at
        if headers.used is not None and headers.used <= LIMIT:
            self.quota = answered(self.quota, headers, sent_at, now, PER_MINUTE)
        else:
            self.quota = refused(self.quota, sent_at, None, now, headers)
        self.flying -= 1

    def look(self, now: float) -> None:
        self.quota = advance(self.quota, now, PER_MINUTE, self.part)

    def due(self, now: float) -> Priority | None:
        self.look(now)
        if self.pace and now >= self.stream_due and wait_for(self.quota, Priority.STREAM, now) == 0.0:
            self.stream_due = now + 1.0 / self.pace
            return Priority.STREAM
        if self.flying < self.concurrency and wait_for(self.quota, Priority.SCRAPER, now) == 0.0:
            return Priority.SCRAPER
        return None


def simulate(machines: list[Asker], begin: float, seconds: float, reddit: Reddit, draw: random.Random) -> None:
    """Let the machines request for a time, in steps of a quarter of a second; answers overtake each other."""
    numbers = itertools.count()
    flights: list[Flight] = []
    for step in range(int(seconds * 4)):
        now = begin + step / 4
        while flights and flights[0].at <= now:
            flight = heapq.heappop(flights)
            flight.asker.take(flight, now)
        for asker in machines:
            while (priority := asker.due(now)) is not None:
                asker.quota = granted(asker.quota, priority, now)
                asker.flying += 1
                asker.served[priority] += 1
                arrival = now + draw.uniform(0.1, 2.0)
                heapq.heappush(flights, Flight(arrival, next(numbers), now, asker, reddit.serve(now)))
    for flight in sorted(flights):
        flight.asker.take(flight, max(flight.at, begin + seconds))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32), parts=st.sampled_from([(1.0,), (0.5, 0.5), (0.1, 0.3, 0.6), (0.25,) * 4, (0.02, 0.98)])
)
def test_greedy_machines_together_keep_the_quota_and_each_stream_has_its_part(
    seed: int, parts: tuple[float, ...]
) -> None:
    draw, reddit = random.Random(seed), Reddit()
    offset = draw.uniform(0.0, WINDOW)  # the machines start somewhere in Reddit's window
    machines = [Asker(part, pace=0.5 * part * PER_MINUTE / 60.0, concurrency=draw.choice([0, 5, 10])) for part in parts]
    simulate(machines, BIRTH + offset, 2 * WINDOW, reddit, draw)
    assert max(reddit.counts.values()) <= 1.05 * LIMIT
    for asker in machines:
        assert asker.served[Priority.STREAM] >= 0.85 * asker.pace * 2 * WINDOW - 2


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 4))
def test_parts_that_change_while_all_are_greedy_keep_the_quota(seed: int, count: int) -> None:
    """Machines join, leave and get other parts in the middle of a window; together they never have more than one."""
    draw, reddit = random.Random(seed), Reddit()
    begin, machines = BIRTH + draw.uniform(0.0, WINDOW), [Asker(1.0, pace=0.1, concurrency=10)]
    for _ in range(16):
        if draw.random() < 0.3 and len(machines) < count:
            machines.append(Asker(1.0, pace=0.1, concurrency=10))
        elif draw.random() < 0.2 and len(machines) > 1:
            machines.remove(draw.choice(machines))
        weights = [draw.uniform(0.2, 1.0) for _ in machines]
        for asker, weight in zip(machines, weights, strict=True):
            asker.part = weight / sum(weights)
        simulate(machines, begin, 75.0, reddit, draw)
        begin += 75.0
    assert max(reddit.counts.values()) <= 1.05 * LIMIT


def test_the_rest_of_a_window_is_not_spent_by_every_machine_in_full() -> None:
    """Headers that say "60 remain" leave 20 to each of three machines, though their own counts leave more."""
    thirds = [advance(Quota(limit=1.0), BIRTH, PER_MINUTE, 1 / 3) for _ in range(3)]
    headers = RateHeaders(LIMIT - 60, 60, 300.0)
    quotas = [answered(granted(one, Priority.STREAM, BIRTH), headers, BIRTH, BIRTH + 1, PER_MINUTE) for one in thirds]
    assert [one.remaining() for one in quotas] == pytest.approx([20.0] * 3)


def test_a_smaller_quota_in_the_headers_is_divided_in_the_same_way() -> None:
    quota = advance(Quota(limit=1.0), BIRTH, PER_MINUTE, 0.5)
    quota = answered(granted(quota, Priority.STREAM, BIRTH), RateHeaders(0, 100, 600.0), BIRTH, BIRTH, PER_MINUTE)
    assert (quota.own_limit(), quota.remaining()) == (50.0, 50.0)


def used_evenly(part: float, until: float) -> Quota:
    """Return the quota after a part of the window, at an even pace."""
    quota = advance(Quota(limit=1.0), BIRTH, PER_MINUTE, part)
    for number in range(int(part * LIMIT * until)):
        now = BIRTH + number * WINDOW / part / LIMIT
        quota = advance(quota, now, PER_MINUTE)
        quota = answered(granted(quota, Priority.STREAM, now), None, now, now, PER_MINUTE)
    return advance(quota, BIRTH + until * WINDOW, PER_MINUTE)


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.25), (0.25, 1.0), (0.02, 1.0), (0.5, 0.1)])
def test_a_part_that_changes_in_the_middle_of_a_window_counts_for_the_rest_of_it(before: float, after: float) -> None:
    quota = advance(used_evenly(before, 0.5), BIRTH + WINDOW / 2, PER_MINUTE, after)
    assert quota.own_remaining() == pytest.approx(after * LIMIT / 2, abs=1.0)


def test_a_machine_that_used_its_small_part_up_continues_at_once_when_it_takes_over() -> None:
    quota = advance(Quota(limit=1.0), BIRTH, PER_MINUTE, 0.02)
    for _ in range(12):
        quota = answered(granted(quota, Priority.STREAM, BIRTH), None, BIRTH, BIRTH, PER_MINUTE)
    now = BIRTH + 60.0
    assert wait_for(advance(quota, now, PER_MINUTE), Priority.STREAM, now) > 60.0
    assert wait_for(advance(quota, now, PER_MINUTE, 1.0), Priority.STREAM, now) == 0.0


@pytest.mark.parametrize("part", [0.5, 0.25, 0.02])
def test_a_machine_that_joins_after_a_burst_leaves_the_first_one_its_part_of_the_rest(part: float) -> None:
    """A crawl has used most of the window early. The streams of the first machine must not wait for the next one."""
    quota, now = advance(Quota(limit=1.0), BIRTH, PER_MINUTE, 1.0), BIRTH + 60.0
    for number in range(int(0.8 * LIMIT)):
        headers = RateHeaders(number + 1.0, LIMIT - number - 1.0, WINDOW - 60.0)
        quota = answered(granted(quota, Priority.STREAM, now), headers, now, now + number / 1e5, PER_MINUTE)
    now += 1.0
    halved = advance(quota, now, PER_MINUTE, part)
    assert halved.remaining() == pytest.approx(part * 0.2 * LIMIT)
    assert wait_for(halved, Priority.STREAM, now) == 0.0
    for _ in range(50):  # shares change with each heartbeat
        halved = advance(advance(halved, now, PER_MINUTE, 0.9), now, PER_MINUTE, part)
    assert halved.own_remaining() == pytest.approx(part * 0.2 * LIMIT)
    assert advance(halved, now, PER_MINUTE, 1.0).remaining() == pytest.approx(0.2 * LIMIT), "alone again"


def test_parts_that_change_back_and_forth_lift_no_limit() -> None:
    """What a machine has sent stays counted: changes alone never leave it more than an even pace would."""
    quota, sent = advance(Quota(limit=1.0), BIRTH, PER_MINUTE, 0.5), 0
    draw = random.Random(7)
    for second in range(int(WINDOW) - 1):
        now = BIRTH + second
        quota = advance(quota, now, PER_MINUTE, draw.choice([0.5, 0.25, 0.1]))
        while wait_for(quota, Priority.STREAM, now) == 0.0:
            quota = answered(granted(quota, Priority.STREAM, now), None, now, now, PER_MINUTE)
            sent += 1
    assert sent <= 0.5 * LIMIT


def test_the_part_of_a_share() -> None:
    assert part_of(None, 100.0) == part_of(100.0, 100.0) == part_of(150.0, 100.0) == 1.0
    assert part_of(25.0, 100.0) == 0.25
    assert 0.0 < part_of(0.0, 100.0) < 0.01
    assert 0.0 < part_of(-5.0, 100.0) < 0.01
