"""The alarm of the proxies: raised once, with a reason, and ended when a proxy works again."""

from dataclasses import replace
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from core.config import load_config
from core.status.crawl import HEALTHY, PROBING, RESTING, Crawl, CrawlReport, write_crawl_report
from supervisor.runtime.proxy_alarm import ProxyAlarm, proxy_task

NOON = 1_800_000_000.0

A = CrawlReport("scraper-a", "a", seen_at=NOON, proxy_state=HEALTHY, mean_latency_ms=200.0)
B = CrawlReport("scraper-b", "b", seen_at=NOON, proxy_state=HEALTHY, mean_latency_ms=200.0)


def dead(report: CrawlReport, since: float, state: str = RESTING) -> CrawlReport:
    return replace(report, proxy_state=state, failing_since=since, last_error=f"{report.proxy} refuses connections")


def events(*looks: Crawl) -> list[str]:
    alarm = ProxyAlarm(structlog.stdlib.get_logger("test"))
    with capture_logs() as lines:
        for crawl in looks:
            alarm.check(crawl)
    return [line["event"] for line in lines]


def test_it_rings_once_with_every_reason_and_says_when_it_is_over() -> None:
    alarm = ProxyAlarm(structlog.stdlib.get_logger("test"))
    with capture_logs() as lines:
        alarm.check(Crawl(NOON, (dead(A, NOON - 30), B)))
        assert lines == []
        alarm.check(Crawl(NOON, (dead(A, NOON - 30), dead(B, NOON - 2))))
        alarm.check(Crawl(NOON, (dead(A, NOON - 30, PROBING), dead(B, NOON - 2))))
        alarm.check(Crawl(NOON + 3, (A, dead(B, NOON - 2))))
    ringing, over = lines
    assert (ringing["event"], ringing["log_level"]) == ("all_proxies_failing", "error")
    assert ringing["since"] == "2027-01-15T07:59:58+00:00"
    assert ringing["reasons"] == {"a": "a refuses connections", "b": "b refuses connections"}
    assert (over["event"], over["working"], over["failed_s"]) == ("all_proxies_recovered", ["a"], 5.0)


def test_it_can_ring_again() -> None:
    failing = Crawl(NOON, (dead(A, NOON - 30),))
    assert events(failing, Crawl(NOON, (A,)), failing) == [
        "all_proxies_failing",
        "all_proxies_recovered",
        "all_proxies_failing",
    ]


def test_a_process_that_begins_anew_or_is_gone_has_not_recovered() -> None:
    failing = Crawl(NOON, (dead(A, NOON - 30),))
    anew = Crawl(NOON, (replace(A, mean_latency_ms=None, outcomes={"ok": 5}),))
    gone = Crawl(NOON + 60, (A,))
    assert events(failing, anew, gone, failing) == ["all_proxies_failing"]


def test_the_chore_reads_the_reports_of_the_configured_processes(tmp_path: Path) -> None:
    proxies = [{"name": "a", "url": "u:hunter2@127.0.0.1:1"}]
    given = {"supervisor.state_dir": str(tmp_path), "scraper.proxies": proxies}
    config = load_config(None, given, {}, credentials=False)
    task = proxy_task(lambda: config, clock=lambda: NOON)
    write_crawl_report(tmp_path, B)
    write_crawl_report(tmp_path, replace(dead(A, NOON), last_error="http://u:hunter2@127.0.0.1:1 refuses"))
    with capture_logs() as lines:
        assert task.action() is None
    assert lines[0]["event"] == "all_proxies_failing"
    assert "hunter2" not in str(lines)
