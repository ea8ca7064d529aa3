"""Readiness rules for the crawl: proxies, database, progress. Pure."""

from collections.abc import Iterator

from core.config.proxies import DIRECT
from core.config.slices import MonitorConfig
from core.process import program
from core.reddit.quota import Priority, roll, wait_for
from core.status.crawl import HEALTHY, Crawl
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample

#: Seconds without an answer, with work to do and requests allowed; a proxy's rests are the longest normal waits.
_STALLED_AFTER = 180.0

#: A replaced database is reported for this time, seconds.
_REPLACED_FOR = 3600.0

#: A scraper reports once a second as soon as its database is open; seconds.
_TELLS_AFTER = 20.0


def crawl(look: Sample, answered_at: float | None, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether the crawl progresses; `answered_at`: Reddit's last answer to the scraper."""
    names = config.scrapers
    if not names:
        return
    state = look.crawl
    failing, away = state.all_failing_since, state.database_away_since
    if failing is not None:
        yield ActiveProblem("proxies_failing", "scraper", _no_way(state), failing)
    if away is not None:
        text = "The database does not answer; what was fetched waits in memory, and nothing more is fetched. It goes on"
        yield ActiveProblem("database_away", "database", f"{text} by itself when the database is back.", away)
    mute = [name for name in names if _is_mute(look, name)]
    for name in mute:
        log = config.logging.log_dir / f"{name}.log"
        text = f"{name} runs and does not tell how it gets on: it waits for the database, or hangs. {log} says more."
        yield ActiveProblem("crawl_stalled", name, text)
    stalled = answered_at is not None and look.now - answered_at > _STALLED_AFTER
    if stalled and not (failing or away or mute) and _has_to_do(look) and _may_ask(look, config):
        text = "There are subreddits to fetch, and no answer has come from Reddit for minutes. The scrapers' logs in"
        yield ActiveProblem("crawl_stalled", "scraper", f"{text} {config.logging.log_dir} say why.", answered_at)


def _no_way(crawl: Crawl) -> str:
    again = f"It is tried again by itself after growing rests; `{program.command()} check CONFIG --connect` tries now."
    if [report.proxy for report in crawl.fresh] == [DIRECT]:
        return f"The scraper does not reach Reddit: {crawl.fresh[0].last_error or 'no reason given'}. {again}"
    errors = "; ".join(f"{one.proxy}: {one.last_error or 'no reason given'}" for one in crawl.fresh)
    return f"No proxy works ({errors}). {again}"


def _is_mute(look: Sample, name: str) -> bool:
    uptime = next((one.get("uptime_s") for one in look.status.processes if one["name"] == name), None)
    if look.process_state(name) != "RUNNING" or uptime is None or uptime < _TELLS_AFTER:
        return False
    return name not in {report.process for report in look.crawl.fresh}


def _has_to_do(look: Sample) -> bool:
    frontier = look.crawl.frontier
    return frontier is not None and frontier.to_do > 0


def _may_ask(look: Sample, config: MonitorConfig) -> bool:
    """Return whether the quota has requests for the scraper: the last of each window belong to the streams."""
    if not config.crawls_with_token or look.quota is None:
        return True
    quota = roll(look.quota, look.now, config.requests_per_minute)
    return wait_for(quota, Priority.SCRAPER, look.now) <= 0


def single_proxies(look: Sample) -> Iterator[ActiveProblem]:
    """Yield the proxies that fail while others work."""
    if look.crawl.all_failing:
        return
    for report in look.crawl.fresh:
        if report.proxy_state != HEALTHY and report.failing_since is not None:
            text = (
                f"The proxy {report.proxy} does not work: {report.last_error or 'no reason given'}. The others go on."
            )
            yield ActiveProblem("proxy_failing", report.proxy, text, report.failing_since)


def replaced_database(look: Sample) -> Iterator[ActiveProblem]:
    """Report that the database was replaced; the crawl continues by itself."""
    report = look.crawl.database_replaced
    if report is None or report.database_replaced_at is None or look.now - report.database_replaced_at > _REPLACED_FOR:
        return
    text = (
        f"The database was replaced while it was open: {report.database_replaced}. The one that is there now was "
        f"opened, and the crawl began there anew; rows of the old one are not in it."
    )
    yield ActiveProblem("database_replaced", "database", text, report.database_replaced_at)
