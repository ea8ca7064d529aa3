"""The scraper's part of `status`: each proxy, the rows in the database, and the progress of the crawl."""

from core.masking.external import masked
from core.status.crawl import RESTING, Crawl, CrawlReport, TimeToFinish
from supervisor.display.formatting import duration, table

_PROXIES = ("PROXY", "STATE", "SINCE", "REQUESTS", "FAILED", "LATENCY", "IN FLIGHT", "LAST ERROR")
_NONE = "-"
_WIDTH = 40  # characters, of the bar
_MAX_ERROR_LENGTH = 60  # characters, of an error's text in a table


def crawl_block(crawl: Crawl, *, bar: bool = False) -> str:
    """Format the reports of all scraper processes; empty if no scraper is configured."""
    rows = [_proxy(report, crawl.now, fresh=report in crawl.fresh) for report in crawl.reports]
    rows += [(name.removeprefix("scraper-"), *[_NONE] * (len(_PROXIES) - 1)) for name in crawl.silent]
    if not rows:
        return ""
    proxies = table([_PROXIES, *rows], right=(3, 4, 5, 6))
    return "\n\n".join(filter(None, (proxies, _problems(crawl), _totals(crawl, bar=bar))))


def progress_bar(share: float, width: int = _WIDTH) -> str:
    """Draw a share of 1; only a complete crawl fills the bar."""
    filled = int(share * width)
    return f"[{'#' * filled}{'.' * (width - filled)}] {int(share * 100)} %"


def time_to_finish(estimate: TimeToFinish | None) -> str:
    """Format the time to finish; it claims only what is known."""
    if estimate is None:
        return "time to finish unknown"
    if not estimate.seconds:
        return "only failed ones are left; they are retried soon" if estimate.at_least else "finished"
    return f"{'at least ' if estimate.at_least else ''}{duration(estimate.seconds)} to finish"


def _proxy(report: CrawlReport, now: float, *, fresh: bool) -> tuple[str, ...]:
    state = report.proxy_state.upper() if fresh else _NONE
    if fresh and report.proxy_state == RESTING and report.resting_until is not None:
        state += f", {duration(max(0.0, report.resting_until - now))} left"
    # failing covers every rest and probe in between
    since = report.failing_since if report.failing_since is not None else report.proxy_since
    latency, error = report.mean_latency_ms, report.last_error
    if error is not None:
        when = f"{duration(max(0.0, now - report.last_error_at))} ago: " if report.last_error_at is not None else ""
        error = masked(error)
        error = when + (error if len(error) <= _MAX_ERROR_LENGTH else f"{error[: _MAX_ERROR_LENGTH - 1]}…")
    return (
        report.proxy,
        state,
        duration(max(0.0, now - since)) if fresh and since is not None else _NONE,
        f"{report.request_count:,}",
        f"{report.failed_count:,}",
        _NONE if latency is None else f"{latency:,.0f} ms",
        f"{report.in_flight:,}" if fresh else _NONE,
        error or _NONE,
    )


def _problems(crawl: Crawl) -> str:
    lines = []
    if crawl.all_failing_since is not None:
        what = (
            "All proxies have"
            if any(report.proxy != "direct" for report in crawl.reports)
            else "Requests to Reddit have"
        )
        lines.append(f"{what} been failing for {duration(crawl.now - crawl.all_failing_since)}: nothing is fetched")
    if crawl.database_away_since is not None:
        outage = duration(crawl.now - crawl.database_away_since)
        lines.append(f"The database has been unavailable for {outage}: the scraper waits for it, and loses nothing")
    return "\n".join(lines)


def _totals(crawl: Crawl, *, bar: bool) -> str:
    frontier = crawl.frontier
    if frontier is None:
        return "Scraper:   the rows of the database are not counted yet"
    rows = f"{frontier.subreddits:,} subreddits, {frontier.posts:,} posts, {frontier.users:,} users"
    lines = [f"Scraper:   {rows}, {frontier.rules:,} rules in the database"]
    numbers = {
        "done": frontier.done,
        "due": frontier.waiting,
        "in flight": frontier.leased,
        "to retry": frontier.failed,
        "refused": frontier.refused,
    }
    rate = f"{crawl.per_hour:,.0f} per hour, " if crawl.per_hour is not None else ""
    counts = ", ".join(f"{number:,} {name}" for name, number in numbers.items())
    lines.append(f"Frontier:  {counts}; {rate}{time_to_finish(crawl.time_to_finish)}")
    if bar and crawl.share_done is not None:
        lines.append(f"           {progress_bar(crawl.share_done)}")
    return "\n".join(lines)
