"""What `RetryingFetcher.get` makes of each answer, over real connections; only the pauses are skipped."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import structlog
import uvloop

from core.reddit.request_errors import BadAnswer, NetworkBlocked, RateLimited, ServerTrouble, Unavailable, Unreachable
from scraper.http.auth import user_agents
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.http.transport.route import ProxyRejectsUs, ProxyResting
from scraper.reddit.refusal import PathLimited
from tests.scraper.http.clients import running
from tests.scraper.http.script import GOOD, HTML, LISTING, Reply, Script
from tests.scraper.http.times import Times, until
from tests.support.scraper_config import AGENT

Scene = Callable[[Script, RetryingFetcher, Times], Awaitable[None]]


def play(scene: Scene, **others: Any) -> None:
    """Run a scene with a server, a client without token, and pauses that take no time."""

    async def whole() -> None:
        times = Times()
        async with Script() as script, running(script.url, clock=times.clock, sleep=times.sleep, **others) as client:
            await scene(script, client, times)
            assert client.in_flight == 0

    uvloop.run(whole())


def test_an_answer_is_decoded_and_asked_for_as_reddit_wants_it() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        assert await client.get("/r/Bitcoin/top", {"t": "week", "limit": 10, "raw_json": 1}) == LISTING
        assert script.asked == ["/r/Bitcoin/top.json?t=week&limit=10&raw_json=1"]
        assert script.headers[0]["User-Agent"] == AGENT
        assert "gzip" in script.headers[0]["Accept-Encoding"]
        assert "Cookie" not in script.headers[0]

    play(scene)


def test_cookies_are_not_given_back() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.say(Reply(headers={"Set-Cookie": "session=abc"}))
        await client.get("/r/Bitcoin/about", {})
        await client.get("/r/Bitcoin/about", {})
        assert "Cookie" not in script.headers[1]

    play(scene)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"reason": "private", "error": 403}), "private"),
        (Reply(404, {"reason": "banned", "error": 404}), "banned"),
        (Reply(403, {"reason": "quarantined"}), "quarantined"),
        (Reply(403, {"message": "Forbidden"}), "forbidden"),
        (Reply(404, {"message": "Not Found"}), "missing"),
        (Reply(302, "", {"Location": "https://www.reddit.com/subreddits/search?q=x"}), "missing"),
    ],
)
def test_a_refusal_is_a_fact_and_is_not_asked_for_twice(reply: Reply, reason: str) -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        for _ in range(4):
            script.say(reply)
            with pytest.raises(Unavailable, match=reason):
                await client.get("/r/x/about", {})
        assert len(script.asked) == 4
        assert times.slept == []
        report = client.report()
        assert report.outcomes == {"refused": 4}
        assert (report.state, report.last_error) == ("healthy", None)

    play(scene)


@pytest.mark.parametrize(
    ("reply", "error", "outcome"),
    [
        (Reply(503), ServerTrouble, "server_error"),
        (Reply(200, HTML), BadAnswer, "bad_answer"),
        (Reply(200, '{"kind": "Listing", "da'), BadAnswer, "bad_answer"),
        (Reply(200, ""), BadAnswer, "bad_answer"),
        (Reply(404, HTML), BadAnswer, "bad_answer"),
        (Reply(302, "", {"Location": "https://elsewhere.example/"}), BadAnswer, "bad_answer"),
        (Reply(302, ""), BadAnswer, "bad_answer"),
        (Reply(418, {}), BadAnswer, "bad_answer"),
        (Reply(403, HTML), NetworkBlocked, "network_block"),
        (Reply(reset=True), Unreachable, "transport_error"),
        (Reply(cut=True), Unreachable, "transport_error"),
        (Reply(407), ProxyRejectsUs, "proxy_auth"),
        (Reply(headers={"Content-Encoding": "gzip"}), Unreachable, "transport_error"),
    ],
)
def test_a_failure_is_tried_again_with_growing_pauses(reply: Reply, error: type[Exception], outcome: str) -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        script.otherwise = reply
        with pytest.raises(error):
            await client.get("/r/Bitcoin/about", {})
        assert times.slept == [0.5, 1.0]
        assert client.report().outcomes == {outcome: 3}
        assert client.report().consecutive_failures == 3, "whatever it looks like"

    play(scene, max_retries=2)


def test_one_that_passes_is_not_noticed() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.say(Reply(503), Reply(200, HTML), Reply(reset=True), Reply(reset=True), GOOD)
        assert await client.get("/r/Bitcoin/about", {}) == LISTING
        report = client.report()
        assert report.outcomes == {"server_error": 1, "bad_answer": 1, "transport_error": 1, "ok": 1}
        assert report.statuses == {503: 1, 200: 2}
        assert (report.successes, report.errors) == (1, 3)
        assert report.latency_count == 1
        assert 0.0 < report.latency_sum < 5.0
        assert report.last_error is not None
        assert report.last_error_at is not None

    play(scene)


def test_text_that_breaks_off_within_an_emoji_is_no_bad_answer() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.say(Reply(200, '{"title": "cut \\ud83d", "number": 123456789012345678901234567890}'))
        answer = await client.get("/r/Bitcoin/about", {})
        assert answer == {"title": "cut \ud83d", "number": 123456789012345678901234567890}

    play(scene)


def test_nesting_without_end_is_a_bad_answer() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.say(Reply(200, "[" * 200_000))
        with pytest.raises(BadAnswer):
            await client.get("/r/Bitcoin/about", {})

    play(scene, max_retries=0)


IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, [5.0, 7.0, 9.0, 11.0, 13.0]),
        ({"Retry-After": "3"}, [3.0] * 5),
        ({"Retry-After": "0"}, [1.0] * 5),
        ({"Retry-After": "2.5"}, [2.5] * 5),
        ({"Retry-After": "nan"}, [5.0, 7.0, 9.0, 11.0, 13.0]),
        ({"Retry-After": "soon"}, [5.0, 7.0, 9.0, 11.0, 13.0]),
        ({"Retry-After": "99999999"}, [600.0] * 5),
        ({"Retry-After": IN_AN_HOUR}, [600.0] * 5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, [1.0] * 5),
    ],
)
def test_after_429_it_waits_five_times_as_told(headers: dict[str, str], expected: list[float]) -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        script.otherwise = Reply(429, {"error": 429}, headers)
        with pytest.raises(RateLimited):
            await client.get("/r/Bitcoin/about", {})
        assert times.slept == pytest.approx(expected, abs=0.5)
        assert len(script.asked) == 6
        assert client.report().outcomes == {"rate_limited": 6}
        assert client.report().state in ("healthy", "idle")

    play(scene)


def test_a_429_lets_the_whole_process_wait_and_occupies_nothing() -> None:
    async def whole() -> None:
        times = Times()
        waiting = asyncio.Event()
        go_on = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await go_on.wait()
            await times.sleep(seconds)

        async with Script(Reply(429, {})) as script, running(script.url, clock=times.clock, sleep=sleep) as client:
            first = asyncio.create_task(client.get("/r/a/about", {}))
            await waiting.wait()
            others = [asyncio.create_task(client.get(f"/r/{number}/about", {})) for number in range(5)]
            for _ in range(10):
                await asyncio.sleep(0)
            assert (client.in_flight, client.idle) == (0, 0)
            assert len(script.asked) == 1
            go_on.set()
            await asyncio.gather(first, *others)
            assert len(script.asked) == 8, "another name is asked for before the one that was refused"
            assert client.idle == 20

    uvloop.run(whole())


@pytest.mark.parametrize(("headers", "refusals"), [({}, 2), ({"Retry-After": "5"}, 3)], ids=["untold", "told"])
def test_a_429_for_one_name_alone_soon_stops_nobody(headers: dict[str, str], refusals: int) -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        script.places["/r/a/"] = Reply(429, {}, headers)
        await client.get("/r/b/about", {})
        with pytest.raises(PathLimited):
            await client.get("/r/a/about", {})
        assert script.asked.count("/r/a/about.json") == refusals
        assert len(times.slept) == refusals - 1
        with pytest.raises(PathLimited):
            await client.get("/r/a/about", {})
        assert len(times.slept) == refusals - 1, "it is known by now"
        assert client.idle == 20
        script.places.clear()
        assert await client.get("/r/a/about", {}) == LISTING

    play(scene)


def test_a_storm_of_429_says_so_in_one_line() -> None:
    async def whole() -> None:
        storm = Reply(429, {}, {"Retry-After": "30"}, after=0.05)
        async with Script(otherwise=storm) as script, running(script.url) as client:
            with structlog.testing.capture_logs() as lines:
                waiting = [asyncio.create_task(client.get("/r/Bitcoin/about", {})) for _ in range(20)]
                await until(lambda: client.report().outcomes.get("rate_limited") == 20, "20 times 429")
            for task in waiting:
                task.cancel()
            assert [line["event"] for line in lines] == ["rate_limited"]
            assert lines[0]["wait_seconds"] == 30.0

    uvloop.run(whole())


def test_never_more_requests_at_once_than_there_are_slots() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        script.otherwise = Reply(after=0.01)
        tasks = [asyncio.create_task(client.get(f"/r/{number}/about", {})) for number in range(40)]
        await until(lambda: script.at_once == 4, "four requests at the server")
        assert (client.in_flight, client.idle) == (4, 0)
        await asyncio.gather(*tasks)
        assert script.most_at_once == 4
        assert len(script.connections) <= 4
        assert client.idle == 4

    play(scene, concurrency=4)


def test_a_pause_before_the_next_try_occupies_no_slot() -> None:
    async def whole() -> None:
        paused = asyncio.Event()

        async def sleep(_: float) -> None:
            paused.set()
            await asyncio.Event().wait()

        async with Script(Reply(503)) as script, running(script.url, sleep=sleep, concurrency=1) as client:
            failing = asyncio.create_task(client.get("/r/a/about", {}))
            await paused.wait()
            assert (client.in_flight, client.idle) == (0, 1)
            assert await client.get("/r/b/about", {}) == LISTING
            failing.cancel()

    uvloop.run(whole())


def test_only_the_first_of_many_failures_of_a_kind_is_logged() -> None:
    async def scene(script: Script, client: RetryingFetcher, times: Times) -> None:
        with structlog.testing.capture_logs() as lines:
            for _ in range(30):
                script.say(Reply(503), GOOD)
                await client.get("/r/Bitcoin/about", {})
            await times.sleep(60.0)
            script.say(Reply(503), GOOD)
            await client.get("/r/Bitcoin/about", {})
        assert [line["event"] for line in lines] == ["request_failed"] * 2
        assert [line["more_since_last_line"] for line in lines] == [0, 29]
        assert lines[0]["kind"] == "server_error"

    play(scene)


def test_a_name_with_odd_letters_stays_within_its_place_in_the_address() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        await client.get("/user/a b?c=d#e%2e\u00e9/about", {"raw_json": 1})
        assert script.asked == ["/user/a%20b%3Fc%3Dd%23e%252e%C3%A9/about.json?raw_json=1"]

    play(scene)


def test_rotating_names_differ_from_request_to_request() -> None:
    async def scene(script: Script, client: RetryingFetcher, _: Times) -> None:
        await asyncio.gather(*(client.get("/r/Bitcoin/about", {}) for _ in range(12)))
        names = {headers["User-Agent"] for headers in script.headers}
        assert len(names) > 3
        assert names <= set(user_agents.browsers())

    play(scene, rotate=True)


def test_a_dead_server_is_left_alone_after_a_few_requests() -> None:
    async def whole() -> None:
        async with Script(otherwise=Reply(reset=True)) as script, running(script.url) as client:
            results = await asyncio.gather(*(client.get("/r/x/about", {}) for _ in range(20)), return_exceptions=True)
            assert {type(result) for result in results} == {ProxyResting}
            assert client.resting
            assert client.idle == 0

    uvloop.run(whole())
