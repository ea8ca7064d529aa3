"""Tests each warning: when it is reported, for how long, and with which text."""

from dataclasses import replace
from typing import Any

import pytest

from core.spool import GapState
from core.spool.model import SPOOL_LOST
from core.spool.stream_state import Shortage
from core.status.crawl import RESTING, CrawlReport
from core.status.stream_stats import QuotaFlow
from supervisor.monitor.readiness.reasons import WARNINGS, Trend, problems, warnings
from supervisor.monitor.sampling.sample import Sample
from tests.supervisor.monitor.samples import (
    CONFIG,
    NOON,
    gap,
    healthy,
    report,
    with_changes,
    with_process,
    with_quota,
    with_reports,
    with_stream,
)


def named(sample: Sample) -> list[tuple[str, str]]:
    return [(problem.what, problem.subject) for problem in problems(sample, Trend(answered_at=NOON - 1), CONFIG)]


def failing(name: str) -> CrawlReport:
    return report(name, proxy_state=RESTING, failing_since=NOON - 90, last_error=f"{name} refuses connections")


def test_one_proxy_of_two_is_a_warning() -> None:
    sample = with_reports(healthy(), report("a"), failing("b"))
    assert named(sample) == []
    assert [(one.what, one.subject, one.since) for one in warnings(sample, CONFIG)] == [
        ("proxy_failing", "b", NOON - 90)
    ]


def test_a_database_that_was_replaced_is_a_warning_for_an_hour() -> None:
    found = report("b", database_replaced_at=NOON - 90, database_replaced="it was deleted or moved")
    sample = with_reports(healthy(), report("a"), found)
    assert named(sample) == []
    (warning,) = warnings(sample, CONFIG)
    assert (warning.what, warning.subject, warning.since) == ("database_replaced", "database", NOON - 90)
    assert "it was deleted or moved" in warning.text
    old = report("b", database_replaced_at=NOON - 3700, database_replaced="it was deleted or moved")
    assert warnings(with_reports(healthy(), report("a"), old), CONFIG) == []


OLD = dict.fromkeys(("bitcoin", "ethereum"), NOON - 600)


def test_subreddits_that_are_set_aside_are_named_with_what_reddit_answers() -> None:
    absent = {"Alpha": "private", "beta": "answers 451"}
    sample = with_stream(healthy(), "comments", absent=absent, absent_since=NOON - 600)
    (warning,) = warnings(sample, CONFIG)
    assert (warning.what, warning.subject, warning.since) == ("subreddit_unavailable", "comments", NOON - 600)
    assert "r/Alpha (private), r/beta (answers 451) cannot be read" in warning.text
    assert named(sample) == []


def test_of_many_only_the_first_are_named_and_long_reasons_are_cut() -> None:
    absent = {f"name{number:02}": "x" * 5000 for number in range(800)}
    (warning,) = warnings(with_stream(healthy(), "comments", absent=absent), CONFIG)
    assert "r/name09 (xxx" in warning.text
    assert "… and 790 more cannot be read" in warning.text.replace("…)", "…")
    assert len(warning.text) < 2000


def test_a_quota_that_is_too_small_is_named_before_anything_is_lost() -> None:
    shortage = Shortage(141.0, 52.4, NOON - 300, 812, tuple(f"Name{number:02}" for number in range(20)))
    sample = with_stream(healthy(), "comments", shortage=shortage)
    (warning,) = warnings(sample, CONFIG)
    assert (warning.what, warning.subject, warning.since) == ("quota_short", "comments", NOON - 300)
    assert "needs 141 requests a minute and gets 52" in warning.text
    assert "r/Name09 and 802 more" in warning.text
    assert named(sample) == []


def test_a_stream_that_reads_without_coming_to_an_end_is_behind() -> None:
    sample = with_stream(healthy(), "comments", proven={"bitcoin": NOON, "ethereum": NOON - 600})
    (warning,) = warnings(sample, CONFIG)
    assert (warning.what, warning.subject, warning.since) == ("stream_behind", "comments", NOON - 600)
    assert "r/ethereum." in warning.text
    assert "Bitcoin" not in warning.text
    assert named(sample) == []


@pytest.mark.parametrize(
    "sample",
    [
        with_stream(healthy(), "comments", proven=dict.fromkeys(("bitcoin", "ethereum"), NOON - 70)),
        with_stream(healthy(), "comments", proven={}),
        with_stream(healthy(), "comments", **dict.fromkeys(("polled_at", "captured_at"), NOON - 600), proven=OLD),
        with_process(with_stream(healthy(), "comments", proven=OLD), "comments", "FATAL"),
        with_quota(with_stream(healthy(), "comments", proven=OLD), QuotaFlow(1000, 0, 200.0)),
        with_stream(healthy(), "comments", proven=OLD, clock_offset=-600.0),
    ],
    ids=["not for long", "never proven yet", "silent", "parked", "no quota", "our clock is ahead of Reddit's"],
)
def test_what_is_not_ready_or_not_old_is_not_also_called_behind(sample: Sample) -> None:
    assert "stream_behind" not in [one.what for one in warnings(sample, CONFIG)]


def test_losses_are_warnings() -> None:
    sample = with_stream(healthy(), "comments", gaps=(gap(), gap(state=GapState.REPAIRED, closed_at=NOON)))
    sample = replace(sample, dead_letter_at=NOON - 600)
    assert named(sample) == []
    assert [one.what for one in warnings(sample, CONFIG)] == ["gap_open", "dead_letters"]
    assert {one.what for one in warnings(sample, CONFIG)} <= set(WARNINGS)


def test_items_that_the_audit_found_missing_are_a_warning() -> None:
    sample = healthy()
    audit = replace(sample.audit, found_missing={"comments": (NOON - 600, 3)})
    sample = replace(sample, status=replace(sample.status, audit=audit))
    assert named(sample) == []
    (warning,) = warnings(sample, CONFIG)
    assert (warning.what, warning.subject, warning.since) == ("audit_found_missing", "comments", NOON - 600)
    assert "found 3 sampled items of comments missing outside the recorded gaps" in warning.text


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ({}, []),
        ({"oldest_due": NOON - 2 * 3600}, []),
        ({"oldest_due": NOON - 4 * 3600}, [("changes_late", NOON - 4 * 3600)]),
        ({"at": NOON - 90}, [("changes_silent", NOON - 90)]),
        ({"at": NOON - 90, "oldest_due": NOON - 4 * 3600}, [("changes_silent", NOON - 90)]),
        ({"at": None, "oldest_due": None}, [("changes_silent", NOON - 300)]),
        ({"lost_at": NOON - 3600}, [("changes_lost", NOON - 3600)]),
        ({"lost_at": NOON - 25 * 3600}, []),
    ],
)
def test_later_changes_that_are_not_found_are_a_warning(
    figures: dict[str, Any], shown: list[tuple[str, float]]
) -> None:
    sample, config = with_changes(healthy(), **figures), replace(CONFIG, changes=True)
    assert named(sample) == []
    assert [(one.what, one.since) for one in warnings(sample, config)] == shown
    assert warnings(sample, CONFIG) == [], "not configured"


def test_a_process_changes_that_does_not_run_is_not_also_called_silent() -> None:
    sample = with_process(with_changes(healthy(), at=NOON - 900), "changes", "FATAL")
    assert warnings(sample, replace(CONFIG, changes=True)) == []


LOST = f"{SPOOL_LOST}: its file was deleted or moved"


@pytest.mark.parametrize(
    ("state", "age", "shown"),
    [
        (GapState.OPEN, 60, ["spool_lost", "gap_open"]),
        (GapState.LOST, 3 * 3600, ["spool_lost", "gap_open"]),
        (GapState.LOST, 90_000, []),
        (GapState.REPAIRED, 60, ["spool_lost"]),
        (GapState.REPAIRED, 2 * 3600, []),
    ],
)
def test_a_lost_spool_is_told_of_while_it_is_news(state: GapState, age: float, shown: list[str]) -> None:
    lost = gap(
        reason=LOST, recorded_at=NOON - age, state=state, closed_at=None if state is GapState.OPEN else NOON - age
    )
    sample = with_stream(healthy(), "comments", gaps=(lost,))
    assert named(sample) == []
    found = list(warnings(sample, CONFIG))
    assert [one.what for one in found] == shown
    assert all(LOST in one.text and one.subject == "comments" for one in found if one.what == "spool_lost")


def test_an_old_loss_is_no_news() -> None:
    lost = gap(recorded_at=NOON - 90_000, state=GapState.LOST, closed_at=NOON - 89_000)
    sample = with_stream(healthy(), "comments", gaps=(lost,))
    assert list(warnings(replace(sample, dead_letter_at=NOON - 90_000), CONFIG)) == []


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ({"recorded_at": NOON - 90_000}, ["gap_open"]),
        ({"recorded_at": NOON - 90_000, "state": GapState.LOST, "closed_at": NOON - 600}, ["gap_open"]),
        ({"state": GapState.FILLED, "closed_at": NOON - 600}, []),
        ({"end": None}, ["gap_open"]),
    ],
    ids=["old and still open", "lost within a day", "filled", "without end, and nobody is away"],
)
def test_a_gap_is_news_while_it_is_open_and_for_a_day_after_it_was_lost(
    more: dict[str, Any], warned: list[str]
) -> None:
    sample = with_stream(healthy(), "comments", gaps=(gap(**more),))
    assert [one.what for one in warnings(sample, CONFIG)] == warned


def test_an_absence_is_one_warning_and_not_also_a_gap() -> None:
    sample = with_stream(healthy(), "comments", gaps=(gap(end=None),), absent={"Bitcoin": "private"})
    assert [one.what for one in warnings(sample, CONFIG)] == ["subreddit_unavailable"]
