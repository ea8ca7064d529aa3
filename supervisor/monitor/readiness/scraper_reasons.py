"""Readiness rules for the crawl: proxies, database, progress. Pure."""

from collections.abc import Iterator

from core.config.proxies import DIRECT
from core.config.slices import MonitorConfig
from core.process import program
from core.reddit.quota import Priority, advance, wait_for
from core.status.crawl import HEALTHY, Crawl
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample

#: Seconds without an answer, with work to do and requests allowed; a proxy's rests are the longest normal waits.
_STALLED_AFTER_S = 180.0

#: A replaced database is reported for this time, seconds.
_REPLACED_SHOWN_S = 3600.0

#: A scraper reports once a second as soon as its database is open; seconds.
_REPORTS_WITHIN_S = 20.0


def crawl(sample: Sample, answered_at: float | None, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether the crawl progresses; `answered_at`: Reddit's last answer to the scraper."""
    names = config.scrapers
    if not names:
        return
    state = sample.crawl
    failing, away = state.all_failing_since, state.database_away_since
    if failing is not None:
        yield ActiveProblem("proxies_failing", "scraper", _no_proxy_works(state), failing)
    if away is not None:
        text = "The database does not answer. Fetched data waits in memory, and nothing more is fetched."
        hint = "The crawl continues automatically when the database answers."
        yield ActiveProblem("database_away", "database", f"{text} {hint}", away)
    not_reporting = [name for name in names if _is_not_reporting(sample, name)]
    for name in not_reporting:
        log = config.logging.log_dir / f"{name}.log"
        text = f"{name} runs, but reports nothing: it waits for the database, or it hangs. See {log}"
        yield ActiveProblem("crawl_stalled", name, text)
    stalled = answered_at is not None and sample.now - answered_at > _STALLED_AFTER_S
    if stalled and not (failing or away or not_reporting) and _has_to_do(sample) and _may_request(sample, config):
        text = "There are subreddits to fetch, but Reddit has not answered for minutes. See the scrapers' logs in"
        yield ActiveProblem("crawl_stalled", "scraper", f"{text} {config.logging.log_dir}.", answered_at)


def _no_proxy_works(crawl: Crawl) -> str:
    hint = f"Retries are automatic, at growing intervals; `{program.command()} check CONFIG --connect` tests it now."
    if [report.proxy for report in crawl.fresh] == [DIRECT]:
        return f"The scraper cannot reach Reddit: {crawl.fresh[0].last_error or 'no reason given'}. {hint}"
    errors = "; ".join(f"{one.proxy}: {one.last_error or 'no reason given'}" for one in crawl.fresh)
    return f"No proxy works ({errors}). {hint}"


def _is_not_reporting(sample: Sample, name: str) -> bool:
    uptime = next((one.get("uptime_s") for one in sample.status.processes if one["name"] == name), None)
    if sample.process_state(name) != "RUNNING" or uptime is None or uptime < _REPORTS_WITHIN_S:
        return False
    return name not in {report.process for report in sample.crawl.fresh}


def _has_to_do(sample: Sample) -> bool:
    frontier = sample.crawl.frontier
    return frontier is not None and frontier.to_do > 0


def _may_request(sample: Sample, config: MonitorConfig) -> bool:
    """Return whether the quota has requests for the scraper: the last of each window belong to the streams."""
    if not config.crawls_with_token or sample.quota is None:
        return True
    quota = advance(sample.quota, sample.now, config.requests_per_minute)
    return wait_for(quota, Priority.SCRAPER, sample.now) <= 0


def single_proxies(sample: Sample) -> Iterator[ActiveProblem]:
    """Yield the proxies that fail while others work."""
    if sample.crawl.all_failing:
        return
    for report in sample.crawl.fresh:
        if report.proxy_state != HEALTHY and report.failing_since is not None:
            error = report.last_error or "no reason given"
            text = f"The proxy {report.proxy} does not work: {error}. The other proxies continue."
            yield ActiveProblem("proxy_failing", report.proxy, text, report.failing_since)


def replaced_database(sample: Sample) -> Iterator[ActiveProblem]:
    """Report that the database was replaced; the crawl continues by itself."""
    report = sample.crawl.database_replaced
    if (
        report is None
        or report.database_replaced_at is None
        or sample.now - report.database_replaced_at > _REPLACED_SHOWN_S
    ):
        return
    text = (
        f"The database was replaced while it was open: {report.database_replaced}. The scraper opened the new one "
        f"and started the crawl there; rows of the old one are not in it."
    )
    yield ActiveProblem("database_replaced", "database", text, report.database_replaced_at)
