"""A password stands in no log line, no text of an error, no representation and no report, whatever goes wrong."""

import asyncio
import base64
import contextlib
import io
import json
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop

from core.config.proxies import Proxy
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.http.transport.route import Route
from tests.scraper.http.clients import running, settings, wide_limiter
from tests.scraper.http.script import HTML, Mute, Reply, Script
from tests.scraper.http.test_hang import SILENCES

Lines = list[MutableMapping[str, Any]]

PASSWORD = "hunter2@:/#%?"
ENCODED = "hunter2%40%3A%2F%23%25%3F"
FORMS = (
    "hunter2",
    base64.b64encode(f"me:{PASSWORD}".encode()).decode(),
    base64.b64encode(b"id:secret-of-ours").decode(),
    "secret-of-ours",
)

#: What the other side says, after each piece that it is sent.
ANSWERS: dict[str, tuple[str, str, tuple[bytes, ...]]] = {
    **SILENCES,
    "407": ("http", "http", (b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n",)),
    "407 to CONNECT": ("http", "https", (b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n",)),
    "502 to CONNECT": ("http", "https", (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",)),
    "no TLS behind CONNECT": ("http", "https", (b"HTTP/1.1 200 OK\r\n\r\n", b"I speak no TLS\r\n")),
    "no TLS": ("https", "http", (b"HTTP/1.1 400 Bad Request\r\n\r\n",)),
    "no HTTP": ("http", "http", (b"SSH-2.0-OpenSSH_9.9\r\n",)),
    "no SOCKS": ("socks5", "http", (b"HTTP/1.1 400 Bad Request\r\n\r\n",)),
    "SOCKS, wrong password": ("socks5", "http", (b"\x05\x02", b"\x01\x01")),
    "SOCKS, no method": ("socks5", "http", (b"\x05\xff",)),
    "SOCKS, refused": ("socks5", "http", (b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0")),
}


@pytest.fixture
def said() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def everything(client: RetryingFetcher, lines: Lines, errors: list[BaseException]) -> str:
    """All that anybody could get to see, with tracebacks and representations."""
    seen = [repr(client.report()), str(client.report()), json.dumps(lines, default=repr)]
    for error in errors:
        seen += [str(error), repr(error), repr(error.__cause__), "".join(traceback.format_exception(error))]
    return "\n".join(seen)


async def what_is_seen(what: str, said: Lines, **options: Any) -> str:
    """Send requests and probes to where this is answered; return all that can be seen of it."""
    scheme, target, first = ANSWERS[what]
    async with Mute(*first) as mute:
        url = f"{scheme}://me:{ENCODED}@127.0.0.1:{mute.port}"
        async with running(f"{target}://127.0.0.1:1", url, timeout=0.3, max_retries=0, **options) as client:
            requests = [client.get("/r/Bitcoin/about", {}) for _ in range(6)]
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert not await client.probe()
            errors = [result for result in results if isinstance(result, BaseException)]
            assert len(errors) == len(results)
            return everything(client, said, errors)


@pytest.mark.parametrize("with_token", [True, False])
def test_whatever_a_proxy_answers(with_token: bool, said: Lines, tmp_path: Path) -> None:
    options: dict[str, Any] = {"limiter": wide_limiter(tmp_path), "with_token": with_token}

    async def scenario() -> None:
        seen = await asyncio.gather(*(what_is_seen(what, said, **options) for what in ANSWERS))
        for what, text in zip(ANSWERS, seen, strict=True):
            assert "request_failed" in text, what
            assert not [form for form in FORMS if form in text], what

    uvloop.run(scenario())


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_a_proxy_that_is_not_there(scheme: str, said: Lines) -> None:
    async def scenario() -> None:
        for host in ("127.0.0.1:1", "nowhere.invalid:1"):
            async with running("https://127.0.0.1:1", f"{scheme}://me:{ENCODED}@{host}", timeout=2.0) as client:
                assert not await client.probe()
                errors = await asyncio.gather(client.get("/r/a/about", {}), return_exceptions=True)
                text = everything(client, said, [error for error in errors if isinstance(error, BaseException)])
                assert "proxy_rests" in text
                assert not [form for form in FORMS if form in text]

    uvloop.run(scenario())


@pytest.mark.parametrize("token", [Reply(401, {"error": 401}), Reply(503), Reply(200, HTML), Reply(reset=True)])
def test_credentials_that_are_not_taken(token: Reply, said: Lines, tmp_path: Path) -> None:
    async def scenario() -> None:
        options = {"limiter": wide_limiter(tmp_path), "with_token": True, "max_retries": 0}
        async with Script() as script, running(script.url, **options) as client:  # type: ignore[arg-type]
            script.token = token
            errors = await asyncio.gather(client.get("/r/a/about", {}), client.probe(), return_exceptions=True)
            text = everything(client, said, [error for error in errors if isinstance(error, BaseException)])
            assert not [form for form in FORMS if form in text]

    uvloop.run(scenario())


def test_representations_hide_it() -> None:
    ours = settings("http://127.0.0.1:1", f"http://me:{ENCODED}@127.0.0.1:2", with_token=True)
    route = Route.through(ours.proxy)
    assert route.password == PASSWORD
    text = f"{ours!r} {ours} {route!r} {route} {route.url}"
    assert not [form for form in FORMS if form in text]


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_the_report_shows_the_address_without_it(scheme: str) -> None:
    client = RetryingFetcher(settings("http://127.0.0.1:1", f"{scheme}://me:{ENCODED}@127.0.0.1:2"))
    assert client.report().address == f"{scheme}://me:***@127.0.0.1:2"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print(vars(client), Proxy("a", f"http://me:{ENCODED}@h:1"))
    assert "hunter2" not in out.getvalue()
