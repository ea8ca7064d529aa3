"""The loop of one scraper process: fetches enough subreddits at once to keep every connection busy."""

import asyncio
import contextlib
import math
from collections.abc import Iterable
from typing import Any, Protocol

import structlog

from core.config.slices import ScraperConfig
from core.errors import PermanentError, TransientError
from scraper.crawl import parts
from scraper.crawl.subreddit_job import SubredditJob
from scraper.store.batches.batch import Lease

log = structlog.stdlib.get_logger(__name__)

#: A lease that is not renewed expires after this time, seconds: a killed process's leases are free again by then.
LEASE_SECONDS = 60.0
_RENEW_INTERVAL_S = LEASE_SECONDS / 4

#: Interval between checks for idle connections, seconds: short compared with a request.
_IDLE_CHECK_INTERVAL_S = 0.02

#: Requests that are kept ahead, per connection: those in flight, and others for the time that the first answers about
#: the next subreddit take.
_AHEAD = 4

#: Interval between checks for due work when there was none, seconds.
_WORK_CHECK_INTERVAL_S = 1.0

_STORE_PAUSE_S = 2.0


class Connections(Protocol):
    """The part of scraper.http.retrying_fetcher.RetryingFetcher that the loop needs."""

    @property
    def idle(self) -> int:
        """Return how many more requests could be in flight now."""

    @property
    def paused(self) -> bool:
        """Whether requests wait for more than a free connection."""

    @property
    def resting(self) -> bool:
        """Whether the proxy is resting."""


class Frontier(Protocol):
    """The part of scraper.store.store.Store that the loop needs."""

    async def lease(self, limit: int, *, max_depth: int, refresh_after: float, seconds: float) -> list[Lease]:
        """Lease the next due subreddits."""

    async def renew(self, names: Iterable[str], seconds: float) -> frozenset[str]:
        """Renew these leases, and all claims of this process; return the leases that are still held."""

    async def take_back(self) -> None:
        """Release all leases and claims of this process."""


class Crawl:
    """Leases subreddits from the frontier and runs their jobs side by side."""

    def __init__(self, connections: Connections, frontier: Frontier, job: SubredditJob, config: ScraperConfig) -> None:
        self._connections = connections
        self._frontier = frontier
        self._job = job
        self._config = config
        self._jobs: dict[asyncio.Task[None], Lease] = {}
        self._failure: BaseException | None = None
        # a job that only waits for its last author occupies no connection: others run beside it
        self._most_jobs = max(4, config.concurrency // 2)

    @property
    def jobs(self) -> int:
        """Return how many subreddits are in progress."""
        return len(self._jobs)

    async def run(self, stop: asyncio.Event) -> None:
        """Crawl until a stop is requested; raises PermanentError if continuing makes no sense."""
        renewing = asyncio.create_task(self._renew())
        try:
            while not stop.is_set() and self._failure is None:
                await _pause(stop, await self._fill())
        finally:
            await _cancel_all([renewing, *self._jobs])
        if self._failure is not None:
            raise self._failure

    async def _fill(self) -> float:
        """Start jobs while too few requests are ahead; return the seconds until the next check.

        A process that leased more would still be busy with them when the others have nothing left to lease.
        """
        wanted = min(self._wanted(), self._most_jobs - len(self._jobs))
        if wanted <= 0 or self._connections.resting or self._connections.paused:
            return _IDLE_CHECK_INTERVAL_S
        try:
            leases = await self._frontier.lease(
                wanted,
                max_depth=self._config.max_depth,
                refresh_after=self._config.refresh_after,
                seconds=LEASE_SECONDS,
            )
        except TransientError as error:
            log.warning("frontier_not_read", error=str(error), retry_in_seconds=_STORE_PAUSE_S)
            return _STORE_PAUSE_S
        for lease in leases:
            task = asyncio.create_task(self._run_job(lease))
            self._jobs[task] = lease
            task.add_done_callback(self._job_ended)
        return _IDLE_CHECK_INTERVAL_S if leases else _WORK_CHECK_INTERVAL_S

    def _wanted(self) -> int:
        """Return how many subreddits bring the requests that are missing; at least enough for the idle connections.

        While all subreddits in progress wait for their first answers, connections are idle although enough is ahead.
        """
        ahead = self._job.ahead
        missing = _AHEAD * self._config.concurrency - ahead.calls
        if missing <= 0:
            return 0 if ahead.knows_authors else self._connections.idle // len(parts.ALL)
        return math.ceil(max(missing / ahead.calls_each, self._connections.idle / len(parts.ALL)))

    async def _run_job(self, lease: Lease) -> None:
        try:
            await self._job.run(lease)
        except PermanentError as error:
            self._failure = error
        except TransientError as error:
            # the database was away during a call; giving back waits until it is there again
            await self._job.give_back(lease)
            log.warning("visit_broken_off", subreddit=lease.name, error=str(error))
        except Exception as error:
            # an error of ours with one subreddit: the others must continue
            log.exception("visit_failed", subreddit=lease.name)
            await self._job.fail(lease, error)

    def _job_ended(self, task: asyncio.Task[None]) -> None:
        del self._jobs[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_INTERVAL_S)
            try:
                await self._frontier.renew([lease.name for lease in self._jobs.values()], LEASE_SECONDS)
            except TransientError as error:
                log.warning("leases_not_renewed", error=str(error), hint="other processes get them when they expire")


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _cancel_all(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
