"""What a server or a proxy says back of our secrets, in any place of an answer, stands in nothing that we tell."""

import asyncio
import json
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
import uvloop

from core.masking.external import hide
from scraper.http.retrying_fetcher import RetryingFetcher
from tests.scraper.http.clients import running, wide_limiter
from tests.support.echo import ANSWERS, TOKENS, Echo
from tests.support.leaks import Leaks
from tests.support.raw_reddit import RawReddit, respond

CLIENT, PROXY = ("Cl13nt", "Zq8_vTn3-XwK5rPbYc7LdM2sJh4"), ("Us3r", "Hm6 tR/9w?Q#x%Vz&1k\"'\\e7")
TOKEN = "81034567-Wk2pXn9vLq4RtZ7mBy3cHd6sFj8gTa"
LEAKS = Leaks((CLIENT[1], PROXY[1], TOKEN), (CLIENT, PROXY))


@pytest.fixture(autouse=True)
def known() -> None:
    hide(CLIENT[1], PROXY[1], logins=(CLIENT, PROXY))


async def told(client: RetryingFetcher) -> str:
    """All that is said of some requests: reports, errors, tracebacks."""
    errors = [
        error
        for error in await asyncio.gather(*(client.get("/r/a/about", {}) for _ in range(2)), return_exceptions=True)
        if isinstance(error, BaseException)
    ]
    seen = [repr(client.report())]
    for error in errors:
        seen += [str(error), repr(error), "".join(traceback.format_exception(error))]
    return "\n".join(seen)


@pytest.mark.parametrize("through_proxy", [True, False])
def test_answers_to_requests(through_proxy: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"with_token": True, "client_id": CLIENT[0], "client_secret": CLIENT[1], "max_retries": 0}

    async def scenario(what: str, tokens: list[str]) -> tuple[str, str]:
        planted = [CLIENT[1], PROXY[1], f"{CLIENT[0]}:{CLIENT[1]}"]
        with Echo(planted, TOKEN, [what], tokens) as echo:
            proxy = f"http://{PROXY[0]}:{quote(PROXY[1], safe='')}@127.0.0.1:{echo.port}" if through_proxy else None
            limiter = wide_limiter(tmp_path)
            async with running(echo.url, proxy, limiter=limiter, timeout=1.0, **options) as client:
                return what, await told(client)

    async def all_of_them() -> None:
        cases = [(what, ["a token"]) for what in ANSWERS] + [("reason in JSON", [token]) for token in TOKENS]
        with structlog.testing.capture_logs() as lines:
            for what, seen in await asyncio.gather(*(scenario(*case) for case in cases)):
                assert not LEAKS.found_in(seen), (what, seen)
        text = json.dumps(lines, default=repr)
        assert "request_failed" in text
        assert not LEAKS.found_in(text)

    uvloop.run(all_of_them())


@pytest.mark.parametrize("what", ["reason phrase", "status line", "header without a colon", "another protocol"])
def test_answers_to_connect(what: str) -> None:
    async def scenario() -> None:
        with Echo([PROXY[1]], TOKEN, [what]) as echo:
            proxy = f"http://{PROXY[0]}:{quote(PROXY[1], safe='')}@127.0.0.1:{echo.port}"
            async with running("https://127.0.0.1:1", proxy, timeout=1.0, max_retries=0) as client:
                seen = await told(client)
            assert echo.given[what]
        assert "ProxyRefused" in seen or "Unreachable" in seen
        assert not LEAKS.found_in(seen), seen

    uvloop.run(scenario())


def test_a_request_for_a_token_is_not_sent_elsewhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        with RawReddit() as other, RawReddit() as reddit:
            reddit.token = respond(b"", f"Location: {other.url}/api/v1/access_token", status="307 Temporary Redirect")
            limiter = wide_limiter(tmp_path)
            async with running(reddit.url, limiter=limiter, with_token=True, max_retries=0) as client:
                await told(client)
            assert reddit.asked("POST /api/v1/access_token")
            assert not other.heads

    uvloop.run(scenario())
