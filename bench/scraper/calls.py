"""A subreddit's five calls at once through a real proxy, against the slowest of them alone."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench.figure import Figure, at_most
from bench.scraper.stage import LATENCIES, USER_AGENT, Stage
from core.config.proxies import Proxy
from core.config.slices import ScraperConfig
from scraper.crawl import parts
from scraper.crawl.answer_rate import AnswerRate
from scraper.http.retrying_fetcher import RetryingFetcher
from tests.support.proxies import ProxyPy, running
from tests.support.scraper_config import scraper_config_of

_ROUNDS = 7


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        with Stage(directory, 3 * _ROUNDS, LATENCIES) as stage, running(ProxyPy(directory, "p")) as (proxy,):
            url, address = stage.simulator.url, Proxy(proxy.name, proxy.url)
            config = scraper_config_of(url, address, user_agent=USER_AGENT)
            slowest, together, in_a_row = uvloop.run(_rounds(config, stage.names))
    return [
        Figure(f"baseline: the slowest call alone (median of {_ROUNDS})", slowest * 1000, "ms"),
        Figure("all five at once", together * 1000, "ms"),
        at_most("ratio of the two", together / slowest, 1.1, digits=3),
        Figure("one after the other", in_a_row * 1000, "ms"),
    ]


def _now() -> datetime:
    return datetime.now(UTC)


async def _rounds(config: ScraperConfig, names: tuple[str, ...]) -> tuple[float, float, float]:
    """Return the medians: the slowest call, all at once, one after the other; each time another subreddit's."""
    client = RetryingFetcher(config)
    await client.start()
    took: tuple[list[float], list[float], list[float]] = ([], [], [])
    name = iter(names)
    try:
        for _ in range(_ROUNDS):
            took[0].append(await _fetch(client, next(name), [[parts.YEAR]]))
            took[1].append(await _fetch(client, next(name), [parts.ALL]))
            took[2].append(await _fetch(client, next(name), [[part] for part in parts.ALL]))
    finally:
        await client.close()
    slowest, together, in_a_row = map(statistics.median, took)
    return slowest, together, in_a_row


async def _fetch(client: RetryingFetcher, name: str, groups: Iterable[Iterable[str]]) -> float:
    """Fetch and parse these parts, group after group; return the seconds that it took."""
    began = time.perf_counter()
    for group in groups:
        arrived = await parts.fetch_parts(client, name, group, _now, AnswerRate(client, (), _now))
        assert not arrived.failures, arrived.failures
        await asyncio.sleep(0)
    return time.perf_counter() - began
