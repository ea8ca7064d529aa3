"""Several proxies that know of each other: who rests, who goes on, and who comes back; answers of every look."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import structlog
import uvloop

from core.errors import GaplessError
from scraper.http.proxy.rest_periods import IDLE_AFTER
from scraper.http.proxy.siblings import Sibling
from scraper.http.retrying_fetcher import RetryingFetcher
from tests.scraper.http.clients import running
from tests.scraper.http.script import GOOD, HTML, Reply, Script
from tests.scraper.http.times import Times, until

#: What the answers of a bad exit look like.
LOOKS = {
    "challenge": Reply(200, "<!doctype html><html><script>go()</script></html>"),
    "empty": Reply(200, ""),
    "forbidden": Reply(403, {"message": "Forbidden", "error": 403}),
    "blocked": Reply(403, HTML),
    "cut": Reply(200, '{"kind": "Lis'),
    "server": Reply(502, HTML),
    "teapot": Reply(418, {}),
    "reset": Reply(reset=True),
    "gone": Reply(404, {"message": "Not Found", "error": 404}),
    "timeout": Reply(hang=True),
}


@dataclass(slots=True)
class Exit:
    """A proxy as its process sees it: what comes through it is what this server says."""

    script: Script
    client: RetryingFetcher
    asked: int = 0

    def sibling(self) -> Sibling:
        report = self.client.report()
        good_for = float("inf") if report.good_at is None else time.time() - report.good_at.timestamp()
        return Sibling(good_for, report.recent_good, report.recent_bad, report.failing, report.witness)

    async def work(self, most: int = 4) -> None:
        """Ask for new names, side by side, as long as it may; give up what fails."""
        if self.client.resting or self.client.idle == 0:
            return
        calls = [f"/r/name{self.asked + number}/about" for number in range(most)]
        self.asked += most
        await asyncio.gather(*(self.client.get(path, {}) for path in calls), return_exceptions=True)

    @property
    def served(self) -> int:
        return self.client.report().outcomes.get("ok", 0)


@contextlib.asynccontextmanager
async def fleet(times: Times, *bad: Reply | None) -> AsyncIterator[list[Exit]]:
    """Give an exit for each: one that answers so, or a good one."""
    exits: list[Exit] = []
    async with contextlib.AsyncExitStack() as stack:
        for reply in bad:
            script = await stack.enter_async_context(Script(otherwise=reply or GOOD))
            place = len(exits)

            def others(place: int = place) -> list[Sibling]:
                return [one.sibling() for number, one in enumerate(exits) if number != place]

            client = await stack.enter_async_context(
                running(
                    script.url, clock=times.clock, sleep=times.sleep, siblings=others, timeout=0.3, max_retries=1,
                    subreddits=("seed1", "seed2", "seed3"),
                )
            )  # fmt: skip
            exits.append(Exit(script, client))
        yield exits


async def work(exits: list[Exit], rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.gather(*(one.work() for one in exits))


class Slow(Times):
    """Rests are waited for until the test lets time pass; shorter pauses take none."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds > 3.0:
            await self.over.wait()
        await super().sleep(seconds)


class UntilRest(Times):
    """Time stands still as soon as the proxy rests."""

    client: RetryingFetcher | None = None

    async def sleep(self, seconds: float) -> None:
        if self.client is not None and self.client.resting:
            await asyncio.Event().wait()
        await super().sleep(seconds)


@pytest.mark.parametrize("good", [1, 2])
@pytest.mark.parametrize("look", LOOKS)
def test_a_bad_exit_beside_good_ones_rests_soon_and_comes_back(look: str, good: int) -> None:
    async def scenario() -> None:
        times = Slow()
        async with fleet(times, *[None] * good, LOOKS[look]) as exits:
            bad = exits[-1]
            with structlog.testing.capture_logs() as lines:
                await work(exits, 4)
                await until(lambda: bad.client.resting, "the bad one to rest")
                spoilt = len(bad.script.asked)
                await work(exits, 4)
                assert not any(one.client.resting for one in exits[:-1])
                assert all(one.served >= 32 for one in exits[:-1])
                assert len(bad.script.asked) == spoilt <= 40
                assert bad.client.idle == 0, "its process takes no more work"
                bad.script.otherwise = GOOD
                times.over.set()
                await until(lambda: not bad.client.resting, "it to come back")
                await work(exits, 2)
                assert bad.served >= 8
            failing = [line for line in lines if line["event"] == "proxy_failing"]
            assert [line["blame"] for line in failing] == ["proxy"]

    uvloop.run(scenario())


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("look", ["challenge", "forbidden", "server", "reset"])
def test_where_all_are_bad_all_rest_and_one_that_works_brings_back_the_others(look: str, count: int) -> None:
    async def scenario() -> None:
        times = Slow()
        async with fleet(times, *[LOOKS[look]] * count) as exits:
            with structlog.testing.capture_logs() as lines:
                await work(exits, 4)
                await until(lambda: all(one.client.resting for one in exits), "all to rest")
                for one in exits:
                    one.script.otherwise = GOOD
                times.over.set()
                await until(lambda: not any(one.client.resting for one in exits), "all to come back")
                await work(exits, 2)
            assert all(one.served >= 8 for one in exits)
            blames = {line["blame"] for line in lines if line["event"] == "proxy_failing"}
            assert blames == ({"proxy"} if count == 1 else {"everybody"})
            assert max(line["seconds"] for line in lines if line["event"] == "proxy_rests") <= 66.0

    uvloop.run(scenario())


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("look", ["challenge", "forbidden", "blocked", "server", "reset"])
def test_s03_a_name_that_fails_everywhere_is_no_reason_for_a_rest(look: str, count: int) -> None:
    async def scenario() -> None:
        times = Slow()
        async with fleet(times, *[None] * count) as exits:
            await work(exits, 2)
            for one in exits:
                one.script.places["/r/sub003/"] = LOOKS[look]
                for _ in range(4):  # it is all that is due
                    with pytest.raises(GaplessError):
                        await one.client.get("/r/sub003/about", {})
                await until(lambda: one.client.idle > 0, "the examination to end")  # noqa: B023
            await work(exits, 2)
            assert not any(one.client.resting for one in exits)
            assert [one.client.report().failing for one in exits] == [("r/sub003",)] * count

    uvloop.run(scenario())


def test_s03_a_seed_that_fails_is_no_reason_to_begin_with_a_rest() -> None:
    async def scenario() -> None:
        async with fleet(Slow(), None) as [one]:
            one.script.places["/r/seed1/"] = LOOKS["blocked"]
            assert await one.client.probe()

    uvloop.run(scenario())


@pytest.mark.parametrize("look", ["challenge", "forbidden", "server", "cut", "timeout"])
def test_an_exit_that_fails_at_a_part_of_its_requests_rests_until_it_is_steady(look: str) -> None:
    """Every second answer is bad, so one good test at the end of the rest proves nothing."""

    async def scenario() -> None:
        times = Slow()
        async with fleet(times, None, None, None) as exits:
            bad = exits[2]
            await work(exits, 3)  # 12 good answers of each
            bad.script.replies = [LOOKS[look] if number % 2 else GOOD for number in range(1000)]
            while not bad.client.resting and bad.asked < 60:
                await times.sleep(1.0)
                await work(exits, 1)
                # an examination waits for real timeouts, and nothing is asked meanwhile
                await until(lambda: bad.client.resting or bad.client.idle > 0, "the examination to end")
            assert bad.client.resting
            assert not any(one.client.resting for one in exits[:2])
            spoilt = len(bad.script.asked)
            assert spoilt <= 60
            times.over.set()
            await until(lambda: len(bad.script.asked) >= spoilt + 20, "tests at the ends of several rests")
            assert bad.client.resting, "none of them was served often enough in a row"
            bad.script.replies.clear()
            await until(lambda: not bad.client.resting, "it to come back")

    uvloop.run(scenario())


def test_s19_an_idle_proxy_is_tested_and_one_that_died_is_noticed() -> None:
    async def scenario() -> None:
        times = UntilRest()
        async with fleet(times, None) as [one]:
            times.client = one.client
            assert await one.client.probe()
            await work([one], 1)
            asked = len(one.script.asked)
            testing = asyncio.create_task(one.client.keep_testing())
            try:
                await until(lambda: len(one.script.asked) >= asked + 10, "ten tests")
                seconds = sum(times.slept) / (len(one.script.asked) - asked)
                assert 44.0 <= seconds <= IDLE_AFTER + 5.0, "about once a minute"
                assert one.client.report().state == "healthy", "it has answered within the minute"
                one.script.otherwise = Reply(reset=True)
                began = sum(times.slept)
                await until(lambda: one.client.resting, "it to be noticed")
                assert one.client.report().state == "resting"
                assert sum(times.slept) - began <= IDLE_AFTER + 10.0
            finally:
                testing.cancel()

    uvloop.run(scenario())


def test_s19_without_a_test_it_is_idle_after_a_minute() -> None:
    async def scenario() -> None:
        times = Times()
        async with fleet(times, None) as [one]:
            await work([one], 1)
            assert one.client.report().state == "healthy"
            await times.sleep(IDLE_AFTER + 1.0)
            assert one.client.report().state == "idle"
            assert not one.client.resting
            await work([one], 1)
            assert one.client.report().state == "healthy"

    uvloop.run(scenario())
