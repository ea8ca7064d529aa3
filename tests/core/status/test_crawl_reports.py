"""What the scraper's processes tell of themselves: counts that outlive them, and what all reports amount to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import Proxy
from core.config.sections import ScraperSection
from core.status.crawl import (
    HEALTHY,
    RESTING,
    Crawl,
    CrawlReport,
    Frontier,
    TimeToFinish,
    continued,
    crawl_report_path,
    read_crawl,
    read_crawl_report,
    write_crawl_report,
)

NOON = 1_800_000_000.0

A = CrawlReport(
    "scraper-a",
    "a",
    "http://user:***@127.0.0.1:8080",
    seen_at=NOON - 1,
    counters={"posts": 30, "users": 2},
    requests={"200": 40, "503": 2},
    outcomes={"ok": 38, "refused": 2, "server_error": 2},
    proxy_state=HEALTHY,
    frontier=Frontier(subreddits=3, users=5, posts=40, rules=7, waiting=6, leased=2, later=0, done=4),
    counted_at=NOON - 9,
    per_hour=600.0,
    in_flight=20,
)
B = replace(A, process="scraper-b", proxy="b", counters={"posts": 12, "rules": 1}, counted_at=None, frontier=None)


def failing(report: CrawlReport, since: float) -> CrawlReport:
    return replace(report, proxy_state=RESTING, failing_since=since, last_error="connection refused")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert read_crawl_report(tmp_path, "scraper-a") is None
    write_crawl_report(tmp_path, A)
    write_crawl_report(tmp_path, replace(A, in_flight=1))
    assert read_crawl_report(tmp_path, "scraper-a") == replace(A, in_flight=1)
    assert [path.name for path in (tmp_path / "crawl").iterdir()] == ["scraper-a.json"]


def test_a_new_incarnation_continues_the_counts_of_the_former(tmp_path: Path) -> None:
    write_crawl_report(tmp_path, A)
    reborn = CrawlReport("scraper-a", "a", counters={"posts": 5, "rules": 2}, requests={"200": 1}, outcomes={"ok": 1})
    report = continued(reborn, read_crawl_report(tmp_path, "scraper-a"))
    assert report.counters == {"posts": 35, "users": 2, "rules": 2}
    assert report.requests == {"200": 41, "503": 2}
    assert (report.request_count, report.failed_count) == (43, 2)
    assert continued(reborn, None) == reborn


def test_passwords_never_reach_the_file(tmp_path: Path) -> None:
    write_crawl_report(tmp_path, replace(A, address="http://u:hunter2@h:1", last_error="http://u:hunter2@h:1 refused"))
    assert "hunter2" not in crawl_report_path(tmp_path, "scraper-a").read_text()


NAMED = '{"process": "scraper-a", "proxy": "a", '


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"process": "scraper-a"}',
        NAMED + '"counters": {"posts": "x"}}',
        NAMED + '"in_flight": []}',
        NAMED + '"frontier": 3}',
        NAMED + '"per_hour": NaN}',
        NAMED + '"last_error": 5}',
        NAMED + '"requests": [1]}',
    ],
)
def test_a_broken_report_is_named_and_the_others_stand(tmp_path: Path, text: str) -> None:
    write_crawl_report(tmp_path, B)
    crawl_report_path(tmp_path, "scraper-a").write_text(text)
    crawl = read_crawl(tmp_path, NOON)
    assert crawl.reports == (B,)
    assert "the report of scraper-a" in crawl.unreadable[0]
    assert read_crawl_report(tmp_path, "scraper-a") is None


def test_bytes_that_are_no_text_are_a_broken_report_too(tmp_path: Path) -> None:
    write_crawl_report(tmp_path, A)
    crawl_report_path(tmp_path, "scraper-a").write_bytes(b"\xff\xfe\x00")
    assert read_crawl(tmp_path, NOON).unreadable


def test_what_a_newer_version_may_add_is_left_out(tmp_path: Path) -> None:
    write_crawl_report(tmp_path, A)
    path = crawl_report_path(tmp_path, "scraper-a")
    content = json.loads(path.read_text())
    content["frontier"]["unheard_of"] = 1
    path.write_text(json.dumps({**content, "of_tomorrow": {}}))
    assert read_crawl_report(tmp_path, "scraper-a") == A


def test_processes_that_are_not_configured_any_more_are_left_out_and_silent_ones_named(tmp_path: Path) -> None:
    write_crawl_report(tmp_path, A)
    write_crawl_report(tmp_path, B)
    crawl = read_crawl(tmp_path, NOON, ("scraper-b", "scraper-c"))
    assert (crawl.reports, crawl.silent) == ((B,), ("scraper-c",))
    assert read_crawl(tmp_path / "none", NOON) == Crawl(NOON)


def test_reports_add_up_and_the_newest_look_at_the_database_counts() -> None:
    newer = Frontier(subreddits=4, waiting=5, leased=3, done=5)
    crawl = Crawl(NOON, (A, replace(B, frontier=newer, counted_at=NOON - 2)))
    assert crawl.counters == {"posts": 42, "users": 2, "rules": 1}
    assert crawl.requests == {"200": 80, "503": 4}
    assert (crawl.in_flight, crawl.per_hour) == (40, 1200.0)
    assert (crawl.frontier, crawl.counted_at) == (newer, NOON - 2)
    assert crawl.share_done == 5 / 13


def test_a_report_of_long_ago_says_nothing_about_now() -> None:
    crawl = Crawl(NOON, (replace(A, seen_at=NOON - 60, database_away_since=NOON - 90),))
    assert (crawl.in_flight, crawl.per_hour, crawl.database_away_since) == (0, None, None)
    assert crawl.counters == A.counters
    assert crawl.frontier == A.frontier


@pytest.mark.parametrize(
    ("frontier", "pace", "discovers", "expected"),
    [
        (None, 600.0, False, None),
        (Frontier(waiting=6, leased=2), None, False, None),
        (Frontier(waiting=6, leased=2), 0.0, False, None),
        (Frontier(waiting=6, leased=2), 600.0, False, TimeToFinish(48.0, at_least=False)),
        (Frontier(waiting=6, leased=2), 600.0, True, TimeToFinish(48.0, at_least=True)),
        (Frontier(waiting=6, leased=2, growing=0), 600.0, True, TimeToFinish(48.0, at_least=False)),
        (Frontier(waiting=6, leased=2, later=1), 600.0, False, TimeToFinish(48.0, at_least=True)),
        (Frontier(done=9), None, True, TimeToFinish(0.0, at_least=False)),
        (Frontier(done=9, later=1), 600.0, False, TimeToFinish(0.0, at_least=True)),
        (Frontier(done=9, later=1, refused=1), 600.0, True, TimeToFinish(0.0, at_least=False)),
    ],
)
def test_the_time_to_finish_is_honest(
    frontier: Frontier | None, pace: float | None, discovers: bool, expected: TimeToFinish | None
) -> None:
    crawl = Crawl(NOON, (replace(A, frontier=frontier, per_hour=pace),), discovers=discovers)
    assert crawl.time_to_finish == expected


def test_all_proxies_fail_since_the_last_of_them_did() -> None:
    assert Crawl(NOON, (failing(A, NOON - 50), failing(B, NOON - 20))).all_failing_since == NOON - 20
    assert Crawl(NOON, (failing(A, NOON - 50), B)).all_failing_since is None
    assert not Crawl(NOON).all_failing, "no scraper, no alarm"
    assert not Crawl(NOON, (failing(A, NOON - 50),), silent=("scraper-b",)).all_failing, "b was not tried yet"


def test_a_process_that_is_gone_is_no_proxy_that_works() -> None:
    gone = replace(B, seen_at=NOON - 60)
    assert Crawl(NOON, (failing(A, NOON - 50), gone)).all_failing


def test_the_database_is_away_since_the_first_noticed() -> None:
    away = replace(A, database_away_since=NOON - 5), replace(B, database_away_since=NOON - 8)
    assert Crawl(NOON, away).database_away_since == NOON - 8


def test_of_several_replacements_of_the_database_the_last_one_counts() -> None:
    found = (
        replace(A, database_replaced_at=NOON - 8, database_replaced="then"),
        replace(B, database_replaced_at=NOON - 5, database_replaced="now"),
    )
    assert Crawl(NOON, found).database_replaced == found[1]
    assert Crawl(NOON, (A, B)).database_replaced is None


def test_processes_are_named_for_their_proxies() -> None:
    assert ScraperSection(proxies=(Proxy("a", "http://h:1"), Proxy("b", "http://h:2"))).processes == (
        "scraper-a",
        "scraper-b",
    )
    assert ScraperSection().processes == ("scraper-direct",)
    assert ScraperSection(enabled=False).processes == ()
