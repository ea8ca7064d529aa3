"""Metrics of the scraper: stored rows, proxies, frontier, database."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from core.config.slices import MonitorConfig
from core.status.crawl import HEALTHY, IDLE, PROBING, RESTING
from supervisor.monitor.metrics.metric_families import Value, counter, gauge, gauges, labelled_counters, labelled_gauges
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample

_SAVED = {
    "subreddits": "Subreddits fetched and saved, each fetch counted",
    "users": "Users fetched and saved, each fetch counted",
    "posts": "Posts fetched and saved, each fetch counted",
    "rules": "Rules of subreddits fetched and saved, each fetch counted",
    "failures": "Subreddits returned to the frontier to be tried again later",
    "connections_distrusted": "Connections that scrapers closed because bytes arrived that were not requested",
}
_PROXY_STATES = (HEALTHY, IDLE, RESTING, PROBING)
_TABLES = ("subreddits", "users", "posts", "rules")


def families(sample: Sample, config: MonitorConfig, counters: MonotonicCounters) -> Iterator[Metric]:
    """Yield the scraper's metrics. The contract's counters are zero where no scraper is configured."""
    for name, text in _SAVED.items():
        for report in sample.crawl.reports:
            counters.follow((f"scraper {name}", report.process), report.counters.get(name, 0))
        yield from counter(f"scraper_{name}_total", text, sum(counters.family(f"scraper {name}").values()))
    yield from _proxies(sample, config, counters)
    if bool(config.scrapers):
        yield from _frontier(sample)


def _proxies(sample: Sample, config: MonitorConfig, counters: MonotonicCounters) -> Iterator[Metric]:
    names = [name.removeprefix("scraper-") for name in config.scrapers]
    for report in sample.crawl.reports:
        for outcome, count in report.outcomes.items():
            counters.follow(("outcomes", report.proxy, outcome), count)
    counts = {(name, "ok"): 0 for name in names} | counters.family("outcomes")
    text = "Requests through the proxy by outcome; `refused` is an answer of Reddit like any other"
    yield from labelled_counters("proxy_requests_total", text, ["proxy", "outcome"], counts)
    fresh = sample.crawl.fresh
    working = {one.proxy for one in fresh if one.proxy_state == HEALTHY}
    up: dict[str, Value] = {
        name: int(name in working) for name in (*names, *(one.proxy for one in sample.crawl.reports))
    }
    text = "1 while an answer of the last minute shows that the proxy works; 0 while it rests, is tested, or is idle"
    yield from gauges("proxy_up", text, "proxy", up)
    text = "1 for the state of the proxy: healthy, idle (no answer for a minute), resting, probing"
    states = {(one.proxy, state): int(one.proxy_state == state) for one in fresh for state in _PROXY_STATES}
    yield from labelled_gauges("proxy_state", text, ["proxy", "state"], states)
    latency: dict[str, Value] = {
        one.proxy: None if one.mean_latency_ms is None else one.mean_latency_ms / 1000.0 for one in fresh
    }
    yield from gauges("proxy_latency_seconds", "Mean time to a good answer through the proxy", "proxy", latency)
    in_flight: dict[str, Value] = {one.proxy: one.in_flight for one in fresh}
    yield from gauges("proxy_requests_in_flight", "Requests in progress through the proxy", "proxy", in_flight)


def _frontier(sample: Sample) -> Iterator[Metric]:
    crawl, frontier = sample.crawl, sample.crawl.frontier
    yield from gauge(
        "database_up", "0 while the scraper cannot use its database", int(crawl.database_away_since is None)
    )
    text = "Subreddits finished per hour at the current rate"
    yield from gauge("scraper_subreddits_per_hour", text, crawl.per_hour)
    if crawl.time_to_finish is not None:
        text = "Seconds until all known and due subreddits are done at the current rate; the crawl may find more"
        yield from gauge("scraper_time_to_finish_seconds", text, crawl.time_to_finish.seconds)
    if frontier is None:
        return
    rows: dict[str, Value] = {name: getattr(frontier, name) for name in _TABLES}
    yield from gauges("scraper_rows", "Rows in the database", "table", rows)
    states: dict[str, Value] = {name: getattr(frontier, name) for name in ("waiting", "leased", "later", "done")}
    text = "Subreddits of the frontier: waiting, leased (in progress), later (to be tried again), done"
    yield from gauges("scraper_frontier", text, "state", states)
