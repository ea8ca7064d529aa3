"""A stage for turns: a database on disk, a scripted Reddit, a clock; each turn is played by a process of its own."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scraper.crawl.crawl_counters import CrawlCounters, FinishRate
from scraper.crawl.subreddit_job import SubredditJob
from scraper.store.batches.batch import Lease
from scraper.store.store import Store
from tests.scraper.crawl.reddit import ScriptedReddit
from tests.support.scraper_config import scraper_config_of

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = scraper_config_of(subreddits=("Bitcoin",))


class Stage:
    """A database on disk, a Reddit, a clock; turns are played one after the other."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "reddit.db"
        self.reddit = ScriptedReddit()
        self.now = START
        self.counters = CrawlCounters(FinishRate(0.0))
        self.settings = SETTINGS

    def play(self, scene: Callable[[Store, SubredditJob], Awaitable[None]], holder: str = "here/scraper-a") -> None:
        """Start a process, let it do this, and end it."""

        async def run() -> None:
            store = await Store.open(f"sqlite:///{self.path}", holder=holder, clock=lambda: self.now)
            try:
                job = SubredditJob(
                    self.reddit, store, self.settings, self.counters, now=lambda: self.now, draw=lambda: 0.5
                )
                await store.enter(self.settings.subreddits)
                await scene(store, job)
            finally:
                await store.close()

        asyncio.run(run())

    async def lease(self, store: Store) -> list[Lease]:
        return await store.lease(10, max_depth=self.settings.max_depth, refresh_after=86400.0, seconds=60.0)

    def turn(self, holder: str = "here/scraper-a") -> list[str]:
        """Visit all that is due now, in a process of this name; name it."""
        visited = []

        async def scene(store: Store, job: SubredditJob) -> None:
            for lease in await self.lease(store):
                visited.append(lease.name)
                await job.run(lease)

        self.play(scene, holder)
        return visited

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as connection:
            return connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        [(value,)] = self.rows(query)
        return value
