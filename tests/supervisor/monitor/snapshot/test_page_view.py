"""Tests the data of the page: each number of the sample in its place."""

from dataclasses import replace

import pytest

from core.status.audit_status import AuditStatus
from supervisor.monitor.readiness.problem_tracker import Readiness
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample
from supervisor.monitor.snapshot.history import History, HistoryPoint, StreamPoint
from supervisor.monitor.snapshot.page_view import view
from tests.supervisor.monitor.samples import CONFIG, NOON, gap, healthy, report, with_reports, with_stream


def shown(sample: Sample, history: History | None = None) -> dict[str, object]:
    return view(sample, CONFIG, history or History(), Readiness(), str)


def stream(sample: Sample, history: History | None = None) -> dict[str, object]:
    return shown(sample, history)["streams"]["comments"]  # type: ignore[index,no-any-return]


def test_a_stream_is_told_with_its_own_numbers() -> None:
    history = History()
    for at, captured, published in ((-30, 100, 100), (0, 700, 400)):
        history.add(HistoryPoint(NOON + at, {"comments": StreamPoint(captured, published, captured - published)}))
    shown = stream(healthy(), history)
    assert (shown["captured_rate"], shown["published_rate"]) == (20.0, 10.0)
    assert (shown["captured"], shown["published"], shown["spooled"]) == (1000, 990, 10)
    assert (shown["lag_s"], shown["delay_s"], shown["waiting_s"], shown["polled_s"]) == (1.5, 1.2, 1.0, 4.0)


def test_of_many_gaps_the_newest_are_listed_newest_first() -> None:
    gaps = tuple(gap(start=NOON - 7000 + 60 * one, end=NOON - 6990 + 60 * one) for one in range(110))
    ledger = stream(with_stream(healthy(), "comments", gaps=gaps))["ledger"]
    assert isinstance(ledger, list)
    assert {entry["state"] for entry in ledger} == {"open"}
    assert [entry["to"] for entry in ledger] == [round(one.end or 0.0) for one in reversed(gaps[10:])]


def test_the_audit_is_told_in_one_sentence_and_by_source() -> None:
    audit = shown(healthy())["audit"]
    assert isinstance(audit, dict)
    assert audit["text"].startswith("At most 1.1 % of the posts and comments created between ")
    numbers = [(one["stream"], one["source"], one["sampled"], one["missing_in_gaps"]) for one in audit["rows"]]
    assert numbers == [
        ("submissions", "ids", 500, 0),
        ("submissions", "all", 500, 0),
        ("comments", "trees", 1208, 2),
        ("comments", "all", 1208, 2),
    ]
    assert [one["at_most"] for one in audit["rows"]] == [None, "0.60 %", None, "1.1 %"]
    never = replace(healthy(), status=replace(healthy().status, audit=AuditStatus()))
    assert shown(never)["audit"] is None


def test_later_changes_are_shown_by_kind_and_as_a_share_on_time() -> None:
    changes = shown(healthy())["changes"]
    assert isinstance(changes, dict)
    assert changes["events"]["deleted"] == 30
    assert (changes["on_time"], changes["overdue"], changes["overdue_s"], changes["old"]) == (97.5, 2, 90.0, False)
    never = replace(healthy(), status=replace(healthy().status, changes=None))
    assert shown(never)["changes"] is None


def test_completeness_is_not_claimed_before_anything_was_read() -> None:
    assert stream(healthy())["complete"] == 100.0
    assert stream(replace(healthy(), streams={**healthy().streams, "comments": StreamSample()}))["complete"] is None


def test_the_bar_is_divided_into_proven_gaps_and_what_is_not_read_yet() -> None:
    sample = with_stream(
        healthy(),
        "comments",
        gaps=(gap(end=None, start=NOON - 1200, unproven=("ethereum",)),),
        proven={"bitcoin": NOON - 1800, "ethereum": NOON - 1200},
    )
    shown = stream(sample)
    assert shown["shares"] == {
        "proven": round(1 - 3000 / 14400, 6),
        "open": round(1200 / 14400, 6),
        "lost": 0.0,
        "filled": 0.0,
        "unread": round(1800 / 14400, 6),
    }
    assert (shown["proven_until"], shown["unread_s"], shown["old"]) == (NOON - 1800, 1800.0, True)
    assert shown["states"] == {"open": 1, "repaired": 0, "filled": 0, "lost": 0}
    assert shown["unread"] == [[NOON - 1800, 0.5]]
    ledger = shown["ledger"]
    assert isinstance(ledger, list)
    (entry,) = ledger
    assert (entry["to"], entry["state"], entry["part"]) == (None, "open", 0.5)


def test_what_was_read_just_now_is_not_old() -> None:
    assert stream(healthy())["old"] is False
    assert stream(with_stream(healthy(), "comments", proven={}))["proven_until"] is None


def test_quota_kafka_and_crawl_are_those_of_the_look() -> None:
    found = shown(healthy())
    assert found["quota"] == {"used": 300, "remaining": 700, "reset_s": 200.0, "blocked_s": 0.0, "refused": 2}
    kafka, scraper = found["kafka"], found["scraper"]
    assert isinstance(kafka, dict)
    assert isinstance(scraper, dict)
    assert (kafka["published"], kafka["errors"], kafka["waiting"], kafka["away_since"]) == (1088, 3, 12, None)
    assert scraper["share_done"] == pytest.approx(12 / 44, abs=1e-4)
    assert scraper["finish"] == {"seconds": 96, "at_least": False}  # 32 of 1,200 an hour
    assert scraper["in_flight"] == 14
    (first, _) = scraper["proxies"]
    assert (first["state"], first["requests"], first["failed"], first["latency_ms"]) == ("healthy", 522, 2, 210.0)


def test_a_proxy_that_told_nothing_for_long_is_silent_whatever_it_said_last() -> None:
    scraper = shown(with_reports(healthy(), report("a", seen_at=NOON - 60), report("b")))["scraper"]
    assert isinstance(scraper, dict)
    assert [proxy["state"] for proxy in scraper["proxies"]] == ["silent", "healthy"]
    assert scraper["in_flight"] == 7
