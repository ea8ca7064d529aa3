"""Metrics of the scraper: stored rows, proxies, frontier, database."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from core.config.slices import MonitorConfig
from core.status.crawl import HEALTHY, IDLE, PROBING, RESTING
from supervisor.monitor.metrics.metric_families import Value, counter, counters, gauge, gauges, labelled_gauges
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample

_SAVED = {
    "subreddits": "Subreddits that were fetched and saved, each fetch counted",
    "users": "Users that were fetched and saved, each fetch counted",
    "posts": "Posts that were fetched and saved, each fetch counted",
    "rules": "Rules of subreddits that were fetched and saved, each fetch counted",
    "failures": "Subreddits that were put back to be tried again later",
    "connections_distrusted": "Connections of scrapers that were closed because bytes arrived that nobody asked for",
}
_PROXY_STATES = (HEALTHY, IDLE, RESTING, PROBING)
_TABLES = ("subreddits", "users", "posts", "rules")


def families(look: Sample, config: MonitorConfig, tally: MonotonicCounters) -> Iterator[Metric]:
    """Yield the scraper's metrics. The contract's counters are zero where no scraper is configured."""
    for name, text in _SAVED.items():
        for report in look.crawl.reports:
            tally.follow((f"scraper {name}", report.process), report.counters.get(name, 0))
        yield from counter(f"scraper_{name}_total", text, sum(tally.family(f"scraper {name}").values()))
    yield from _proxies(look, config, tally)
    if bool(config.scrapers):
        yield from _frontier(look)


def _proxies(look: Sample, config: MonitorConfig, tally: MonotonicCounters) -> Iterator[Metric]:
    names = [name.removeprefix("scraper-") for name in config.scrapers]
    for report in look.crawl.reports:
        for outcome, count in report.outcomes.items():
            tally.follow(("outcomes", report.proxy, outcome), count)
    counts = {(name, "ok"): 0 for name in names} | tally.family("outcomes")
    text = "Requests through the proxy by what came of them; `refused` is an answer of Reddit like any other"
    yield from counters("proxy_requests_total", text, ["proxy", "outcome"], counts)
    fresh = look.crawl.fresh
    working = {one.proxy for one in fresh if one.proxy_state == HEALTHY}
    up: dict[str, Value] = {name: int(name in working) for name in (*names, *(one.proxy for one in look.crawl.reports))}
    text = "1 while an answer of the last minute shows that the proxy works; 0 while it rests, is tried, or is idle"
    yield from gauges("proxy_up", text, "proxy", up)
    text = "1 for the state that the proxy is in: healthy, idle (brought no answer for a minute), resting, probing"
    states = {(one.proxy, state): int(one.proxy_state == state) for one in fresh for state in _PROXY_STATES}
    yield from labelled_gauges("proxy_state", text, ["proxy", "state"], states)
    latency: dict[str, Value] = {
        one.proxy: None if one.mean_latency_ms is None else one.mean_latency_ms / 1000.0 for one in fresh
    }
    yield from gauges("proxy_latency_seconds", "Mean time to a good answer through the proxy", "proxy", latency)
    flying: dict[str, Value] = {one.proxy: one.in_flight for one in fresh}
    yield from gauges("proxy_requests_in_flight", "Requests under way through the proxy", "proxy", flying)


def _frontier(look: Sample) -> Iterator[Metric]:
    crawl, frontier = look.crawl, look.crawl.frontier
    yield from gauge("database_up", "0 while the scraper misses its database", int(crawl.database_away_since is None))
    text = "Subreddits that are finished per hour at the present pace"
    yield from gauge("scraper_subreddits_per_hour", text, crawl.per_hour)
    if crawl.time_to_finish is not None:
        text = "Seconds until what is known and due is done, at the present pace; more may be found until then"
        yield from gauge("scraper_time_to_finish_seconds", text, crawl.time_to_finish.seconds)
    if frontier is None:
        return
    rows: dict[str, Value] = {name: getattr(frontier, name) for name in _TABLES}
    yield from gauges("scraper_rows", "Rows in the database", "table", rows)
    states: dict[str, Value] = {name: getattr(frontier, name) for name in ("waiting", "leased", "later", "done")}
    text = "Subreddits of the frontier: waiting for their turn, under way, to be tried again later, done"
    yield from gauges("scraper_frontier", text, "state", states)
