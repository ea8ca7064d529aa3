"""The scraper's part of `status`, as text and as JSON."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.status.crawl import (
    HEALTHY,
    IDLE,
    RESTING,
    Crawl,
    CrawlReport,
    Frontier,
    TimeToFinish,
    crawl_report_path,
    write_crawl_report,
)
from supervisor.cli.status import show_status
from supervisor.display.scraper_panel import crawl_block, progress_bar, time_to_finish
from tests.supervisor.household import ask_status, status_text

NOON = 1_800_000_000.0
FRONTIER = Frontier(
    subreddits=240, users=3011, posts=48210, rules=1204, waiting=24, leased=6, later=5, done=210, refused=2, growing=0
)

A = CrawlReport(
    "scraper-a",
    "a",
    seen_at=NOON,
    outcomes={"ok": 1190, "refused": 2, "server_error": 12},
    proxy_state=HEALTHY,
    proxy_since=NOON - 723,
    mean_latency_ms=213.4,
    in_flight=20,
    frontier=FRONTIER,
    counted_at=NOON,
    per_hour=1250.0,
)
B = CrawlReport(
    "scraper-b",
    "b",
    seen_at=NOON,
    outcomes={"ok": 300, "transport_error": 40},
    proxy_state=RESTING,
    proxy_since=NOON - 1,
    failing_since=NOON - 15,
    resting_until=NOON + 5.2,
    last_error="connection refused",
    last_error_at=NOON - 1,
)


def test_each_proxy_has_a_line_and_the_crawl_its_sum() -> None:
    assert crawl_block(Crawl(NOON, (A, B), silent=("scraper-c",), discovers=True), bar=True).splitlines() == [
        "PROXY  STATE                SINCE        REQUESTS  FAILED  LATENCY  IN FLIGHT  LAST ERROR",
        "a      HEALTHY              12 min 03 s     1,204      12   213 ms         20  -",
        "b      RESTING, 5.2 s left  15.0 s            340      40        -          0  1.0 s ago: connection refused",
        "c      -                    -                   -       -        -          -  -",
        "",
        "Scraper:   240 subreddits, 48,210 posts, 3,011 users, 1,204 rules in the database",
        (
            "Frontier:  210 done, 24 due, 6 in flight, 3 to retry, 2 refused; "
            "1,250 per hour, at least 1 min 26 s to finish"
        ),
        "           [###################################.....] 87 %",
    ]


def test_where_nothing_is_configured_there_is_no_block() -> None:
    assert crawl_block(Crawl(NOON)) == ""


def test_what_is_gone_shows_what_it_did_and_no_state() -> None:
    text = crawl_block(Crawl(NOON + 60, (A,)))
    assert "HEALTHY" not in text
    assert "1,204" in text
    assert "time to finish unknown" in text


def test_a_proxy_that_brought_nothing_lately_is_idle() -> None:
    text = crawl_block(Crawl(NOON, (replace(A, proxy_state=IDLE, good_at=NOON - 90.0),)))
    assert "a      IDLE " in text
    assert "HEALTHY" not in text


def test_trouble_is_said_in_words() -> None:
    text = crawl_block(Crawl(NOON, (B, replace(A, failing_since=NOON - 4, database_away_since=NOON - 7))))
    assert "All proxies have been failing for 4.0 s: nothing is fetched" in text
    assert "The database has been unavailable for 7.0 s" in text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (None, "time to finish unknown"),
        (TimeToFinish(0.0, at_least=False), "finished"),
        (TimeToFinish(0.0, at_least=True), "only failed ones are left; they are retried soon"),
        (TimeToFinish(90.0, at_least=False), "1 min 30 s to finish"),
        (TimeToFinish(90.0, at_least=True), "at least 1 min 30 s to finish"),
    ],
)
def test_the_time_to_finish_in_words(estimate: TimeToFinish | None, text: str) -> None:
    assert time_to_finish(estimate) == text


def test_only_what_is_done_altogether_fills_the_bar() -> None:
    assert progress_bar(0.999, 10) == "[#########.] 99 %"
    assert progress_bar(1.0, 10) == "[##########] 100 %"
    assert progress_bar(0.0, 10) == "[..........] 0 %"


def configuration(directory: Path) -> Path:
    path = directory / "config.toml"
    path.write_text(
        f"[supervisor]\nstate_dir = '{directory / 'state'}'\n[scraper]\nproxies = [{{name='a', url='h:1'}}]\n"
    )
    return path


def test_status_tells_of_the_scraper_without_the_database(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    assert ask_status(config)[1]["scraper"] == {"subreddits": 0, "users": 0, "posts": 0, "frontier": 0}
    write_crawl_report(tmp_path / "state", replace(A, seen_at=time.time()))
    assert ask_status(config)[1]["scraper"] == {"subreddits": 240, "users": 3011, "posts": 48210, "frontier": 30}
    assert "Frontier:  210 done" in status_text(config)
    crawl_report_path(tmp_path / "state", "scraper-a").write_text("{")
    assert ask_status(config)[1]["scraper"]["posts"] == 0
    assert "the report of scraper-a cannot be read now" in status_text(config)


@pytest.mark.parametrize("state", [HEALTHY, RESTING])
def test_s19_of_a_stopped_supervisor_no_proxy_is_in_any_state(tmp_path: Path, state: str) -> None:
    """Also directly after the stop, or after a kill, when the reports are recent."""
    config = configuration(tmp_path)
    write_crawl_report(tmp_path / "state", replace(A, seen_at=time.time(), proxy_state=state))
    text = status_text(config)
    assert "STOPPED" in text
    assert not [word for word in ("HEALTHY", "IDLE", "RESTING") if word in text]
    assert "1,204" in text, "what it did stays"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_for_those_who_watch_on_a_terminal(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    write_crawl_report(tmp_path / "state", A)

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    shown = {}
    for watch, out in ((True, Terminal()), (False, Terminal()), (True, io.StringIO())):
        show_status(config, as_json=False, watch=watch, out=out, sleep=interrupted)
        shown[watch, out.isatty()] = "] 87 %" in out.getvalue()
    assert shown == {(True, True): True, (False, True): False, (True, False): False}
