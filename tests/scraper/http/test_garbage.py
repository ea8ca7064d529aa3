"""Whatever bytes come back, at whatever point: the error is one of ours, and soon there."""

import asyncio
import contextlib
import random

import pytest
import uvloop

from core.errors import TransientError
from tests.scraper.http.clients import running
from tests.scraper.http.script import Mute

GREETING = (
    b"\x05\x00",
    b"\x05\x02",
    b"\x01\x00",
    b"\x05\x00\x00\x01\0\0\0\0\0\0",
    b"\x05\x00\x00\x03\x03\xff\xff\xff\0\0",
)
HEADS = (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"{}", b"zz\r\n")
KINDS = (("http", "http"), ("http", "https"), ("socks5", "http"), ("socks5", "https"))


def pieces(chance: random.Random) -> tuple[bytes, ...]:
    """Words of the protocols in any order, some of them damaged."""
    found = []
    for _ in range(chance.randint(1, 5)):
        word = bytearray(chance.choice([*GREETING, *HEADS, chance.randbytes(chance.randint(1, 40))]))
        if chance.random() < 0.4:
            word[chance.randrange(len(word))] = chance.randrange(256)
        found.append(bytes(word))
    return tuple(found)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_proxy_sends(seed: int) -> None:
    chance = random.Random(seed)

    async def one(scheme: str, target: str, words: tuple[bytes, ...]) -> None:
        async with Mute(*words) as mute:
            proxy = f"{scheme}://user:password@127.0.0.1:{mute.port}"
            async with running(f"{target}://127.0.0.1:1", proxy, timeout=0.3, max_retries=0) as client:
                try:
                    with contextlib.suppress(TransientError):  # the only error that garbage may cause
                        await client.get("/r/a/about", {})
                except Exception as error:
                    raise AssertionError(f"{type(error).__name__} at {scheme} to {target}: {words!r}") from error
                assert client.in_flight == 0

    async def scenario() -> None:
        for _ in range(3):
            await asyncio.gather(*(one(*chance.choice(KINDS), pieces(chance)) for _ in range(25)))

    uvloop.run(scenario())
