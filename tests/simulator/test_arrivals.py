"""Items arrive at their rate exactly, through bursts, pauses and late looks."""

import itertools
import math
import random

import pytest

from simulator.arrivals import Arrivals


def arrivals(rate: float) -> Arrivals:
    return Arrivals(rate, 100.0, random.Random(1))


def until(source: Arrivals, now: float) -> list[float]:
    """All creation times up to now."""
    times = []
    while source.next_at <= now:
        created = source.step()
        if created is not None:
            times.append(created)
    return times


def test_the_count_is_rate_times_time_however_late_one_looks() -> None:
    assert len(until(arrivals(20.0), 100.0 + 3600.0)) == 72_000


def test_times_ascend_and_differ_in_spacing() -> None:
    times = until(arrivals(10.0), 110.0)
    assert times == sorted(times)
    assert len({round(b - a, 6) for a, b in itertools.pairwise(times)}) > 50


def test_rate_zero_brings_nothing() -> None:
    assert arrivals(0.0).next_at == math.inf


def test_a_burst_ends_by_itself_at_its_exact_time() -> None:
    source = arrivals(2.0)
    source.set(50.0, 100.0, seconds=10.0)
    assert source.rate == 50.0
    assert len(until(source, 120.0)) == 500 + 20
    assert source.rate == 2.0


def test_a_burst_can_start_from_nothing() -> None:
    source = arrivals(0.0)
    source.set(5.0, 100.0, seconds=2.0)
    assert len(until(source, 200.0)) == 10


def test_a_lasting_rate_ends_a_burst() -> None:
    source = arrivals(2.0)
    source.set(50.0, 100.0, seconds=10.0)
    source.set(1.0, 101.0)
    assert len(until(source, 111.0)) == 10


def test_nothing_arrives_in_a_pause_and_the_rate_returns_after_it() -> None:
    source = arrivals(10.0)
    source.pause(100.0)
    assert until(source, 150.0) == []
    source.resume(150.0)
    assert until(source, 151.0)[0] >= 150.0
    assert source.rate == pytest.approx(10.0)
