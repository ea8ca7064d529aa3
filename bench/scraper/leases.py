"""Time of a lease with a large frontier: nothing skipped, and the first half skipped by a person."""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import asyncpg
import uvloop

from bench.figure import Figure, at_most
from scraper.store.store import Store
from tests.support.postgres import PostgresServer

_ROWS = 100_000
_SKIPPED = 50_000
_LEASES = 50
_AIM_MS = 5.0

_FRONTIER = (
    "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {rows}) "
    "INSERT INTO reddit_frontier (name, spelling, depth, due_at, entered_at) "
    "SELECT 'name' || n, 'Name' || n, 1, {at}, {at} FROM number"
)
_REVIEWS = (
    "INSERT INTO reddit_subreddits (name, review) SELECT spelling, 'skip' FROM reddit_frontier "
    "WHERE CAST(substr(name, 5) AS INTEGER) <= {skipped}"
)


def measure() -> list[Figure]:
    """Measure both databases."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        for skipped in (0, _SKIPPED):
            url = f"sqlite:///{Path(name) / f'{skipped}.db'}"
            figures.append(_figure("SQLite", skipped, uvloop.run(_leases(url, skipped))))
    server = PostgresServer()
    try:
        server.start()
        for skipped in (0, _SKIPPED):
            milliseconds = uvloop.run(_leases(server.new_database(), skipped))
            figures.append(_figure("PostgreSQL", skipped, milliseconds))
    finally:
        server.dispose()
    return figures


def _figure(database: str, skipped: int, milliseconds: float) -> Figure:
    what = f"{database}: a lease of {_ROWS:,} rows, the first {skipped:,} skipped"
    return at_most(what, milliseconds, _AIM_MS, "ms", digits=2)


async def _leases(url: str, skipped: int) -> float:
    """Fill the frontier as other programs would, and return the median time of a lease in milliseconds."""
    store = await Store.open(url, holder="bench/scraper-a")
    try:
        await _fill(url, skipped)
        times = []
        for _ in range(_LEASES):
            began = time.perf_counter()
            leases = await store.lease(1, max_depth=2, refresh_after=86400.0, seconds=60.0)
            times.append(1000.0 * (time.perf_counter() - began))
            if [int(lease.name[4:]) <= skipped for lease in leases] != [False]:
                raise AssertionError(f"leased {leases}")
        return statistics.median(times)
    finally:
        await store.close()


async def _fill(url: str, skipped: int) -> None:
    reviews = _REVIEWS.format(skipped=skipped)
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        with connection:
            connection.execute(_FRONTIER.format(rows=_ROWS, at="'2026-01-01 00:00:00.000000'"))
            connection.execute(reviews)
        connection.close()
        return
    server = await asyncpg.connect(url)
    try:
        await server.execute(_FRONTIER.format(rows=_ROWS, at="TIMESTAMPTZ '2026-01-01 00:00:00Z'"))
        await server.execute(reviews)
    finally:
        await server.close()
