"""Reports the process's state: to the state directory for status and alarms, to the database for people."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from core.config.slices import ScraperConfig
from core.errors import TransientError
from core.status.crawl import (
    HEALTHY,
    IDLE,
    PROBING,
    STARTING,
    STOPPED,
    CrawlReport,
    Frontier,
    continued,
    read_crawl_report,
    write_crawl_report,
)
from scraper.crawl.crawl_counters import CrawlCounters
from scraper.http.proxy_report import ProxyReport
from scraper.store.batches.batch import Batch, ProxyDelta
from scraper.store.statements.counts import Counts

log = structlog.stdlib.get_logger(__name__)

_INTERVAL_S = 1.0

#: Counting rows takes time in a large database: at most at this interval, and for at most this share of the time.
_COUNT_INTERVAL_S = 3.0
_COUNTING_SHARE = 0.02


_NOT_FAILING = {HEALTHY, IDLE, STARTING}


class FetchingReport(Protocol):
    """The part of the client that is reported (scraper.http.retrying_fetcher.RetryingFetcher)."""

    @property
    def in_flight(self) -> int:
        """Return the number of requests in flight."""

    def report(self) -> ProxyReport:
        """Return all counts."""


class DatabaseReader(Protocol):
    """The part of the store that is reported, and that the report is saved to (scraper.store.store.Store)."""

    @property
    def away_since(self) -> datetime | None:
        """Return since when it does not answer."""

    def now(self) -> datetime:
        """Return the database's time, which dates finished subreddits."""

    @property
    def database_replaced(self) -> tuple[datetime, str] | None:
        """Return when and how it was replaced while we ran."""

    async def counts(self, *, max_depth: int, refresh_after: float) -> Counts:
        """Count rows and remaining work."""

    async def save(self, batch: Batch) -> None:
        """Return when the batch is committed."""


class StatusReporter:
    """Reports once a second, and a last time at the end."""

    def __init__(
        self,
        process: str,
        state_dir: Path,
        fetching: FetchingReport,
        database: DatabaseReader,
        *,
        counters: CrawlCounters,
        config: ScraperConfig,
        jobs: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._process = process
        self._state_dir = state_dir
        self._fetching = fetching
        self._database = database
        self._counters = counters
        self._config = config
        self._jobs = jobs
        self._now = now
        self._previous = read_crawl_report(state_dir, process)
        self._saved_report = fetching.report()  # the part that the database has already
        self._frontier: Frontier | None = None
        self._counted_at: float | None = None
        self._state, self._state_since = "", 0.0
        self._failing_since: float | None = None
        self._write_failed = False

    async def run(self) -> None:
        """Report until cancelled."""
        await asyncio.gather(self._report_to_files(), self._report_to_database(), self._count())

    def last(self) -> None:
        """Report the end: no request is in flight any more, and whether the proxy works is unknown."""
        report = self._report()
        self._write(replace(report, proxy_state=STOPPED) if report.failing_since is None else report)

    async def end(self) -> None:
        """Bring the database up to date, if it answers."""
        await self._save_delta()
        await self._count_once()

    async def _report_to_files(self) -> None:
        while True:
            self._write(self._report())
            await asyncio.sleep(_INTERVAL_S)

    def _write(self, report: CrawlReport) -> None:
        try:
            write_crawl_report(self._state_dir, report)
        except OSError as error:
            if not self._write_failed:
                log.warning("crawl_report_not_written", error=str(error), hint="status shows the previous report")
            self._write_failed = True
        else:
            self._write_failed = False

    def _report(self) -> CrawlReport:
        now, proxy, away = self._now().timestamp(), self._fetching.report(), self._database.away_since
        replaced = self._database.database_replaced
        self._update_state(proxy, now)
        report = CrawlReport(
            process=self._process,
            proxy=proxy.name,
            address=proxy.address or None,
            seen_at=now,
            counters=self._counters.as_dict() | {"connections_distrusted": proxy.distrusted},
            requests={str(status): count for status, count in proxy.statuses.items()},
            outcomes=dict(proxy.outcomes),
            proxy_state=self._state,
            proxy_since=self._state_since,
            failing_since=self._failing_since,
            resting_until=proxy.resting_until.timestamp() if proxy.resting_until else None,
            last_error=proxy.last_error,
            last_error_at=proxy.last_error_at.timestamp() if proxy.last_error_at else None,
            mean_latency_ms=1000.0 * proxy.latency_sum / proxy.latency_count if proxy.latency_count else None,
            in_flight=self._fetching.in_flight,
            subreddits_in_flight=self._jobs(),
            frontier=self._frontier,
            counted_at=self._counted_at,
            per_hour=self._counters.finish_rate.per_hour(self._database.now().timestamp()),
            database_away_since=away.timestamp() if away else None,
            database_replaced_at=replaced[0].timestamp() if replaced else None,
            database_replaced=replaced[1] if replaced else None,
            good_at=proxy.good_at.timestamp() if proxy.good_at else None,
            witness=proxy.witness,
            recent_good=proxy.recent_good,
            recent_bad=proxy.recent_bad,
            failing=proxy.failing,
        )
        return continued(report, self._previous)

    def _update_state(self, proxy: ProxyReport, now: float) -> None:
        """Record since when the proxy is in its state, and since when it fails; the first probe decides that."""
        state = STARTING if proxy.state == PROBING and not proxy.outcomes else proxy.state
        if state != self._state:
            self._state, self._state_since = state, now
        self._failing_since = None if state in _NOT_FAILING else self._failing_since or now

    async def _report_to_database(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            await self._save_delta()

    async def _save_delta(self) -> None:
        report = self._fetching.report()
        if _lasting(report) != _lasting(self._saved_report):
            await self._database.save(Batch(proxy=delta(self._saved_report, report)))
            self._saved_report = report

    async def _count(self) -> None:
        while True:
            took = await self._count_once()
            await asyncio.sleep(max(_COUNT_INTERVAL_S, took / _COUNTING_SHARE))

    async def _count_once(self) -> float:
        """Read the counts; return the duration, seconds."""
        began = asyncio.get_running_loop().time()
        try:
            counts = await self._database.counts(
                max_depth=self._config.max_depth, refresh_after=self._config.refresh_after
            )
        except TransientError as error:
            log.debug("not_counted", error=str(error))  # the store has logged that it is away
        else:
            self._frontier = Frontier(**asdict(counts))
            self._counted_at = self._now().timestamp()
        return asyncio.get_running_loop().time() - began


def _lasting(report: ProxyReport) -> ProxyReport:
    """Remove what the database does not store: a change of that alone is no reason to write."""
    return replace(report, good_at=None, witness=None, recent_good=0, recent_bad=0, failing=())


def delta(before: ProxyReport, now: ProxyReport) -> ProxyDelta:
    """Return the difference between two reports of a proxy."""
    is_new_error = now.last_error_at != before.last_error_at
    return ProxyDelta(
        name=now.name,
        address=now.address or None,
        state=now.state,
        success_count=now.successes - before.successes,
        error_count=now.errors - before.errors,
        latency_sum=now.latency_sum - before.latency_sum,
        latency_count=now.latency_count - before.latency_count,
        consecutive_failures=now.consecutive_failures,
        last_error=now.last_error if is_new_error else None,
        last_error_at=now.last_error_at if is_new_error else None,
        resting_until=now.resting_until,
    )
