"""Cancelling `get` wherever it waits: at once, nothing left behind, nothing said by the loop."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from core.reddit.limiter import Grant, Limiter, read_requests
from core.reddit.quota import Priority
from scraper.http.retrying_fetcher import RetryingFetcher
from tests.scraper.http.clients import running, wide_limiter
from tests.scraper.http.script import TOKEN, Reply, Script
from tests.scraper.http.times import until

HANG = Reply(hang=True)


async def for_ever(_: float) -> None:
    await asyncio.Event().wait()


def waits_for_a_pause(script: Script, client: RetryingFetcher) -> bool:
    return bool(script.asked) and client.in_flight == 0


def waits_for_an_answer(script: Script, client: RetryingFetcher) -> bool:
    return script.at_once > 0 and client.in_flight > 0


#: where it waits: what the server says, the token's answer, and how to see that it is there
PLACES: dict[str, tuple[list[Reply], Reply, Callable[[Script, RetryingFetcher], bool]]] = {
    "an answer": ([HANG] * 9, Reply(body=TOKEN), waits_for_an_answer),
    "a token": ([], HANG, lambda script, _: script.tokens > 0),
    "the next try": ([Reply(503)] * 9, Reply(body=TOKEN), waits_for_a_pause),
    "the end of a 429": ([Reply(429, {})] * 9, Reply(body=TOKEN), waits_for_a_pause),
}


@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_a_stop_ends_every_wait_at_once(place: str, with_token: bool, tmp_path: Path) -> None:
    if place == "a token" and not with_token:
        return
    replies, token, arrived = PLACES[place]
    limiter = wide_limiter(tmp_path)
    throttled_log: list[dict[str, Any]] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: throttled_log.append(context))
        parts: dict[str, Any] = {"limiter": limiter, "with_token": with_token, "concurrency": 2, "timeout": 30.0}
        async with Script(*replies) as script, running(script.url, sleep=for_ever, **parts) as client:
            script.token = token
            tasks = [asyncio.create_task(client.get("/r/a/about", {})) for _ in range(4)]  # two wait for a slot
            await until(lambda: arrived(script, client), f"the request to wait for {place}")
            for task in tasks:
                task.cancel()
            results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1.0)
            assert [type(result) for result in results] == [asyncio.CancelledError] * 4
            assert client.in_flight == 0
            assert limiter.state().outstanding == 0
            await until(lambda: script.at_once == 0, "the server to see the connections closed")
        gc.collect()
        await asyncio.sleep(0)

    uvloop.run(scenario())
    assert throttled_log == []
    if with_token and place == "an answer":
        assert read_requests(tmp_path) == {("scraper-test", "stopped"): 2, ("scraper-test", "200"): 1}


def test_a_stop_while_the_quota_is_waited_for(tmp_path: Path) -> None:
    limiter = Limiter(tmp_path, "scraper-test", 6)
    while isinstance(limiter.ask(Priority.SCRAPER), Grant):
        pass
    outstanding = limiter.state().outstanding

    async def scenario() -> None:
        async with Script() as script, running(script.url, limiter=limiter, sleep=for_ever, with_token=True) as client:
            task = asyncio.create_task(client.get("/r/a/about", {}))
            await until(lambda: (client.in_flight, client.idle) == (0, 0), "it to wait")
            assert script.tokens == 0, "a token request counts, too"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert limiter.state().outstanding == outstanding

    uvloop.run(scenario())


def test_closing_while_the_proxy_rests_ends_the_wait_for_its_return() -> None:
    async def scenario() -> None:
        async with running("http://127.0.0.1:1", timeout=2.0) as client:
            assert not await client.probe()
            assert client.resting
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if task.get_name() == "proxy returns"]

    uvloop.run(scenario())
