"""Whole crawls: subreddits per minute against a sequential scraper, the gain of more proxies, memory over time."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.figure import Figure, at_least, at_most
from bench.scraper.stage import LATENCIES, Stage
from tests.support.proxies import ProxyPy, running
from tests.support.simulator import ROOT

_PROXIES = 3
_CONCURRENCY = 20
_SUBREDDITS = 90
_SEQUENTIAL = 3  # subreddits: each takes it some ten seconds
_MANY_PROXIES = 4
_SUBREDDITS_PER_PROXY = 20
_GROWTH_SUBREDDITS = 2_000
_GROWTH_USERS = 3  # few, so that the simulator is done in a minute


def measure() -> list[Figure]:
    """Measure subreddits per minute at Reddit's latencies through three proxies, against the sequential scraper."""
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        stage = Stage(directory, _SUBREDDITS, LATENCIES)
        proxies = [ProxyPy(directory, f"p{number}") for number in range(_PROXIES)]
        with stage, running(*proxies):
            urls = [proxy.url for proxy in proxies]
            theirs = _sequential(directory, stage.simulator.url, urls, stage.names[:_SEQUENTIAL])
            ours = stage.crawl(proxies, concurrency=_CONCURRENCY)
    connections = _PROXIES * _CONCURRENCY
    bound = ours.bound(connections)
    return [
        Figure(f"baseline: sequential, 5 threads, {_SEQUENTIAL} subreddits", theirs, "a minute", digits=1),
        Figure(f"ours: {_PROXIES} proxies with {_CONCURRENCY} connections", ours.per_minute, "a minute", digits=1),
        at_least("ratio of the two", ours.per_minute / theirs, 20, digits=1),
        Figure(
            "upper bound with these latencies and connections",
            ours.subreddits * 60 / bound / theirs,
            digits=1,
        ),
        Figure("calls a subreddit (an author of two is fetched once)", ours.requests / ours.subreddits, digits=1),
        at_least("share of the latency-bound limit", bound / ours.seconds, 0.95, digits=3),
        Figure(
            f"the same with the latency of {ours.mean_latency * 1000:.0f} ms that was measured",
            ours.requests * ours.mean_latency / connections / ours.seconds,
            digits=3,
        ),
        Figure("CPU of the three scraper processes", ours.cpu / ours.seconds * 100, "% of a core"),
        at_most("PSS of the largest scraper process", max(ours.pss.values()), 50, "MiB", digits=1),
    ]


def measure_proxies() -> list[Figure]:
    """Measure the gain of three more proxies: the same work for each proxy, through one and through four."""
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        # no subreddits share an author, so that each is the same work
        stage = Stage(directory, _SUBREDDITS_PER_PROXY * _MANY_PROXIES, LATENCIES, crawl_overlap=0)
        proxies = [ProxyPy(directory, f"p{number}") for number in range(_MANY_PROXIES)]
        with stage, running(*proxies):
            one = stage.crawl(proxies[:1], count=_SUBREDDITS_PER_PROXY)
            four = stage.crawl(proxies)
    return [
        Figure(f"baseline: one proxy, {_SUBREDDITS_PER_PROXY} subreddits", one.per_minute, "a minute", digits=1),
        Figure(
            f"{_MANY_PROXIES} proxies, {_MANY_PROXIES * _SUBREDDITS_PER_PROXY} subreddits",
            four.per_minute,
            "a minute",
            digits=1,
        ),
        at_least("ratio of the two", four.per_minute / one.per_minute, 3.6, digits=2),
    ]


def measure_growth() -> list[Figure]:
    """Measure memory over a long crawl: of a process when a tenth is done, and at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="gapless-bench-") as name,
        Stage(Path(name), _GROWTH_SUBREDDITS, crawl_authors=6) as stage,
    ):
        run = stage.crawl(users_per_subreddit=_GROWTH_USERS, timeout=300.0)
    end = max(run.pss.values())
    return [
        Figure(f"subreddits crawled, with {run.requests:,} requests", run.subreddits, f"in {run.seconds:.0f} s"),
        Figure("baseline: PSS when a tenth was done", run.begun_pss, "MiB", digits=1),
        at_most("PSS at the end", end, 50, "MiB", digits=1),
        at_most("ratio of the two", end / run.begun_pss, 1.1, digits=2),
    ]


def _sequential(directory: Path, url: str, proxies: Sequence[str], subreddits: Sequence[str]) -> float:
    """Run the baseline; return its subreddits a minute."""
    command = [sys.executable, "-m", "bench.scraper.sequential", url, str(directory / "things.db"), "40", *subreddits]
    # by the environment: an address with a password has no place on a command line
    env = {**os.environ, "BENCH_PROXIES": " ".join(proxies)}
    answer = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return len(subreddits) * 60 / float(json.loads(answer.stdout)["seconds"])
