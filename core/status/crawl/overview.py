"""Combines the reports of all scraper processes at one moment."""

from dataclasses import dataclass

from core.status.crawl.crawl_report import CrawlReport, Frontier, added

_FRESH = 15.0  # seconds: an older report is of a process that is gone or stuck, and says nothing about now


@dataclass(frozen=True, slots=True)
class TimeToFinish:
    """How long what is to do takes at the present pace; `at_least` when more may be found, or be due, until then."""

    seconds: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Crawl:
    """All reports at one moment, and what they amount to together."""

    now: float = 0.0
    reports: tuple[CrawlReport, ...] = ()
    silent: tuple[str, ...] = ()  #: processes that are configured and have no report
    unreadable: tuple[str, ...] = ()  #: for people: which files make no sense
    discovers: bool = False  #: more subreddits may be found on the way
    runs: bool = True  #: the supervisor is there; without it no report speaks of now

    @property
    def fresh(self) -> tuple[CrawlReport, ...]:
        """The reports that speak of now."""
        return tuple(report for report in self.reports if self.runs and self.now - report.seen_at <= _FRESH)

    @property
    def counters(self) -> dict[str, int]:
        """What all of them counted."""
        return added(*(report.counters for report in self.reports))

    @property
    def requests(self) -> dict[str, int]:
        """All requests by HTTP status."""
        return added(*(report.requests for report in self.reports))

    @property
    def outcomes(self) -> dict[str, int]:
        """All requests by what came of them."""
        return added(*(report.outcomes for report in self.reports))

    @property
    def in_flight(self) -> int:
        """Requests under way now."""
        return sum(report.in_flight for report in self.fresh)

    @property
    def counted_at(self) -> float | None:
        """When the newest look at the database was."""
        return max((report.counted_at or 0.0 for report in self._counting), default=None)

    @property
    def frontier(self) -> Frontier | None:
        """What the newest look at the database saw; None when none has had one."""
        newest = max(self._counting, key=lambda report: report.counted_at or 0.0, default=None)
        return newest.frontier if newest else None

    @property
    def _counting(self) -> list[CrawlReport]:
        return [report for report in self.reports if report.frontier is not None]

    @property
    def per_hour(self) -> float | None:
        """Subreddits finished per hour, by all that are at work."""
        known = [report.per_hour for report in self.fresh if report.per_hour is not None]
        return sum(known) if known else None

    @property
    def share_done(self) -> float | None:
        """How much of what is known and due is done; None when nothing is known."""
        frontier = self.frontier
        if frontier is None or not frontier.done + frontier.to_do:
            return None
        return frontier.done / (frontier.done + frontier.to_do)

    @property
    def time_to_finish(self) -> TimeToFinish | None:
        """Divide what is to do by the pace; None when either is unknown. What is refused does not count."""
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
        """Since when no proxy works; None while one does, or while one that is configured has not been tried."""
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
        """The report of the process that found the database replaced last; None while nobody did."""
        found = [report for report in self.fresh if report.database_replaced_at is not None]
        return max(found, key=lambda report: report.database_replaced_at or 0.0, default=None)

    @property
    def database_away_since(self) -> float | None:
        """Since when the database is away, as the first that noticed says; None while nobody misses it."""
        moments = [report.database_away_since for report in self.fresh if report.database_away_since is not None]
        return min(moments, default=None)
