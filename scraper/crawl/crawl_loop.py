"""The loop of one scraper process: as many subreddits at once as keep every connection busy."""

import asyncio
import contextlib
import math
from collections.abc import Iterable
from typing import Any, Protocol

import structlog

from core.errors import PermanentError, TransientError
from scraper.crawl import parts
from scraper.crawl.crawl_settings import CrawlSettings
from scraper.crawl.subreddit_job import SubredditJob
from scraper.store.batches.remaining_work import Lease

log = structlog.stdlib.get_logger(__name__)

#: A lease that nobody renews returns after so long, seconds: what a killed process held waits no longer.
LEASE_SECONDS = 60.0
_RENEW_EVERY = LEASE_SECONDS / 4

#: How often to look for connections without work, seconds: small beside the time that a request takes.
_LOOK_EVERY = 0.02

#: How often to look for something due when there was nothing, seconds.
_LOOK_FOR_WORK_EVERY = 1.0

_STORE_PAUSE = 2.0


class Connections(Protocol):
    """What the loop needs of scraper.http.retrying_fetcher.Client."""

    @property
    def idle(self) -> int:
        """Return how many more requests could be under way now."""

    @property
    def resting(self) -> bool:
        """Whether the proxy is out of work."""


class Frontier(Protocol):
    """What the loop needs of scraper.store.store.Store."""

    async def lease(self, limit: int, *, max_depth: int, refresh_after: float, seconds: float) -> list[Lease]:
        """Take the next that are due."""

    async def renew(self, names: Iterable[str], seconds: float) -> frozenset[str]:
        """Prolong these leases, and all claims of this process; tell which leases are still held."""

    async def take_back(self) -> None:
        """Let go of all leases and claims of this process."""


class Crawl:
    """Takes subreddits from the frontier and visits them side by side."""

    def __init__(
        self, connections: Connections, frontier: Frontier, job: SubredditJob, settings: CrawlSettings
    ) -> None:
        self._connections = connections
        self._frontier = frontier
        self._visitor = job
        self._settings = settings
        self._visits: dict[asyncio.Task[None], Lease] = {}
        self._failure: BaseException | None = None
        # a visit that only waits for its last author occupies no connection: others go on beside it
        self._most = max(4, settings.concurrency // 2)

    @property
    def visits(self) -> int:
        """Return how many subreddits are being visited."""
        return len(self._visits)

    async def run(self, stop: asyncio.Event) -> None:
        """Crawl until stop is asked; raises PermanentError where going on makes no sense."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not stop.is_set() and self._failure is None:
                await _pause(stop, await self._fill())
        finally:
            await _ended([renewing, *self._visits])
        if self._failure is not None:
            raise self._failure

    async def _fill(self) -> float:
        """Give idle connections something to do; return how long to wait until the next look."""
        wanted = min(math.ceil(self._connections.idle / len(parts.ALL)), self._most - len(self._visits))
        if wanted <= 0 or self._connections.resting:
            return _LOOK_EVERY
        try:
            leases = await self._frontier.lease(
                wanted,
                max_depth=self._settings.max_depth,
                refresh_after=self._settings.refresh_after,
                seconds=LEASE_SECONDS,
            )
        except TransientError as error:
            log.warning("frontier_not_read", error=str(error), retry_in_seconds=_STORE_PAUSE)
            return _STORE_PAUSE
        for lease in leases:
            task = asyncio.create_task(self._visit(lease))
            self._visits[task] = lease
            task.add_done_callback(self._visited)
        return _LOOK_EVERY if leases else _LOOK_FOR_WORK_EVERY

    async def _visit(self, lease: Lease) -> None:
        try:
            await self._visitor.visit(lease)
        except PermanentError as error:
            self._failure = error
        except TransientError as error:
            # the database was away when it was asked something; giving back waits until it is there again
            await self._visitor.give_back(lease)
            log.warning("visit_broken_off", subreddit=lease.name, error=str(error))
        except Exception as error:
            # an error of ours with one subreddit: the others must go on
            log.exception("visit_failed", subreddit=lease.name)
            await self._visitor.fail(lease, error)

    def _visited(self, task: asyncio.Task[None]) -> None:
        del self._visits[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            try:
                await self._frontier.renew([lease.name for lease in self._visits.values()], LEASE_SECONDS)
            except TransientError as error:
                log.warning("leases_not_renewed", error=str(error), hint="they return when they expire")


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _ended(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
