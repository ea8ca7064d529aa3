"""Fetches and decodes the paths on standard input, and prints the time.

`bare`: only aiohttp and orjson, the baseline. `client`: the product's client, with its retries and
accounting, without a store. `stored`: the least that also stores the posts and users: the bare client, the product's
parsers and statements, and the driver in a second thread; no retries, no frontier, no checks.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import orjson
import uvloop
from sqlalchemy.dialects import sqlite

from bench.scraper.stage import USER_AGENT
from core.process.memory_tuning import tune_gc, tune_malloc
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.parse.posts import posts
from scraper.parse.users import user
from scraper.reddit.payload import TypedListing, decode
from scraper.reddit.question import Kind, Question
from scraper.reddit.rows import Post, User
from scraper.store.saver import MOST_ROWS
from scraper.store.statements.upsert import Upserts
from scraper.store.store import Store
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


async def _stored(url: str, concurrency: int, paths: list[str]) -> dict[str, float]:
    tune_malloc()
    connector = aiohttp.TCPConnector(limit=concurrency)
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name, ThreadPoolExecutor(1) as thread:
        path = Path(name) / "reddit.db"
        await (await Store.open(f"sqlite:///{path}", holder="bench")).close()
        async with aiohttp.ClientSession(connector=connector, headers={"User-Agent": USER_AGENT}) as session:
            waiting: list[Post | User] = []
            driver = _Driver(path)

            async def store(most: int) -> None:
                if len(waiting) >= most:
                    rows = [*waiting]
                    waiting.clear()
                    await asyncio.get_running_loop().run_in_executor(thread, driver.insert, rows)

            async def get(path: str) -> object:
                async with session.get(f"{url}{path}") as answer:
                    waiting.extend(_rows(path, await answer.read()))
                await store(MOST_ROWS)
                return None

            tune_gc()
            spent = await _timed(get, concurrency, paths)
            await store(1)
            return spent


def _rows(path: str, body: bytes) -> list[Any]:
    """Parse posts and users as the product does; other facts are decoded only."""
    is_user = path.startswith("/user/")
    kind = Kind.SUBMITTED if "limit=" in path else Kind.USER if is_user else Kind.ABOUT
    payload = decode(body, Question(kind, ""))
    now = datetime.now(UTC)
    if isinstance(payload, TypedListing):
        return posts(payload, now).rows
    return [user(payload, now)] if is_user else []


class _Driver:
    """Runs a statement of the product without SQLAlchemy."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA synchronous = NORMAL")
        upserts = Upserts(sqlite.dialect())
        self._writes: dict[type, Any] = {Post: upserts.posts, User: upserts.users}

    def exec_driver_sql(self, statement: str, values: Any) -> None:  # noqa: ANN401 (as SQLAlchemy's)
        self.connection.executemany(statement, values if isinstance(values, list) else [values])

    def insert(self, rows: list[Post | User]) -> None:
        """Insert rows in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        for kind, write in self._writes.items():
            write(self, {row[0]: row for row in rows if type(row) is kind}.values())
        self.connection.execute("COMMIT")


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
    loop = {"bare": _bare, "client": _client, "stored": _stored}[sys.argv[1]]
    print(json.dumps(uvloop.run(loop(sys.argv[2], int(sys.argv[3]), sys.stdin.read().split()))))
