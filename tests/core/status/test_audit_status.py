"""The stored observations as the statement, the page and the metrics use them."""

import sqlite3
import time
from pathlib import Path

import pytest

from core.status.audit_bound import added_up, report
from core.status.audit_status import AuditStatus, audited_streams, read_audit, read_report
from core.status.audit_store import AuditStore, Judged, Outcome, audit_path, read_observations

NOW = 1_800_000_000.0
EVER = (float("-inf"), float("inf"))


def store(
    state_dir: Path,
    outcomes: dict[Outcome, int],
    *,
    stream: str = "comments",
    source: str = "trees",
    created: float = NOW - 7200,
    at: float = NOW,
    of_each: int = 1,
) -> None:
    """Store items; `of_each` of them in one cluster."""
    file = AuditStore(state_dir, stream, lambda: at)
    for outcome, count in outcomes.items():
        judged = [
            Judged(f"t1_{outcome}{number}", source, f"{outcome}-{number // of_each}", created + number, "Bitcoin")
            for number in range(count)
        ]
        if outcome is Outcome.FOUND:
            file.add(judged, [])
        else:
            file.add([], judged)
            file.conclude([(one, outcome) for one in judged])
    file.close()


ALL = {Outcome.FOUND: 300, Outcome.MISSING: 6, Outcome.MISSING_IN_GAP: 9, Outcome.REMOVED_FIRST: 3}


def test_sqlite_adds_up_what_the_observations_say_one_by_one(tmp_path: Path) -> None:
    store(tmp_path, ALL, of_each=3)
    store(tmp_path, {Outcome.FOUND: 40}, source="listing")
    store(tmp_path, {Outcome.FOUND: 80}, source="ids", stream="submissions")
    names = ("submissions", "comments")
    one_by_one = [one for name in names for one in read_observations(tmp_path, name, *EVER)]
    assert read_report(tmp_path, names, *EVER) == report(added_up(one_by_one), names)
    assert read_report(tmp_path, names, *EVER).outcomes.sampled == 438


def test_a_time_is_chosen_by_the_creation_of_the_items(tmp_path: Path) -> None:
    store(tmp_path, {Outcome.FOUND: 100}, created=NOW - 5000)
    part = read_report(tmp_path, ["comments"], NOW - 4950, NOW - 4941)
    assert part.outcomes.sampled == 10
    assert (part.since, part.until) == (NOW - 4950, NOW - 4941)


def test_names_of_subreddits_differ_by_more_than_case(tmp_path: Path) -> None:
    file = AuditStore(tmp_path, "comments", lambda: NOW)
    file.add([Judged("t1_a", "trees", "a", NOW, "Bitcoin"), Judged("t1_b", "trees", "b", NOW, "bitcoin")], [])
    file.close()
    (bound,) = read_report(tmp_path, ["comments"], *EVER).streams.values()
    assert [one.sampled for one in bound.subreddits.values()] == [2]


def test_the_status_is_about_a_week_and_names_what_was_missing_within_a_day(tmp_path: Path) -> None:
    store(tmp_path, {Outcome.MISSING: 5}, created=NOW - 9 * 86_400, at=NOW - 2 * 86_400)
    store(tmp_path, {Outcome.FOUND: 200, Outcome.MISSING: 2}, at=NOW - 600)
    found = read_audit(tmp_path, ("submissions", "comments"), NOW)
    assert found.report.outcomes.missing == 2
    assert found.found_missing == {"comments": (NOW - 600, 2)}
    assert found.counters["comments"]["audit_sampled"] == 207
    assert list(found.report.streams) == ["comments"]


def test_without_a_file_there_is_no_audit(tmp_path: Path) -> None:
    assert read_audit(tmp_path, ("submissions", "comments"), NOW) == AuditStatus()
    assert not list(tmp_path.iterdir())


def test_a_file_without_tables_is_an_audit_without_observations(tmp_path: Path) -> None:
    sqlite3.connect(audit_path(tmp_path, "comments")).close()
    audit_path(tmp_path, "comments").touch()
    assert read_audit(tmp_path, ("comments",), NOW).report.outcomes.sampled == 0


def test_a_broken_file_is_named_and_does_not_hide_the_other(tmp_path: Path) -> None:
    store(tmp_path, {Outcome.FOUND: 10}, stream="submissions")
    audit_path(tmp_path, "comments").write_bytes(b"no database " * 500)
    found = read_audit(tmp_path, ("submissions", "comments"), NOW)
    assert found.report.outcomes.sampled == 10
    assert "the audit of comments cannot be read now" in found.unreadable[0]


def test_the_file_is_read_once_a_minute(tmp_path: Path) -> None:
    store(tmp_path, {Outcome.FOUND: 10})
    assert read_audit(tmp_path, ("comments",), NOW).report.outcomes.sampled == 10
    store(tmp_path, {Outcome.FOUND: 5}, created=NOW - 3600)
    assert read_audit(tmp_path, ("comments",), NOW + 1).report.outcomes.sampled == 10
    assert read_audit(tmp_path, ("comments",), NOW + 61).report.outcomes.sampled == 15


def test_a_full_file_is_read_quickly_and_then_costs_nothing(tmp_path: Path) -> None:
    store(tmp_path, {Outcome.FOUND: 20_000}, of_each=2, created=NOW - 30_000)
    began = time.process_time()
    assert read_audit(tmp_path, ("comments",), NOW + 600).report.streams["comments"].draws == 10_000
    first = time.process_time() - began
    began = time.process_time()
    for second in range(50):
        read_audit(tmp_path, ("comments",), NOW + 600 + second / 10)
    assert first < 1.0
    assert time.process_time() - began < 0.25


@pytest.mark.parametrize("enabled", [("comments",), ("comments", "submissions")])
def test_streams_with_a_listing_are_audited(enabled: tuple[str, ...]) -> None:
    assert set(audited_streams((*enabled, "unknown"))) == set(enabled)


def test_an_item_that_is_drawn_twice_counts_twice_also_while_it_waits_for_its_second_look(tmp_path: Path) -> None:
    """A captured one does: a missing one that counted once would make the bound too low."""
    draws = [Judged("t1_a", "trees", cluster, NOW - 7200, "Bitcoin") for cluster in ("one", "two")]
    beside = [Judged("t1_b", "", cluster, NOW - 7200, "Bitcoin") for cluster in ("one", "two")]
    file = AuditStore(tmp_path, "comments", lambda: NOW)
    file.add([], [*draws, *beside])
    waiting = file.pending(NOW, 10)
    assert sorted((one.name, one.source, one.cluster) for one in waiting) == [
        ("t1_a", "trees", "one"),
        ("t1_a", "trees", "two"),
        ("t1_b", "", ""),
    ]
    assert len(file.conclude((one, Outcome.MISSING) for one in waiting)) == 3
    file.close()
    assert read_report(tmp_path, ["comments"], *EVER).outcomes.missing == 2
