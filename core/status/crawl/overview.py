"""Combines the reports of all scraper processes at one moment."""

from dataclasses import dataclass

from core.status.crawl.crawl_report import CrawlReport, Frontier, added

_FRESH = 15.0  # seconds: an older report is of a process that is gone or stuck, and is not current


@dataclass(frozen=True, slots=True)
class TimeToFinish:
    """The time for the remaining work at the present pace; `at_least` if more may be found, or be due, until then."""

    seconds: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Crawl:
    """All reports at one moment, and their totals."""

    now: float = 0.0
    reports: tuple[CrawlReport, ...] = ()
    silent: tuple[str, ...] = ()  #: configured processes without a report
    unreadable: tuple[str, ...] = ()  #: messages about invalid files
    discovers: bool = False  #: more subreddits may be found during the crawl
    runs: bool = True  #: the supervisor runs; without it no report is current

    @property
    def fresh(self) -> tuple[CrawlReport, ...]:
        """The current reports."""
        return tuple(report for report in self.reports if self.runs and self.now - report.seen_at <= _FRESH)

    @property
    def counters(self) -> dict[str, int]:
        """The counters of all reports."""
        return added(*(report.counters for report in self.reports))

    @property
    def requests(self) -> dict[str, int]:
        """All requests by HTTP status."""
        return added(*(report.requests for report in self.reports))

    @property
    def outcomes(self) -> dict[str, int]:
        """All requests by outcome."""
        return added(*(report.outcomes for report in self.reports))

    @property
    def in_flight(self) -> int:
        """Requests in progress now."""
        return sum(report.in_flight for report in self.fresh)

    @property
    def counted_at(self) -> float | None:
        """The time of the newest count in the database."""
        return max((report.counted_at or 0.0 for report in self._counting), default=None)

    @property
    def frontier(self) -> Frontier | None:
        """The newest count in the database; None when there is none."""
        newest = max(self._counting, key=lambda report: report.counted_at or 0.0, default=None)
        return newest.frontier if newest else None

    @property
    def _counting(self) -> list[CrawlReport]:
        return [report for report in self.reports if report.frontier is not None]

    @property
    def per_hour(self) -> float | None:
        """Subreddits finished per hour, by all working processes."""
        known = [report.per_hour for report in self.fresh if report.per_hour is not None]
        return sum(known) if known else None

    @property
    def share_done(self) -> float | None:
        """The finished share of the known and due subreddits; None when nothing is known."""
        frontier = self.frontier
        if frontier is None or not frontier.done + frontier.to_do:
            return None
        return frontier.done / (frontier.done + frontier.to_do)

    @property
    def time_to_finish(self) -> TimeToFinish | None:
        """Divide the remaining work by the pace; None when either is unknown. Refused subreddits do not count."""
        frontier, pace = self.frontier, self.per_hour
        if frontier is None:
            return None
        may_grow = self.discovers and (frontier.to_do if frontier.growing is None else frontier.growing) > 0
        at_least = may_grow or frontier.failed > 0
        if not frontier.to_do:
            return TimeToFinish(0.0, at_least)
        return TimeToFinish(frontier.to_do / pace * 3600.0, at_least) if pace else None

    @property
    def all_failing_since(self) -> float | None:
        """The time since which no proxy works; None while one works, or while a configured one has not been tried."""
        moments = [report.failing_since for report in self.fresh]
        if not moments or self.silent or None in moments:
            return None
        return max(moment for moment in moments if moment is not None)

    @property
    def all_failing(self) -> bool:
        """Whether no proxy works."""
        return self.all_failing_since is not None

    @property
    def database_replaced(self) -> CrawlReport | None:
        """The newest report that the database was replaced; None without one."""
        found = [report for report in self.fresh if report.database_replaced_at is not None]
        return max(found, key=lambda report: report.database_replaced_at or 0.0, default=None)

    @property
    def database_away_since(self) -> float | None:
        """The time since which the database is unavailable, the earliest of all reports; None while it is available."""
        moments = [report.database_away_since for report in self.fresh if report.database_away_since is not None]
        return min(moments, default=None)
