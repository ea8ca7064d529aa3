"""No request lasts longer than its timeout, whoever falls silent at whatever moment."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest
import uvloop

from core.reddit.request_errors import Unreachable
from tests.scraper.http.clients import running
from tests.scraper.http.script import Mute, Reply, Script
from tests.support.authority import Authority

TIMEOUT = 0.25
LATE = 2.0  # on a busy machine; without a bound it would be never

#: What a proxy says before it falls silent, by its scheme and the target's.
SILENCES = {
    "http proxy, nothing": ("http", "http", ()),
    "http proxy, half an answer": ("http", "http", (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",)),
    "http proxy, half a header": ("http", "http", (b"HTTP/1.1 200 OK\r\nConte",)),
    "CONNECT, nothing": ("http", "https", ()),
    "CONNECT, then no handshake": ("http", "https", (b"HTTP/1.1 200 Connection established\r\n\r\n",)),
    "https proxy, no handshake": ("https", "https", ()),
    "SOCKS, nothing": ("socks5", "http", ()),
    "SOCKS, no reply to CONNECT": ("socks5", "http", (b"\x05\x02", b"\x01\x00")),
    "SOCKS, nothing behind it": ("socks5", "http", (b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0")),
    "SOCKS, then no handshake": ("socks5", "https", (b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0")),
}


async def give_up(what: str) -> float:
    """Ask where everybody falls silent like this; return how long that took."""
    scheme, target, first = SILENCES[what]
    async with Mute(*first) as mute:
        url = f"{scheme}://u:p@127.0.0.1:{mute.port}"
        async with running(f"{target}://127.0.0.1:1", url, timeout=TIMEOUT, max_retries=0) as client:
            began = time.monotonic()
            with pytest.raises(Unreachable, match=r"no complete answer within 0\.25 s"):
                await client.get("/r/Bitcoin/about", {})
            assert client.in_flight == 0, what
            return time.monotonic() - began


def test_a_proxy_that_falls_silent_is_given_up_in_time() -> None:
    async def scenario() -> None:
        took = await asyncio.gather(*(give_up(what) for what in SILENCES))
        assert all(TIMEOUT * 0.9 < seconds < LATE for seconds in took), dict(zip(SILENCES, took, strict=True))

    uvloop.run(scenario())


def test_a_server_that_hangs_is_given_up_in_time() -> None:
    async def scenario() -> None:
        async with Script(Reply(hang=True)) as script, running(script.url, timeout=TIMEOUT, max_retries=0) as client:
            with pytest.raises(Unreachable, match="no complete answer"):
                await client.get("/r/Bitcoin/about", {})
            assert await client.get("/r/Bitcoin/about", {}) is not None

    uvloop.run(scenario())


def test_drops_that_keep_coming_do_not_prolong_it() -> None:
    hung_up = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        hearing = asyncio.ensure_future(reader.read())
        while not hearing.done():
            writer.write(b" ")
            await asyncio.wait([hearing], timeout=0.05)
        writer.close()
        hung_up.set()

    async def scenario() -> None:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with running(f"http://127.0.0.1:{port}", timeout=TIMEOUT, max_retries=0) as client:
            began = time.monotonic()
            with pytest.raises(Unreachable):
                await client.get("/r/Bitcoin/about", {})
            assert time.monotonic() - began < LATE
            await asyncio.wait_for(hung_up.wait(), 5.0)
        server.close()

    uvloop.run(scenario())


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_target_that_shakes_no_hands_is_given_up_behind_a_working_proxy(scheme: str, tmp_path: Path) -> None:
    """The TLS connection is half open when the time is up: closing it must not wait for the other side."""
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    greeting = {
        "http": (b"HTTP/1.1 200 OK\r\n\r\n", b"\x16\x03\x03"),
        "socks5": SILENCES["SOCKS, then no handshake"][2],
    }

    async def scenario() -> None:
        async with (
            Mute(*greeting[scheme]) as mute,
            running(
                "https://127.0.0.1:1", f"{scheme}://127.0.0.1:{mute.port}", timeout=TIMEOUT, max_retries=0
            ) as client,
        ):
            began = time.monotonic()
            with pytest.raises(Unreachable):
                await client.get("/r/Bitcoin/about", {})
            assert time.monotonic() - began < LATE

    uvloop.run(scenario())
