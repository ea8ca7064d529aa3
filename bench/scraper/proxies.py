"""The gain of three more proxies: the same crawl through one and through four, with the same work for each."""

import tempfile
from pathlib import Path

from bench.figure import Figure, at_least
from bench.scraper.stage import LATENCIES, Stage
from tests.support.proxies import ProxyPy, running

_PROXIES = 4
_SUBREDDITS = 20  # a proxy


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        # nobody shares an author, so that each subreddit is the same work
        stage = Stage(directory, _SUBREDDITS * _PROXIES, LATENCIES, crawl_overlap=0)
        proxies = [ProxyPy(directory, f"p{number}") for number in range(_PROXIES)]
        with stage, running(*proxies):
            one = stage.crawl(proxies[:1], count=_SUBREDDITS)
            four = stage.crawl(proxies)
    return [
        Figure(f"baseline: one proxy, {_SUBREDDITS} subreddits", one.per_minute, "a minute", digits=1),
        Figure(f"{_PROXIES} proxies, {_PROXIES * _SUBREDDITS} subreddits", four.per_minute, "a minute", digits=1),
        at_least("ratio of the two", four.per_minute / one.per_minute, 3.6, digits=2),
    ]
