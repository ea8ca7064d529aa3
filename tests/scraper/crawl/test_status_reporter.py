"""The process's own words: while it works, and the last ones."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.status.crawl import HEALTHY, IDLE, RESTING, STOPPED, read_crawl_report
from scraper.crawl.crawl_counters import CrawlCounters, FinishRate
from scraper.crawl.status_reporter import StatusReporter
from scraper.http.proxy_report import ProxyReport
from scraper.store.store import Store
from tests.scraper.crawl.stage import SETTINGS, Stage
from tests.support.waiting import wait_until_async

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
REPORT = ProxyReport(
    name="a",
    address="",
    state=HEALTHY,
    resting_until=None,
    consecutive_failures=0,
    outcomes={"ok": 3},
    statuses={200: 3},
    latency_sum=0.3,
    latency_count=3,
    last_error=None,
    last_error_at=None,
    good_at=NOON,
    witness="/r/x/about",
    recent_good=3,
    failing=("r/y",),
)


class Fetching:
    """A client whose report a test can change."""

    in_flight = 0

    def __init__(self) -> None:
        self.told = REPORT

    def report(self) -> ProxyReport:
        return self.told


def play(stage: Stage, directory: Path, scene: Any) -> None:
    fetching = Fetching()

    async def within(store: Store, _: Any) -> None:
        reporter = StatusReporter(
            "scraper-a",
            directory,
            fetching,
            store,
            counters=CrawlCounters(FinishRate(0.0)),
            config=SETTINGS,
            jobs=lambda: 0,
            now=lambda: NOON,
        )
        fetching.told = replace(REPORT, outcomes={"ok": 4})
        await scene(reporter, fetching)

    stage.play(within)


def test_what_siblings_need_stands_in_the_report(tmp_path: Path) -> None:
    async def scene(reporter: StatusReporter, _: Fetching) -> None:
        running = asyncio.create_task(reporter.run())
        report = await wait_until_async(lambda: read_crawl_report(tmp_path, "scraper-a"), "the report")
        running.cancel()
        assert report is not None
        assert (report.proxy_state, report.good_at, report.witness) == (HEALTHY, NOON.timestamp(), "/r/x/about")
        assert (report.recent_good, report.recent_bad, report.failing) == (3, 0, ("r/y",))

    play(Stage(tmp_path), tmp_path, scene)


def test_an_idle_proxy_does_not_count_as_failing(tmp_path: Path) -> None:
    async def scene(reporter: StatusReporter, fetching: Fetching) -> None:
        fetching.told = replace(fetching.told, state=IDLE)
        running = asyncio.create_task(reporter.run())
        report = await wait_until_async(lambda: read_crawl_report(tmp_path, "scraper-a"), "the report")
        running.cancel()
        assert report is not None
        assert (report.proxy_state, report.failing_since) == (IDLE, None)

    play(Stage(tmp_path), tmp_path, scene)


@pytest.mark.parametrize(("state", "last"), [(HEALTHY, STOPPED), (IDLE, STOPPED), (RESTING, RESTING)])
def test_s19_the_last_words_never_say_that_it_works(tmp_path: Path, state: str, last: str) -> None:
    async def scene(reporter: StatusReporter, fetching: Fetching) -> None:
        fetching.told = replace(fetching.told, state=state)
        await reporter.end()
        reporter.last()

    play(Stage(tmp_path), tmp_path, scene)
    report = read_crawl_report(tmp_path, "scraper-a")
    assert report is not None
    assert report.proxy_state == last
