"""A token that cannot be renewed: when that passes, when it is believed, and that it never makes a storm."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from core.reddit.limiter import Limiter
from core.reddit.request_errors import CredentialsRejected
from scraper.http.auth.credentials import ProvenCredentials, Renewals
from scraper.http.proxy.siblings import Sibling
from scraper.http.transport.route import ProxyResting
from tests.scraper.http.clients import running, wide_limiter
from tests.scraper.http.script import LISTING, TOKEN, Reply, Script
from tests.scraper.http.times import Times

REFUSED = Reply(401, {"message": "Unauthorized", "error": 401})
SHORT = Reply(body={**TOKEN, "expires_in": 15})


class Proven:
    """Credentials that worked in an earlier run."""

    def known(self) -> bool:
        return True

    def remember(self) -> None:
        raise OSError("disk full")


def renewals(times: list[float], *, known: bool = False) -> Renewals:
    return Renewals(lambda: times[0], lambda: 0.5, lambda: known)


def refuse(what: Renewals, now: list[float]) -> bool:
    """Let the next request, as soon as one may be sent, be refused; tell whether that is believed."""
    now[0] += what.wait
    what.asked()
    what.refused()
    what.failed()
    return what.are_wrong


def test_new_credentials_are_wrong_at_the_second_refusal() -> None:
    now = [0.0]
    what = renewals(now)
    assert not refuse(what, now)
    assert refuse(what, now)


@pytest.mark.parametrize("known", [True, False])
def test_credentials_that_worked_are_tried_for_ten_minutes_with_growing_pauses(known: bool) -> None:
    now = [0.0]
    what = renewals(now, known=known)
    if not known:
        what.given()
    moments = []
    while not refuse(what, now):
        moments.append(now[0])
    assert 600.0 <= now[0] <= 700.0
    assert moments[:5] == pytest.approx([0, 1, 3, 7, 15])
    assert len(moments) < 20
    what.given()
    assert (what.are_wrong, what.wait) == (False, 0.0)


def test_refusals_long_ago_do_not_count() -> None:
    now = [0.0]
    what = renewals(now, known=True)
    for _ in range(9):
        assert not refuse(what, now)
    what.given()
    now[0] += 10_000.0
    assert not refuse(what, now)


def test_other_failures_are_never_believed_to_be_refusals() -> None:
    now = [0.0]
    what = renewals(now)
    for _ in range(100):
        now[0] += what.wait
        what.asked()
        assert 0.9 <= what.failed() <= 66.0
    assert not what.are_wrong


def test_tokens_that_do_not_last_are_asked_for_at_a_bounded_pace() -> None:
    now, asked = [0.0], 0
    what = renewals(now)
    while now[0] < 100.0:
        now[0] += max(what.wait, 0.001)
        what.asked()
        what.given()
        asked += 1
    assert asked <= 4 + 100 / 2 + 1


def test_a_short_hash_in_a_file_name_is_all_that_is_remembered(tmp_path: Path) -> None:
    secret = "s3cret-" + "x" * 20
    one = ProvenCredentials(tmp_path, "id", secret)
    assert not one.known()
    one.remember()
    one.remember()
    assert ProvenCredentials(tmp_path, "id", secret).known()
    assert not ProvenCredentials(tmp_path, "id", secret + "y").known()
    assert not ProvenCredentials(tmp_path, "id" + secret[0], secret[1:]).known()
    [file] = (tmp_path / "crawl").iterdir()
    assert (secret in file.name, file.read_bytes()) == (False, b"")


def play(tmp_path: Path, scene: Any, limiter: Limiter | None = None, **others: Any) -> list[Any]:
    """Play a scene with a client whose pauses take no time; return the lines of its log."""

    async def whole() -> None:
        times = Times()
        parts = {"limiter": limiter or wide_limiter(tmp_path), "clock": times.clock, "sleep": times.sleep, **others}
        async with Script() as script, running(script.url, with_token=True, **parts) as client:
            await scene(script, client, times)

    with structlog.testing.capture_logs() as lines:
        uvloop.run(whole())
    return lines


@pytest.mark.parametrize("refusals", [1, 2, 4, 9])
def test_s06_a_renewal_that_is_refused_for_a_while_costs_only_time(tmp_path: Path, refusals: int) -> None:
    async def scene(script: Script, client: Any, times: Times) -> None:
        script.token = SHORT
        assert await client.get("/r/a/about", {}) == LISTING
        await times.sleep(20.0)
        script.first_tokens = [REFUSED] * refusals
        assert await asyncio.gather(*(client.get(f"/r/{n}/about", {}) for n in range(10))) == [LISTING] * 10
        assert script.tokens == 2 + refusals
        assert client.report().failing == (), "no name is to blame"

    lines = play(tmp_path, scene)
    assert [line["event"] for line in lines].count("token_not_given") == refusals


def test_s06_the_same_right_after_a_restart(tmp_path: Path) -> None:
    async def scene(script: Script, client: Any, _: Times) -> None:
        script.first_tokens = [REFUSED] * 4
        assert await client.probe()
        assert await client.get("/r/a/about", {}) == LISTING

    lines = play(tmp_path, scene, memory=Proven())
    assert "credentials_not_remembered" in [line["event"] for line in lines]


def test_s06_what_is_refused_for_minutes_parks_the_process(tmp_path: Path) -> None:
    async def scene(script: Script, client: Any, times: Times) -> None:
        script.token = REFUSED
        began = times.clock()
        with pytest.raises(CredentialsRejected, match="REDDIT_CLIENT_ID"):
            await client.get("/r/a/about", {})
        assert 600.0 <= times.clock() - began < 800.0

    play(tmp_path, scene, memory=Proven())


def test_a_proxy_that_alone_is_refused_is_to_blame_and_never_parks(tmp_path: Path) -> None:
    """It changes the Authorization header, say: others get answers with the same credentials."""

    async def scene(script: Script, client: Any, times: Times) -> None:
        script.token = REFUSED
        results = await asyncio.gather(*(client.get("/r/a/about", {}) for _ in range(3)), return_exceptions=True)
        assert {type(result).__name__ for result in results} == {"ProxyResting"}
        await times.sleep(3600.0)
        with pytest.raises(ProxyResting):
            await client.get("/r/a/about", {})

    lines = play(tmp_path, scene, memory=Proven(), siblings=lambda: [Sibling(1.0, good=20, witness="/r/x/about")])
    assert "proxy_rests" in [line["event"] for line in lines]


@pytest.mark.parametrize(
    ("told", "used"),
    [
        (0, 60), (-1, 60), (0.5, 60), (1e12, 86_400), ("15", 15), ("soon", 3600), (None, 3600), (True, 3600),
        ([], 3600), ({"s": 1}, 3600),
    ],
)  # fmt: skip
def test_a_lifetime_that_makes_no_sense_stops_nothing(tmp_path: Path, told: Any, used: float) -> None:
    async def scene(script: Script, client: Any, times: Times) -> None:
        script.token = Reply(body={**TOKEN, "expires_in": told})
        assert await client.get("/r/a/about", {}) == LISTING
        await times.sleep(used * 0.89 - (60.0 if used > 600 else 0.0))
        assert await client.get("/r/a/about", {}) == LISTING
        assert script.tokens == 1
        await times.sleep(used * 0.2 + 60.0)
        assert await client.get("/r/a/about", {}) == LISTING
        assert script.tokens == 2

    assert "token_not_given" not in [line["event"] for line in play(tmp_path, scene)]


def test_an_endless_lifetime_cannot_be_read(tmp_path: Path) -> None:
    async def scene(script: Script, client: Any, _: Times) -> None:
        script.first_tokens = [Reply(body='{"access_token": "x", "scope": "*", "expires_in": 1e400}')]
        assert await client.get("/r/a/about", {}) == LISTING
        assert script.tokens == 2

    play(tmp_path, scene)


@pytest.mark.parametrize("lifetime", [3, 15, 15.5, 3600, 86_400, 2_000_000])
def test_a_lifetime_that_makes_sense_is_believed(tmp_path: Path, lifetime: float) -> None:
    async def scene(script: Script, client: Any, times: Times) -> None:
        script.token = Reply(body={**TOKEN, "expires_in": lifetime})
        await client.get("/r/a/about", {})
        await times.sleep(min(lifetime, 86_400) * 0.89 - (60.0 if lifetime > 600 else 0.0))
        await client.get("/r/a/about", {})
        assert script.tokens == 1
        await times.sleep(min(lifetime, 86_400) * 0.2 + 60.0)
        await client.get("/r/a/about", {})
        assert script.tokens == 2

    play(tmp_path, scene)


@pytest.mark.parametrize("lifetime", [0, None])
def test_a_token_that_always_expires_at_once_makes_no_storm(tmp_path: Path, lifetime: Any) -> None:
    async def scene(script: Script, client: Any, times: Times) -> None:
        script.token = Reply(body={**TOKEN, "expires_in": lifetime})
        began = times.clock()
        while times.clock() - began < 600.0:
            await asyncio.gather(*(client.get(f"/r/{n}/about", {}) for n in range(5)), return_exceptions=True)
            await times.sleep(1.0 + random.random())
        assert script.tokens <= 30, "at most three a minute"
        assert script.asked

    play(tmp_path, scene)
