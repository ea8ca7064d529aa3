"""Requests with a token and the shared quota: one fetch however many wait, renewal, and what the quota is told."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from core.reddit.bounds import PROBE_INTERVAL
from core.reddit.limiter import Grant, Limiter, QuotaFileError, Wait, read_requests
from core.reddit.quota import Priority
from core.reddit.request_errors import CredentialsRejected, RateLimited, TokenRejected
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.http.transport.route import ProxyResting
from tests.scraper.http.clients import running, settings, wide_limiter
from tests.scraper.http.script import GOOD, HTML, LISTING, TOKEN, Reply, Script
from tests.scraper.http.times import Times, until
from tests.support.scraper_config import AGENT

Scene = Callable[[Script, RetryingFetcher, Times], Awaitable[None]]
RATE = {"X-Ratelimit-Used": "7", "X-Ratelimit-Remaining": "993.0", "X-Ratelimit-Reset": "300"}


def play(tmp_path: Path, scene: Scene, limiter: Limiter | None = None, **others: Any) -> None:
    async def whole() -> None:
        times = Times()
        ours = limiter or wide_limiter(tmp_path)
        async with (
            Script() as script,
            running(
                script.url, limiter=ours, clock=times.clock, sleep=times.sleep, with_token=True, **others
            ) as client,
        ):
            await scene(script, client, times)
            assert client.in_flight == 0
            # a test of the proxy may still be in progress: five refusals in a row are a suspicion
            await until(lambda: ours.state().outstanding == 0, "every grant to be accounted for")

    uvloop.run(whole())


def test_one_token_serves_all_however_many_wait_for_it(tmp_path: Path) -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.token = Reply(body=TOKEN, after=0.05)
        await asyncio.gather(*(client.get("/r/Bitcoin/hot", {"limit": 30}) for _ in range(40)))
        assert script.tokens == 1
        assert script.asked[0] == "/r/Bitcoin/hot?limit=30"
        assert {headers["Authorization"] for headers in script.headers} == {"bearer token-1"}
        assert {headers["User-Agent"] for headers in script.headers} == {AGENT}

    play(tmp_path, scene)


def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        await client.get("/r/a/about", {})
        await times.sleep(3600 - 70)
        await client.get("/r/a/about", {})
        assert script.tokens == 1
        await times.sleep(20)
        await client.get("/r/a/about", {})
        assert script.tokens == 2

    play(tmp_path, scene)


def test_a_token_that_is_rejected_is_renewed_once_for_all(tmp_path: Path) -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        await client.get("/r/a/about", {})
        script.token = Reply(body={**TOKEN, "access_token": "token-2"})
        script.say(*[Reply(401, {"error": 401}, after=0.05)] * 10)
        answers = await asyncio.gather(*(client.get("/r/a/about", {}) for _ in range(10)))
        assert answers == [LISTING] * 10
        assert script.tokens == 2
        assert times.slept == []
        assert script.headers[-1]["Authorization"] == "bearer token-2"

    play(tmp_path, scene)


def test_tokens_that_are_always_rejected_come_to_an_end(tmp_path: Path) -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.otherwise = Reply(401, {"error": 401})
        with pytest.raises(TokenRejected):
            await client.get("/r/a/about", {})
        assert len(script.asked) == 5
        assert client.report().outcomes["unauthorised"] == 5

    play(tmp_path, scene)


def test_credentials_are_wrong_when_they_are_rejected_twice(tmp_path: Path) -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.token = Reply(401, {"error": 401})
        with pytest.raises(CredentialsRejected, match="REDDIT_CLIENT_ID"):
            await client.get("/r/a/about", {})
        assert script.tokens == 2
        with pytest.raises(CredentialsRejected):
            await client.probe()
        assert client.report().state == "healthy", "the proxy did what it should"

    play(tmp_path, scene)


@pytest.mark.parametrize("failures", [1, 4])
@pytest.mark.parametrize(
    "trouble",
    [
        Reply(503, HTML),
        Reply(200, HTML),
        Reply(200, {"a": 1}),
        Reply(200, "{"),
        Reply(403, HTML),
        Reply(401, HTML),  # not what Reddit says
        Reply(400, ""),
        Reply(reset=True),
    ],
)
def test_a_token_that_cannot_be_had_now_is_waited_for(tmp_path: Path, trouble: Reply, failures: int) -> None:
    """All requests wait, with growing pauses, or go back when that takes long; no name is to blame."""

    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        async def get_in_the_end() -> object:
            while True:
                try:
                    return await client.get("/r/a/about", {})
                except ProxyResting as rest:
                    await times.sleep(rest.seconds)

        script.first_tokens = [trouble] * failures
        answers = await asyncio.gather(*(get_in_the_end() for _ in range(15)))
        assert answers == [LISTING] * 15
        assert 15 <= len(script.asked) <= 17
        assert sum(times.slept) >= 0.9 * (2 ** (failures // (2 if trouble.reset else 1)) - 1)
        assert client.report().failing == ()

    play(tmp_path, scene)


def test_who_is_cancelled_while_he_fetches_the_token_leaves_that_to_the_next(tmp_path: Path) -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.token = Reply(hang=True)
        first = asyncio.create_task(client.get("/r/a/about", {}))
        await until(lambda: script.tokens == 1, "the first to ask for a token")
        second = asyncio.create_task(client.get("/r/b/about", {}))
        script.token = Reply(body=TOKEN)
        first.cancel()
        assert await second == LISTING
        with pytest.raises(asyncio.CancelledError):
            await first

    play(tmp_path, scene)


def test_the_quota_is_told_of_every_answer(tmp_path: Path) -> None:
    limiter = Limiter(tmp_path, "scraper-test", 100)

    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        reset = [Reply(reset=True)] * 2  # a broken connection is replaced once, unseen
        script.say(Reply(headers=RATE), Reply(403, {"reason": "private"}), Reply(503), GOOD, *reset, GOOD)
        for path in ("/r/a/about", "/r/b/about", "/r/c/about", "/r/d/about"):
            await asyncio.gather(client.get(path, {}), return_exceptions=True)
        assert read_requests(tmp_path) == {
            ("scraper-test", "200"): 4,  # one of them for the token
            ("scraper-test", "403"): 1,
            ("scraper-test", "503"): 1,
            ("scraper-test", "none"): 1,
        }
        assert limiter.state().used >= 7

    play(tmp_path, scene, limiter)


def test_after_429_all_processes_of_the_client_id_wait(tmp_path: Path) -> None:
    neighbour = wide_limiter(tmp_path)

    async def whole() -> None:
        held = asyncio.Event()

        async def sleep(_: float) -> None:
            held.set()
            await asyncio.Event().wait()

        async with (
            Script(Reply(429, {}, {"Retry-After": "40"})) as script,
            running(script.url, limiter=wide_limiter(tmp_path), sleep=sleep, with_token=True) as client,
        ):
            waiting = asyncio.create_task(client.get("/r/a/about", {}))
            await held.wait()
            wait = neighbour.ask(Priority.STREAM)
            assert isinstance(wait, Wait)
            assert 35.0 < wait.seconds <= 40.0
            assert (client.in_flight, client.idle) == (0, 0)
            waiting.cancel()

    uvloop.run(whole())


def test_429_again_and_again_goes_back_after_five_waits(tmp_path: Path) -> None:
    times = Times()
    limiter = Limiter(tmp_path, "scraper-test", 1_000_000, clock=times.clock)

    async def whole() -> None:
        parts = {"limiter": limiter, "clock": times.clock, "sleep": times.sleep}
        async with Script(otherwise=Reply(429, {})) as script, running(script.url, with_token=True, **parts) as client:  # type: ignore[arg-type]
            with pytest.raises(RateLimited):
                await client.get("/r/a/about", {})
            assert len(script.asked) == 6
            assert sum(times.slept) == pytest.approx(5 * PROBE_INTERVAL, abs=2.0), "no word: a test every 45 s"

    uvloop.run(whole())


def test_a_quota_that_is_used_up_holds_all_and_occupies_nothing(tmp_path: Path) -> None:
    limiter = Limiter(tmp_path, "scraper-test", 6)  # 60 a window, of which the streams' share is kept
    while isinstance(limiter.ask(Priority.SCRAPER), Grant):
        pass

    async def whole() -> None:
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.Event().wait()

        async with (
            Script() as script,
            running(script.url, limiter=limiter, sleep=sleep, with_token=True) as client,
        ):
            waiting = [asyncio.create_task(client.get("/r/a/about", {})) for _ in range(30)]
            await until(lambda: len(pauses) == 30, "all to wait")
            assert (client.in_flight, client.idle) == (0, 0)
            assert script.asked == []
            assert max(pauses) <= 5.0, "others may free it earlier: it is looked at again soon"
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    uvloop.run(whole())


@pytest.mark.parametrize("reset", ["1796000000", "1796000000000", "86400", "1e12", "inf", "-5", "soon", "600"])
def test_s07_a_reset_beyond_any_window_stops_nobody_for_long(tmp_path: Path, reset: str) -> None:
    """One answer says that nothing remains until then; the next ones are as usual."""
    times = Times()
    limiter = Limiter(tmp_path, "scraper-test", 100, clock=lambda: time.time() - time.monotonic() + times.clock())
    odd = {"X-Ratelimit-Used": "1000", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": reset}

    async def whole() -> None:
        parts: dict[str, Any] = {"limiter": limiter, "clock": times.clock, "sleep": times.sleep, "with_token": True}
        async with Script(otherwise=Reply(headers=RATE)) as script, running(script.url, **parts) as client:
            script.say(Reply(headers=odd))
            began = times.clock()
            for number in range(20):
                assert await client.get(f"/r/{number}/about", {}) == LISTING
            assert times.clock() - began <= 60.0, "one request tests it after half a minute"

    uvloop.run(whole())


class BrokenLimiter(Limiter):
    """Its disk is full, for a while."""

    broken = True

    def ask(self, priority: Priority) -> Grant | Wait:
        if self.broken:
            raise QuotaFileError("quota.db cannot be used: free the disk")
        return super().ask(priority)


def test_a_quota_that_cannot_be_read_is_waited_for_and_said_once(tmp_path: Path) -> None:
    limiter = BrokenLimiter(tmp_path, "scraper-test", 1_000_000)

    async def whole() -> None:
        times = Times()

        async def sleep(seconds: float) -> None:
            await times.sleep(seconds)
            limiter.broken = len(times.slept) < 5

        async with (
            Script() as script,
            running(script.url, limiter=limiter, clock=times.clock, sleep=sleep, with_token=True) as client,
        ):
            with structlog.testing.capture_logs() as lines:
                assert await client.get("/r/a/about", {}) == LISTING
            assert [line["event"] for line in lines] == ["quota_not_read"]

    uvloop.run(whole())


def test_the_limiter_is_needed_with_tokens() -> None:
    with pytest.raises(ValueError, match="limiter"):
        RetryingFetcher(settings("http://x", with_token=True))
