"""What a process reads of the others' reports: only those that speak of now."""

from dataclasses import replace
from pathlib import Path

from core.status.crawl import HEALTHY, STOPPED, CrawlReport, crawl_report_path, write_crawl_report
from scraper.http.proxy.siblings import Sibling, alone, siblings_of

NOON = 1_800_000_000.0
NAMES = ("scraper-a", "scraper-b", "scraper-c")
A = CrawlReport(
    "scraper-a",
    "a",
    seen_at=NOON - 1.0,
    proxy_state=HEALTHY,
    good_at=NOON - 4.0,
    witness="/r/x/about",
    recent_good=38,
    recent_bad=2,
    failing=("r/y",),
)


def test_the_others_are_read_but_not_oneself_nor_strangers(tmp_path: Path) -> None:
    for name in (*NAMES, "scraper-of-yesterday"):
        write_crawl_report(tmp_path, replace(A, process=name, proxy=name))
    read = siblings_of(tmp_path, "scraper-b", NAMES, lambda: NOON)
    assert read() == [Sibling(4.0, 38, 2, ("r/y",), "/r/x/about")] * 2
    assert all(sibling.works and sibling.reliable for sibling in read())
    assert siblings_of(tmp_path, "scraper-a", NAMES[:1])() == alone() == []


def test_what_is_old_broken_stopped_or_missing_counts_for_nothing(tmp_path: Path) -> None:
    read = siblings_of(tmp_path, "scraper-b", NAMES, lambda: NOON)
    assert read() == []
    write_crawl_report(tmp_path, replace(A, seen_at=NOON - 60.0))
    crawl_report_path(tmp_path, "scraper-c").write_text('{"process": "scraper-c", "proxy": "c", "failing": [1]}')
    assert read() == []
    write_crawl_report(tmp_path, replace(A, proxy_state=STOPPED))
    assert read() == []


def test_one_of_an_older_version_says_nothing_of_its_answers(tmp_path: Path) -> None:
    crawl_report_path(tmp_path, "x").parent.mkdir()
    text = f'{{"process": "scraper-a", "proxy": "a", "seen_at": {NOON}, "proxy_state": "healthy"}}'
    crawl_report_path(tmp_path, "scraper-a").write_text(text)
    [sibling] = siblings_of(tmp_path, "scraper-b", NAMES, lambda: NOON)()
    assert not sibling.works
    assert not sibling.reliable
