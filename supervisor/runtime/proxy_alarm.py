"""The alarm for all proxies failing: one error in the supervisor's log, and one line when a proxy works again."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from core.config import Config
from core.config.slices import status_config
from core.logging.log_setup import get_logger
from core.periodic import PeriodicTask
from core.status.crawl import HEALTHY, Crawl, read_crawl_of

_CHECK_INTERVAL_S = 2.0  # seconds between two checks of the reports


class ProxyAlarm:
    """Raises the alarm once when all proxies fail; silent until one of them works again."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log
        self._since: float | None = None  #: start of the failure that the alarm is for; None: no alarm

    def check(self, crawl: Crawl) -> None:
        """Check the current state; log a change."""
        failing_since = crawl.all_failing_since
        if failing_since is not None and self._since is None:
            self._since = failing_since
            self._log.error(
                "all_proxies_failing",
                since=datetime.fromtimestamp(failing_since, UTC).isoformat(timespec="seconds"),
                reasons={report.proxy: report.last_error or "no reason reported" for report in crawl.fresh},
                hint="nothing is scraped until a proxy works again; each is tested automatically",
            )
        elif self._since is not None and (working := works(crawl)):
            self._log.warning("all_proxies_recovered", working=working, failed_s=round(crawl.now - self._since, 1))
            self._since = None


def works(crawl: Crawl) -> list[str]:
    """Return the proxies that certainly work: a missing or untried one has not recovered."""
    # a new process counts its proxy as healthy until its first result: require an answer
    return [one.proxy for one in crawl.fresh if one.proxy_state == HEALTHY and one.mean_latency_ms is not None]


def proxy_task(config: Callable[[], Config], clock: Callable[[], float] = time.time) -> PeriodicTask:
    """Build the periodic task that checks the reports of all scraper processes of the current configuration."""
    alarm = ProxyAlarm(get_logger("supervisor"))
    return PeriodicTask(_CHECK_INTERVAL_S, lambda: alarm.check(read_crawl_of(status_config(config()), clock())))
