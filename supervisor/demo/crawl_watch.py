"""Shows the scraper's progress during the demo: a line of numbers, and a line when a proxy fails or recovers."""

import time
from collections.abc import Callable

from core.config import Config
from core.config.slices import status_config
from core.status.crawl import HEALTHY, RESTING, Crawl, CrawlReport, Frontier, read_crawl_of
from supervisor.demo.database import Database
from supervisor.display.formatting import duration
from supervisor.display.scraper_panel import progress_bar

_BAR = 20


class CrawlWatch:
    """Reads the reports of the scraper's processes, and the frontier at the end."""

    def __init__(self, config: Config, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._database = database
        self._clock = clock
        self._resting: dict[str, bool] = {}

    def sample(self) -> Crawl:
        """Read all reports."""
        return read_crawl_of(status_config(self._config), self._clock())

    def is_finished(self) -> bool:
        """Return whether everything found was visited, from the database."""
        done, left = self._database.visited()
        return bool(done) and not left

    def changes(self, crawl: Crawl) -> list[str]:
        """Return the proxies that failed, and those that recovered, since the last call."""
        lines = []
        for report in crawl.reports:
            rests = report.proxy_state == RESTING
            if rests and not self._resting.get(report.proxy):
                reason = report.last_error or "no answer"
                lines.append(f"proxy {report.proxy} failed ({reason}) and rests; the other one takes over its work")
            if self._resting.get(report.proxy) and report.proxy_state == HEALTHY:
                lines.append(f"proxy {report.proxy} passed a test and works again")
            if rests or report.proxy_state == HEALTHY:
                self._resting[report.proxy] = rests
        return lines


def crawl_line(crawl: Crawl) -> str:
    """Format the numbers as one line."""
    if not crawl.reports:
        return "starting …"
    frontier = crawl.frontier or Frontier()
    known = frontier.done + frontier.to_do
    proxies = " · ".join(_proxy(report, crawl.now) for report in crawl.reports)
    return (
        f"{progress_bar(crawl.share_done or 0.0, _BAR)}, {frontier.done:,} of {known:,} subreddits · "
        f"{frontier.posts:,} posts · {frontier.users:,} users · {proxies}"
    )


def _proxy(report: CrawlReport, now: float) -> str:
    text = f"{report.proxy} {report.proxy_state}"
    if report.proxy_state == RESTING and report.resting_until and report.resting_until > now:
        text += f" ({duration(report.resting_until - now)} left)"
    return text
