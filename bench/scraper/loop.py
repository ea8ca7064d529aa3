"""Fetches and decodes the paths on standard input, and prints the time.

`bare`: only aiohttp and orjson, the baseline. `client`: the product's client, with its retries and
accounting, without a store.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import orjson
import uvloop

from bench.scraper.stage import USER_AGENT
from scraper.http.retrying_fetcher import RetryingFetcher
from tests.support.scraper_config import scraper_config_of

Get = Callable[[str], Awaitable[object]]


async def _bare(url: str, concurrency: int, paths: list[str]) -> dict[str, float]:
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers={"User-Agent": USER_AGENT}) as session:

        async def get(path: str) -> object:
            async with session.get(f"{url}{path}") as answer:
                return orjson.loads(await answer.read())

        return await _timed(get, concurrency, paths)


async def _client(url: str, concurrency: int, paths: list[str]) -> dict[str, float]:
    calls = {path: _call(path) for path in paths}
    client = RetryingFetcher(scraper_config_of(url, user_agent=USER_AGENT, concurrency=concurrency))
    await client.start()
    try:
        return await _timed(lambda path: client.get(*calls[path]), concurrency, paths)
    finally:
        await client.close()


def _call(path: str) -> tuple[str, dict[str, str]]:
    """Split what was asked into what the crawl said."""
    parts = urlsplit(path)
    return parts.path.removesuffix(".json"), dict(parse_qsl(parts.query))


async def _timed(get: Get, concurrency: int, paths: Iterable[str]) -> dict[str, float]:
    left, done = iter(paths), 0

    async def work() -> None:
        nonlocal done
        for path in left:
            await get(path)
            done += 1

    cpu, clock = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - clock, "requests": done}


if __name__ == "__main__":
    loop = {"bare": _bare, "client": _client}[sys.argv[1]]
    print(json.dumps(uvloop.run(loop(sys.argv[2], int(sys.argv[3]), sys.stdin.read().split()))))
