"""The numbers of what flows, from the durable files, whatever runs."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from core.reddit.limiter import Grant, Limiter
from core.reddit.quota import Priority, RateHeaders
from core.spool import Batch, Gap, GapState, Record, SpoolReader, SpoolWriter
from core.status.stream_stats import QuotaFlow, StreamFlow, read_flow
from streams.positions.dead_letters import DeadLetter
from streams.positions.publisher_store import Position, PublisherStore

NOON = 1_800_000_000.0
LOG = structlog.stdlib.get_logger("test")


def record(created: float, captured: float) -> Record:
    timestamp = datetime.fromtimestamp(captured, UTC).isoformat(timespec="microseconds")
    value = json.dumps({"created_utc": created, "timestamp": timestamp}).encode()
    return Record(b"t1_x", value, "reddit.comment.v1")


def capture(state_dir: Path, delays: list[float], *gaps: Gap) -> str:
    writer = SpoolWriter(state_dir, "comments")
    records = [record(NOON - delay, NOON) for delay in delays]
    writer.commit(Batch(records=records, counters={"captured": len(records)}, gaps=list(gaps)))
    writer.close()
    reader = SpoolReader.open(state_dir, "comments")
    assert reader is not None
    reader.close()
    return reader.spool_id


def test_the_numbers_come_from_the_durable_files(tmp_path: Path) -> None:
    gap = Gap("comments", ("Bitcoin",), NOON - 90, NOON, "the listing ended", NOON, 2)
    spool_id = capture(tmp_path, [1.0] * 10, gap, gap.closed(GapState.REPAIRED, NOON))
    store = PublisherStore.open(tmp_path, LOG)
    letter = DeadLetter("comments", spool_id, 3, b"k", b"v", "s", "too large")
    store.save([Position("comments", spool_id, 6)], {"published": 5, "errors": 2}, [letter])
    store.close()
    flow = read_flow(tmp_path, ("submissions", "comments"), 100, NOON)
    assert flow.streams["comments"] == StreamFlow(10, 5, 4, 2, 1, 1.0)
    assert flow.streams["submissions"] == StreamFlow()
    assert (flow.published, flow.errors, flow.dead_letters, flow.unreadable) == (5, 2, 1, [])


def test_a_stream_that_is_switched_off_shows_while_it_has_a_spool(tmp_path: Path) -> None:
    assert list(read_flow(tmp_path, (), 100, NOON).streams) == []
    capture(tmp_path, [1.0])
    assert list(read_flow(tmp_path, (), 100, NOON).streams) == ["comments"]


def test_the_lag_is_that_of_the_newest_items_and_a_late_one_does_not_move_it(tmp_path: Path) -> None:
    capture(tmp_path, [7200.0] * 100 + [1.5] * 19 + [86400.0])
    assert read_flow(tmp_path, ("comments",), 100, NOON).streams["comments"].lag_s == 1.5


def test_an_item_without_a_date_says_nothing_about_the_lag(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "comments")
    writer.commit(Batch(records=[Record(b"k", value, "s") for value in (b"{}", b"[]", b"nonsense")]))
    writer.close()
    assert read_flow(tmp_path, ("comments",), 100, NOON).streams["comments"].lag_s is None


def test_the_quota_is_that_of_the_current_window(tmp_path: Path) -> None:
    limiter = Limiter(tmp_path, "comments", 100, clock=lambda: NOON)
    grant = limiter.ask(Priority.STREAM)
    assert isinstance(grant, Grant)
    limiter.answered(grant, "200", RateHeaders(used=41, remaining=959, reset=200))
    limiter.close()
    assert read_flow(tmp_path, (), 100, NOON + 50).quota == QuotaFlow(41, 959, 150.0)
    assert read_flow(tmp_path, (), 100, NOON + 500).quota == QuotaFlow(0, 1000, 0.0), "that window is over"


def test_what_is_proven_falls_behind_whether_anything_runs_or_not(tmp_path: Path) -> None:
    """A stopped system, a parked stream, a frozen Reddit and a 429 are the same here: nothing moves the cursor."""
    with SpoolWriter(tmp_path, "comments") as writer:
        cursor = {"proven_until": {"bitcoin": NOON + 5, "ethereum": NOON + 2}, "begun": NOON - 998, "clock_offset": 2.0}
        writer.commit(Batch(cursor=cursor))
    names = ("Bitcoin", "Ethereum")
    looks = [read_flow(tmp_path, ("comments",), 100, NOON + past, names).streams["comments"] for past in (0, 100, 998)]
    assert [look.proven_until for look in looks] == [NOON + 2] * 3
    assert [look.unread_s for look in looks] == [0.0, 100.0, 998.0]
    assert [look.completeness for look in looks] == pytest.approx([1.0, 1999 / 2196, 1999 / 3992], abs=1e-6)


def test_a_subreddit_that_is_unavailable_lowers_completeness_at_once(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "comments") as writer:
        proven = {"bitcoin": NOON, "ethereum": NOON - 100}
        away = Gap("comments", ("ethereum",), NOON - 100, None, "r/ethereum is private", NOON - 99, 2)
        writer.commit(Batch(cursor={"proven_until": proven, "begun": NOON - 1000}, gaps=[away]))
    flow = read_flow(tmp_path, ("comments",), 100, NOON, ("Bitcoin", "Ethereum")).streams["comments"]
    assert (flow.proven_until, flow.unread_s, flow.open_gaps) == (NOON, 0.0, 1)
    assert flow.completeness == pytest.approx(0.95)


def test_without_a_spool_nothing_is_proven(tmp_path: Path) -> None:
    flow = read_flow(tmp_path, ("comments",), 100, NOON, ("Bitcoin",)).streams["comments"]
    assert (flow.proven_until, flow.completeness, flow.unread_s) == (None, 0.0, None)


def test_a_broken_file_is_named_and_the_rest_still_shown(tmp_path: Path) -> None:
    capture(tmp_path, [1.0])
    (tmp_path / "spool-submissions.db").write_bytes(b"no database " * 1000)
    flow = read_flow(tmp_path, ("submissions", "comments"), 100, NOON)
    assert flow.streams["comments"].captured == 1
    assert flow.streams["submissions"] == StreamFlow()
    assert "the spool of submissions" in flow.unreadable[0]
    assert flow.unreadable_streams == {"submissions"}
