"""The gate: who passes when, who waits, and that everybody who leaves, leaves his slot behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from scraper.http.pacing.concurrency_limiter import ConcurrencyLimiter
from scraper.http.transport.route import ProxyResting
from tests.scraper.http.times import Times


def make(slots: int) -> ConcurrencyLimiter:
    times = Times()
    return ConcurrencyLimiter(slots, times.clock, times.sleep)


async def settle() -> None:
    """Let everybody get as far as he can."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()

    uvloop.run(whole())


def test_as_many_pass_as_there_are_slots_and_then_in_the_order_of_their_coming() -> None:
    async def scenario() -> None:
        limiter, passed = make(2), []

        async def one(number: int) -> None:
            await limiter.enter()
            passed.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(5)]
        await settle()
        assert passed == [0, 1]
        assert (limiter.idle, limiter.in_flight) == (0, 2)
        limiter.leave()
        await settle()
        assert passed == [0, 1, 2]
        for _ in range(2):
            limiter.leave()
        await asyncio.gather(*tasks)
        assert passed == [0, 1, 2, 3, 4]
        assert limiter.in_flight == 2
        limiter.leave()
        limiter.leave()
        assert (limiter.idle, limiter.in_flight) == (2, 0)

    run(scenario)


def test_urgent_requests_go_before_those_that_wait_longer_and_in_their_own_order() -> None:
    async def scenario() -> None:
        limiter, passed = make(1), []

        async def one(name: str, *, urgent: bool) -> None:
            await limiter.enter(urgent=urgent)
            passed.append(name)
            limiter.leave()

        await limiter.enter()
        tasks = [asyncio.create_task(one(name, urgent=name.startswith("u"))) for name in ("a", "u1", "b", "u2")]
        await settle()
        limiter.leave()
        await asyncio.gather(*tasks)
        assert passed == ["u1", "u2", "a", "b"]
        assert limiter.idle == 1

    run(scenario)


def test_a_newcomer_does_not_pass_by_those_who_wait() -> None:
    async def scenario() -> None:
        limiter, passed = make(1), []

        async def one(name: str) -> None:
            await limiter.enter()
            passed.append(name)

        await limiter.enter()
        early = asyncio.create_task(one("early"))
        await settle()
        limiter.leave()  # the slot is early's now, though it has not woken yet
        late = asyncio.create_task(one("late"))
        await settle()
        assert passed == ["early"]
        limiter.leave()
        await asyncio.gather(early, late)
        assert passed == ["early", "late"]

    run(scenario)


def test_who_is_cancelled_while_waiting_takes_no_slot() -> None:
    async def scenario() -> None:
        limiter = make(1)
        await limiter.enter()
        waiting = [asyncio.create_task(limiter.enter()) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        await settle()
        limiter.leave()
        waiting[1].cancel()  # in the moment in which the slot was handed over
        await settle()
        assert waiting[2].done()
        assert limiter.in_flight == 1
        limiter.leave()
        assert (limiter.idle, limiter.in_flight) == (1, 0)

    run(scenario)


def test_a_hold_stops_all_until_it_is_over_and_a_shorter_one_does_not_shorten_it() -> None:
    async def scenario() -> None:
        now = [0.0]
        naps: list[asyncio.Future[None]] = []

        async def sleep(_: float) -> None:
            naps.append(asyncio.get_running_loop().create_future())
            await naps[-1]

        limiter = ConcurrencyLimiter(3, lambda: now[0], sleep)
        limiter.hold(10.0)
        limiter.hold(2.0)
        assert limiter.held
        assert limiter.idle == 0
        waiting = [asyncio.create_task(limiter.enter()) for _ in range(2)]
        await settle()
        now[0] = 9.0
        for nap in naps[:2]:
            nap.set_result(None)  # woken early: it looks again
        await settle()
        assert limiter.in_flight == 0
        now[0] = 10.0
        assert limiter.idle == 0, "those who waited come first"
        for nap in naps[2:]:
            nap.set_result(None)
        await asyncio.gather(*waiting)
        assert (limiter.idle, limiter.in_flight) == (1, 2)

    run(scenario)


def test_a_hold_that_begins_while_one_waits_for_a_slot_counts_for_it_too() -> None:
    async def scenario() -> None:
        times = Times()
        limiter = ConcurrencyLimiter(1, times.clock, times.sleep)
        await limiter.enter()
        waiting = asyncio.create_task(limiter.enter())
        await settle()
        limiter.hold(7.0)
        limiter.leave()
        await waiting
        assert times.slept == [pytest.approx(7.0, abs=0.5)]
        assert limiter.in_flight == 1

    run(scenario)


def test_shutting_sends_away_at_once_all_who_wait_for_whatever() -> None:
    async def scenario() -> None:
        async def for_ever(_: float) -> None:
            await asyncio.Event().wait()

        limiter = ConcurrencyLimiter(1, lambda: 0.0, for_ever)
        await limiter.enter()
        queued = asyncio.create_task(limiter.enter())
        napping = asyncio.create_task(limiter.pause(100.0))
        await settle()
        limiter.hold(50.0)
        held = asyncio.create_task(limiter.enter())
        await settle()
        limiter.shut(until=30.0)
        results = await asyncio.gather(queued, napping, held, return_exceptions=True)
        assert [type(result) for result in results] == [ProxyResting] * 3
        assert results[0].seconds == 30.0  # type: ignore[union-attr]  # it is one
        for late in (limiter.enter(), limiter.pause(1.0)):
            with pytest.raises(ProxyResting):
                await late
        assert (limiter.idle, limiter.in_flight) == (0, 1)
        limiter.leave()
        assert limiter.idle == 0

    run(scenario)


def test_shutting_reaches_who_was_just_handed_a_slot() -> None:
    async def scenario() -> None:
        limiter = make(1)
        await limiter.enter()
        waiting = asyncio.create_task(limiter.enter())
        await settle()
        limiter.leave()
        limiter.shut(until=5.0)
        with pytest.raises(ProxyResting):
            await waiting
        assert limiter.in_flight == 0

    run(scenario)


def test_opening_lets_all_in_again() -> None:
    async def scenario() -> None:
        limiter = make(2)
        limiter.shut(until=5.0)
        limiter.open()
        await limiter.enter()
        await limiter.pause(1.0)
        assert (limiter.idle, limiter.in_flight) == (1, 1)

    run(scenario)
