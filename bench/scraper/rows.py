"""Posts a second into the database: new ones, then newer versions of the same; against the driver's executemany."""

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import asyncpg
import uvloop

from bench.figure import Figure, at_least
from bench.material import in_chunks
from bench.scraper.stage import Stage
from scraper.parse.posts import posts
from scraper.reddit.rows import Post
from scraper.store.batches.batch import Batch
from scraper.store.store import Store
from tests.support.postgres import PostgresServer

_ROWS = 20_000
_LISTING = 30  # posts stored together, as those of one user
_TASKS = 100  # concurrent savers: enough that the store never waits
_TRANSACTION = 1_000  # rows of the baseline's
_ROUNDS = 2  # the best round counts: other load only slows it
_COLUMNS = ", ".join(Post._fields)


class Pace(NamedTuple):
    """Rows per second, and CPU microseconds of this process per row."""

    by_clock: float
    cpu: float


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        rows = _rows(directory)
        figures = _on_sqlite(directory, rows)
        server = PostgresServer()
        try:
            server.start()
            return figures + _on_postgres(server, rows)
        finally:
            server.dispose()


def _on_sqlite(directory: Path, rows: list[Post]) -> list[Figure]:
    bare = max(_bare_sqlite(directory / f"bare-{number}.db", rows) for number in range(_ROUNDS))
    ours = max(uvloop.run(_save(f"sqlite:///{directory / f'ours-{number}.db'}", rows)) for number in range(_ROUNDS))
    return _figures("SQLite", bare, ours, 20_000)


def _on_postgres(server: PostgresServer, rows: list[Post]) -> list[Figure]:
    bare = max(uvloop.run(_bare_postgres(server.new_database(), rows)) for _ in range(_ROUNDS))
    ours = max(uvloop.run(_save(server.new_database(), rows)) for _ in range(_ROUNDS))
    return _figures("PostgreSQL", bare, ours, 15_000)


def _figures(database: str, bare: Pace, ours: Pace, aim: float) -> list[Figure]:
    return [
        Figure(f"{database}: baseline, executemany of the driver", bare.by_clock, "rows/s"),
        at_least(f"{database}: saved in batches of {_LISTING}", ours.by_clock, aim, "rows/s"),
        Figure(f"{database}: ratio of the two", ours.by_clock / bare.by_clock, digits=2),
        Figure(f"{database}: CPU of ours a row (baseline {bare.cpu:.1f})", ours.cpu, "µs", digits=1),
    ]


def _rows(directory: Path) -> list[Post]:
    """Return posts of the simulator under fresh ids."""
    with Stage(directory, 1) as stage:
        request = Request(f"{stage.simulator.url}/r/{stage.names[0]}/top.json?t=year&limit=100&raw_json=1")
        request.add_header("User-Agent", "bench")
        with urlopen(request, timeout=30) as answer:
            template = posts(json.load(answer), datetime.now(UTC)).rows
    return [template[number % len(template)]._replace(reddit_id=f"b{number:06x}") for number in range(_ROWS)]


def _newer(rows: list[Post]) -> list[Post]:
    later = rows[0].fetched_at + timedelta(hours=1)
    return [row._replace(fetched_at=later, score=7) for row in rows]


async def _save(url: str, rows: list[Post]) -> Pace:
    """Save with the product's store: as many concurrent tasks as a crawl has, each with its own listing."""
    store = await Store.open(url, holder="bench")
    chunks: Iterator[list[Post]] = iter([])

    async def task() -> None:
        for chunk in chunks:
            await store.save(Batch(posts=chunk))

    async def save(some: list[Post]) -> None:
        nonlocal chunks
        chunks = in_chunks(some, _LISTING)
        await asyncio.gather(*(task() for _ in range(_TASKS)))

    try:
        return await _timed(save, rows)
    finally:
        await store.close()


async def _bare_postgres(url: str, rows: list[Post]) -> Pace:
    store = await Store.open(url, holder="bench")  # for the same table with the same indexes
    await store.close()
    places = ", ".join(f"${place}" for place in range(1, len(Post._fields) + 1))
    connection = await asyncpg.connect(url)

    async def save(some: list[Post]) -> None:
        for chunk in in_chunks(some, _TRANSACTION):
            await connection.executemany(f"INSERT INTO reddit_posts ({_COLUMNS}) VALUES ({places}) {_upsert()}", chunk)

    try:
        return await _timed(save, rows)
    finally:
        await connection.close()


def _bare_sqlite(path: Path, rows: list[Post]) -> Pace:
    uvloop.run(_made(path))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    places = ", ".join("?" * len(Post._fields))

    async def save(some: list[Post]) -> None:
        for chunk in in_chunks(some, _TRANSACTION):
            plain = [tuple(str(value) if isinstance(value, datetime) else value for value in row) for row in chunk]
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO reddit_posts ({_COLUMNS}) VALUES ({places}) {_upsert()}", plain)
            connection.execute("COMMIT")

    try:
        return asyncio.run(_timed(save, rows))
    finally:
        connection.close()


async def _made(path: Path) -> None:
    await (await Store.open(f"sqlite:///{path}", holder="bench")).close()


def _upsert() -> str:
    sets = ", ".join(f"{name} = excluded.{name}" for name in Post._fields[1:])
    return f"ON CONFLICT (reddit_id) DO UPDATE SET {sets} WHERE excluded.fetched_at >= reddit_posts.fetched_at"


async def _timed(save: Callable[[list[Post]], Awaitable[None]], rows: list[Post]) -> Pace:
    newer = _newer(rows)
    clock, cpu = time.perf_counter(), time.process_time()
    await save(rows)
    await save(newer)
    count = len(rows) + len(newer)
    return Pace(count / (time.perf_counter() - clock), (time.process_time() - cpu) / count * 1e6)
