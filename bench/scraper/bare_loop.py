"""The baseline: aiohttp and orjson and nothing else, for the paths on standard input; says how long it took."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import aiohttp
import orjson
import uvloop


async def _work(session: aiohttp.ClientSession, url: str, paths: Iterator[str]) -> None:
    for path in paths:
        async with session.get(f"{url}{path}") as answer:
            orjson.loads(await answer.read())


async def _run(url: str, concurrency: int, paths: list[str]) -> None:
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers={"User-Agent": "bare"}) as session:
        left = iter(paths)
        cpu, clock = time.process_time(), time.perf_counter()
        await asyncio.gather(*(_work(session, url, left) for _ in range(concurrency)))
        spent = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - clock}
    print(json.dumps({"requests": len(paths), **spent}))


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], int(sys.argv[2]), sys.stdin.read().split()))
