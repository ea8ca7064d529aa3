"""The test of a proxy before the first request, and after each rest."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from scraper.http.transport.route import ProxyResting
from tests.scraper.http.clients import running, wide_limiter
from tests.scraper.http.script import GOOD, HTML, TOKEN, Reply, Script
from tests.scraper.http.times import until

LOST = [Reply(reset=True)] * 2  # the first is sent again, unseen


@pytest.mark.parametrize(
    ("replies", "works"),
    [
        ([GOOD], True),
        ([Reply(403, {"reason": "private"})], True),
        ([Reply(404, {"reason": "banned"})], True),
        ([Reply(429, {})], True),
        ([Reply(503), GOOD], True),
        ([Reply(503)] * 3, False),  # whoever is to blame: nothing would come now
        ([Reply(403, HTML), GOOD], True),
        ([*LOST, Reply(403, HTML), GOOD], True),
        ([Reply(403, HTML)] * 3, False),
        (LOST * 3, False),
    ],
)
def test_the_seed_is_asked_for_where_there_is_no_token(replies: list[Reply], works: bool) -> None:
    async def scenario() -> None:
        async with Script(*replies) as script, running(script.url, subreddits=("ethereum",)) as client:
            assert await client.probe() is works
            assert client.resting is not works
            assert set(script.asked) == {"/r/ethereum/about.json?raw_json=1"}
            assert len(script.asked) == len(replies)

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("token", "works"),
    [
        (Reply(body=TOKEN), True),
        (Reply(429, {}), True),
        (Reply(503), False),
        (Reply(403, HTML), False),
        (Reply(reset=True), False),
    ],
)
def test_a_token_is_asked_for_where_one_is_needed(token: Reply, works: bool, tmp_path: Path) -> None:
    async def scenario() -> None:
        parts: dict[str, Any] = {"limiter": wide_limiter(tmp_path), "with_token": True}
        async with Script() as script, running(script.url, **parts) as client:
            script.token = token
            assert await client.probe() is works
            assert client.resting is not works
            assert script.asked == []

    uvloop.run(scenario())


def test_a_silent_proxy_is_not_tried_three_times() -> None:
    async def scenario() -> None:
        async with Script(otherwise=Reply(hang=True)) as script, running(script.url, timeout=1.1) as client:
            assert not await client.probe()
            assert len(script.asked) == 1

    uvloop.run(scenario())


def test_it_is_probed_after_each_rest_until_it_works() -> None:
    async def scenario() -> None:
        rests: list[float] = []
        time_is_up = asyncio.Event()

        async def sleep(seconds: float) -> None:
            rests.append(round(seconds, 1))
            await time_is_up.wait()
            time_is_up.clear()

        async with Script(otherwise=Reply(403, HTML)) as script, running(script.url, sleep=sleep) as client:
            with structlog.testing.capture_logs() as lines:
                assert not await client.probe()
                for number in range(1, 4):
                    await until(lambda n=number: len(rests) == n, f"rest {number}")  # type: ignore[misc]
                    asked = len(script.asked)
                    with pytest.raises(ProxyResting):
                        await client.get("/r/a/about", {})
                    assert len(script.asked) == asked
                    script.otherwise = GOOD if number == 3 else script.otherwise
                    time_is_up.set()
                    await until(lambda n=asked: len(script.asked) == n + 1, "the probe")  # type: ignore[misc]
                await until(lambda: not client.resting, "it to be back")
            assert rests == [5.0, 10.0, 20.0]
            states = [line["event"] for line in lines if line["event"].startswith("proxy_")]
            assert states == ["proxy_rests"] * 3 + ["proxy_recovered"]
            assert client.report().resting_until is None
            await client.get("/r/a/about", {})

    uvloop.run(scenario())


def test_an_error_of_ours_does_not_take_the_proxy_away_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async def no_time(_: float) -> None:
            await asyncio.sleep(0)

        async with Script() as script, running(script.url, sleep=no_time) as client:
            with structlog.testing.capture_logs() as lines, monkeypatch.context() as patch:
                patch.setattr("scraper.http.attempts.classify", lambda *_: 1 / 0)
                assert not await client.probe()
                assert client.resting
            await until(lambda: not client.resting, "it to be back")
            assert "probe_broke_off" in [line["event"] for line in lines]

    uvloop.run(scenario())
