"""The process of one proxy: opens what it needs, crawls until it is stopped, and releases its leases."""

import asyncio
import contextlib
import os
import random
import uuid
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from core.backoff import Backoff
from core.child import ChildContext
from core.config.slices import ScraperConfig
from core.process.memory_tuning import return_free_memory, tune_gc
from core.reddit.limiter import Limiter
from core.storage.private_files import write_private
from scraper.crawl.crawl_counters import CrawlCounters, FinishRate
from scraper.crawl.crawl_loop import Crawl
from scraper.crawl.status_reporter import StatusReporter
from scraper.crawl.subreddit_job import SubredditJob
from scraper.http.auth.credentials import ProvenCredentials
from scraper.http.proxy.siblings import siblings_of
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.store.connection.database_errors import StoreUnavailable
from scraper.store.store import Store

T = TypeVar("T")

_BEAT_INTERVAL_S = 1.0  # each heartbeat wakes the supervisor: most of its CPU use when idle
_REOPEN = Backoff(first=1.0, longest=30.0)

_TRIM_INTERVAL_S = 5.0

#: Part of the stop time that is reserved for closing connections, seconds.
_CLOSING_TIME_S = 0.5

#: Longest wait for a last write while the database is away, seconds.
_LONGEST_CLOSING_S = 5.0


def run(context: ChildContext, config: ScraperConfig) -> None:
    """Crawl through one proxy, or without one, into the database.

    Raises PermanentError when a person must act: wrong credentials, a database of a newer version.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(context, config))


async def _run(context: ChildContext, config: ScraperConfig) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def request_stop() -> None:
        loop.call_soon_threadsafe(stop.set)

    context.on_stop(request_stop)
    beating = asyncio.create_task(_beat(context))
    try:
        async with contextlib.AsyncExitStack() as stack:
            store = await _open_store(context, config, stop)
            if store is None:
                return
            stack.push_async_callback(_close_store, context, store)
            client = await stack.enter_async_context(_client(config, context.name))
            await _crawl(context, config, client, store, stop)
    finally:
        beating.cancel()


async def _crawl(
    context: ChildContext, config: ScraperConfig, client: RetryingFetcher, store: Store, stop: asyncio.Event
) -> None:
    counters = CrawlCounters(FinishRate(store.now().timestamp()))
    job = SubredditJob(client, store, config, counters, now=store.now)
    crawl = Crawl(client, store, job, config)
    reporter = StatusReporter(
        context.name,
        config.state_dir,
        client,
        store,
        counters=counters,
        config=config,
        jobs=lambda: crawl.jobs,
        now=_now,
    )
    tune_gc()
    context.ready()
    work = (_test_and_crawl(client, crawl, stop), reporter.run(), client.keep_testing(), _return_memory())
    tasks = {asyncio.create_task(part) for part in work}
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _put_back(context, store, reporter)


async def _test_and_crawl(client: RetryingFetcher, crawl: Crawl, stop: asyncio.Event) -> None:
    """Test the proxy, then crawl: a proxy that fails rests, and is tested again automatically."""
    await _unless(stop, client.probe())
    await crawl.run(stop)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Run this until stop is set; then cancel it and return None."""
    task, asked = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        asked.cancel()
        await asyncio.gather(task, asked, return_exceptions=True)


async def _put_back(context: ChildContext, store: Store, reporter: StatusReporter) -> None:
    """Release what this process holds for other processes; without the database the leases expire."""
    seconds = max(_CLOSING_TIME_S, context.drain_seconds() - _CLOSING_TIME_S)
    try:
        async with asyncio.timeout(seconds):
            await store.take_back()
            await reporter.end()
    except (StoreUnavailable, TimeoutError) as error:
        context.log.warning("leases_not_put_back", error=str(error), hint="other processes get them when they expire")
    reporter.last()


async def _close_store(context: ChildContext, store: Store) -> None:
    """Write what waits, within the time that is left: without the database it is fetched again."""
    await store.close(min(_LONGEST_CLOSING_S, context.drain_seconds()))


@contextlib.asynccontextmanager
async def _client(config: ScraperConfig, process: str) -> AsyncIterator[RetryingFetcher]:
    limiter = None
    if config.with_token:
        limiter = Limiter(config.state_dir, process, config.requests_per_minute)
    siblings = siblings_of(config.state_dir, process, config.processes)
    memory = ProvenCredentials(config.state_dir, config.access.client_id, config.access.client_secret)
    client = RetryingFetcher(config, limiter, siblings=siblings, memory=memory)
    await client.start()
    try:
        yield client
    finally:
        await client.close()
        if limiter is not None:
            limiter.close()


async def _open_store(context: ChildContext, config: ScraperConfig, stop: asyncio.Event) -> Store | None:
    """Open the database and enter the seed subreddits; retry until it is available, return None on stop."""
    holder = f"{_installation(config.state_dir)}/{context.name}"
    failures = 0
    while not stop.is_set():
        try:
            return await _unless(stop, _opened_store(config, holder))
        except StoreUnavailable as error:
            failures += 1
            seconds = _REOPEN.pause(failures, random.random)
            context.log.warning("database_not_opened", error=str(error), retry_in_seconds=round(seconds, 1))
            context.ready()  # alive and waiting: a restart would not help
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)
    return None


async def _opened_store(config: ScraperConfig, holder: str) -> Store:
    store = await Store.open(config.database_url, holder=holder)
    try:
        await store.take_back()  # leases of a killed predecessor
        await store.enter(config.subreddits)
    except BaseException:
        await store.close()
        raise
    return store


def _installation(state_dir: Path) -> str:
    """Return an id that separates this state directory's processes from another machine's on the same database."""
    path = state_dir / "crawl" / "installation"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # several processes may be the first: write the file atomically; the first one counts
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        write_private(fresh, uuid.uuid4().hex)
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text(encoding="ascii")


async def _beat(context: ChildContext) -> None:
    while True:
        context.beat()
        await asyncio.sleep(_BEAT_INTERVAL_S)


async def _return_memory() -> None:
    """Return at intervals what large answers leave free between small objects that stay: some 2 MiB."""
    while True:
        return_free_memory()
        await asyncio.sleep(_TRIM_INTERVAL_S)


def _now() -> datetime:
    return datetime.now(UTC)
