"""One scraper process of the fuzzer: the real client, store and crawl, all in the test's own process."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config.proxies import Proxy
from core.config.slices import RedditAccess, ScraperConfig
from core.reddit.limiter import Limiter
from scraper.crawl.crawl_counters import CrawlCounters, FinishRate
from scraper.crawl.crawl_loop import Crawl
from scraper.crawl.subreddit_job import SubredditJob
from scraper.http.auth.credentials import ProvenCredentials
from scraper.http.proxy.siblings import Sibling
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.store.store import Store

_ID, _SECRET = "fuzz-id", "fuzz-secret"


@dataclass(frozen=True, slots=True)
class Setting:
    """The state that all processes of one life share."""

    directory: Path
    crawl: ScraperConfig
    url: str
    with_token: bool
    per_minute: int
    epoch: Callable[[], float]  #: seconds since 1970
    clock: Callable[[], float]

    @property
    def database(self) -> Path:
        """Return the path of the SQLite file."""
        return self.directory / "reddit.db"

    def now(self) -> datetime:
        """Return the time as the database's clock gives it."""
        return datetime.fromtimestamp(self.epoch(), UTC)


@dataclass
class ScraperProcess:
    """Starts and stops; `others` are all processes, including this one."""

    name: str
    proxy: str | None
    setting: Setting
    others: list["ScraperProcess"] = field(default_factory=list)
    client: RetryingFetcher | None = None
    store: Store | None = None
    crawl: Crawl | None = None
    failures: list[str] = field(default_factory=list)
    _stop: asyncio.Event | None = None
    _task: asyncio.Task[None] | None = None
    _limiter: Limiter | None = None

    async def start(self) -> None:
        """Open what it needs, as scraper.scraper_process does, and start."""
        setting, crawl = self.setting, self.setting.crawl
        proxy = Proxy(self.name, self.proxy) if self.proxy is not None else None
        access = RedditAccess(setting.url, setting.url, "linux:gapless.test:1 (by /u/tester)", _ID, _SECRET)
        config = replace(crawl, access=access, proxy=proxy, with_token=setting.with_token)
        if setting.with_token:
            self._limiter = Limiter(setting.directory, self.name, setting.per_minute, clock=setting.epoch)
        memory = ProvenCredentials(setting.directory, _ID, _SECRET)
        self.client = RetryingFetcher(
            config, self._limiter, siblings=self._siblings, memory=memory, clock=setting.clock
        )
        self.store = await Store.open(f"sqlite:///{setting.database}", holder=f"fuzz/{self.name}", clock=setting.now)
        await self.store.take_back()
        await self.store.enter(crawl.subreddits)
        visitor = SubredditJob(self.client, self.store, crawl, CrawlCounters(FinishRate(0.0)), now=self.store.now)
        self.crawl = Crawl(self.client, self.store, visitor, crawl)
        await self.client.start()
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run(self.client, self.crawl, self._stop))

    async def _run(self, client: RetryingFetcher, crawl: Crawl, stop: asyncio.Event) -> None:
        testing = asyncio.create_task(client.keep_testing())
        try:
            await client.probe()
            await crawl.run(stop)
        except Exception as error:  # noqa: BLE001 -- a process that ends by itself is what the round looks for
            self.failures.append(f"{self.name} died: {type(error).__name__}: {error}")
        finally:
            testing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await testing

    async def stop(self, *, gracefully: bool = True) -> None:
        """Request a stop, or interrupt it; its leases are given back, or come back when it starts again."""
        if self._task is None or self.client is None or self.store is None or self._stop is None:
            return
        self._stop.set()
        if not gracefully:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()
        await self.store.close()
        if self._limiter is not None:
            self._limiter.close()
        self._task = self.client = self.store = self.crawl = self._limiter = None

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is in progress."""
        client, crawl = self.client, self.crawl
        return client is None or crawl is None or (not crawl.jobs and not client.in_flight)

    @property
    def works(self) -> bool:
        """Whether its proxy works."""
        return self.client is not None and not self.client.resting

    @property
    def writes(self) -> bool:
        """Whether a transaction is in progress."""
        store: Any = self.store
        return store is not None and bool(store._database._in_progress)  # noqa: SLF001 -- the time stands still for it

    def sibling(self) -> Sibling | None:
        """Report its proxy to the others, as the report in the state directory does."""
        if self.client is None:
            return None
        report = self.client.report()
        good_for = (datetime.now(UTC) - report.good_at).total_seconds() if report.good_at is not None else float("inf")
        return Sibling(max(0.0, good_for), report.recent_good, report.recent_bad, report.failing, report.witness)

    def _siblings(self) -> list[Sibling]:
        reports = [other.sibling() for other in self.others if other is not self]
        return [one for one in reports if one is not None]
