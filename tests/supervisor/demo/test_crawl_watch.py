"""The demo's output about the crawl while it runs."""

from dataclasses import replace
from pathlib import Path

from core.config import Config
from core.status.crawl import HEALTHY, PROBING, RESTING, Crawl, CrawlReport, Frontier
from supervisor.demo.crawl_watch import CrawlWatch, crawl_line
from supervisor.demo.database import Database

NOON = 1_800_000_000.0
A = CrawlReport("scraper-a", "a", seen_at=NOON, proxy_state=HEALTHY, frontier=Frontier(posts=1200, waiting=3, done=1))
B = CrawlReport("scraper-b", "b", seen_at=NOON, proxy_state=HEALTHY)
RESTS = replace(B, proxy_state=RESTING, resting_until=NOON + 4.2, last_error="refused")


def test_the_line_says_how_far_it_is_and_how_the_proxies_are() -> None:
    assert crawl_line(Crawl(NOON, (A, RESTS))) == (
        "[#####...............] 25 %, 1 of 4 subreddits · 1,200 posts · 0 users · a healthy · b resting (4.2 s left)"
    )
    assert crawl_line(Crawl(NOON, (B,))).startswith("[....................] 0 %, 0 of 0 subreddits")
    assert crawl_line(Crawl(NOON)) == "starting …"


def test_a_proxy_that_falls_and_one_that_rises_are_news_once(tmp_path: Path) -> None:
    watch = CrawlWatch(Config(), Database(tmp_path / "none.db"))
    told = [
        watch.changes(Crawl(NOON, (A, report)))
        for report in (B, RESTS, RESTS, replace(B, proxy_state=PROBING), RESTS, B, B)
    ]
    assert told == [
        [],
        ["proxy b failed (refused) and rests; the other one takes over its work"],
        [],
        [],
        [],
        ["proxy b passed a test and works again"],
        [],
    ]


def test_without_a_database_nothing_is_finished(tmp_path: Path) -> None:
    assert not CrawlWatch(Config(), Database(tmp_path / "none.db")).is_finished()
