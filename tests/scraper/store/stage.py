"""What the store's tests stand on: a database of their own, a clock that stands still, and rows."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import uvloop

from scraper.reddit.rows import Post, Rule, Subreddit, User
from scraper.store import Store

T = TypeVar("T")

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Stage:
    """One empty database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Clock()

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @asynccontextmanager
    async def open(self, holder: str = "here/scraper-a") -> AsyncIterator[Store]:
        """Open the store as one process would."""
        store = await Store.open(self.url, holder=holder, clock=self.clock)
        try:
            yield store
        finally:
            await store.close()

    @property
    def file(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask, or change something by hand, as a person would."""
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.file, timeout=10.0, isolation_level=None)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                return connection.execute(sql).fetchall()
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()


def play(scenario: Callable[[], Coroutine[Any, Any, T]], *, loop: str = "uvloop") -> T:
    """Run a scenario to its end, on the event loop that production uses unless told otherwise."""
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(scenario())


def later(seconds: float) -> datetime:
    """A moment after noon."""
    return NOON + timedelta(seconds=seconds)


def a_subreddit(name: str = "Bitcoin", at: datetime = NOON, **fields: Any) -> Subreddit:
    return Subreddit(**{"name": name, "state": "open", "fetched_at": at, "title": f"about {name}", **fields})


def a_post(reddit_id: str = "abc", at: datetime = NOON, **fields: Any) -> Post:
    plain = {"subreddit_name": "Bitcoin", "author_username": "Satoshi", "title": "hello"}
    return Post(**{"reddit_id": reddit_id, "fetched_at": at, **plain, **fields})


def a_user(username: str = "Satoshi", at: datetime = NOON, **fields: Any) -> User:
    return User(**{"username": username, "state": "active", "fetched_at": at, **fields})


def a_rule(position: int, at: datetime = NOON, subreddit_name: str = "Bitcoin", **fields: Any) -> Rule:
    plain = {"short_name": f"rule {position}"}
    return Rule(**{"subreddit_name": subreddit_name, "position": position, "fetched_at": at, **plain, **fields})
