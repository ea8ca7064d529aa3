"""Tests the figures of later changes, as read from real files."""

import json
from datetime import UTC, datetime
from pathlib import Path

import structlog

from core.spool import Batch, Record, SpoolWriter
from core.spool.spool_files import spool_path
from core.status.changes_status import ChangesStatus, read_changes_status, status_path
from streams.positions.publisher_store import Position, PublisherStore

NOON = 1_800_000_000.0
STREAMS = ("submissions", "comments")
LOG = structlog.stdlib.get_logger("test")


def event(at: float) -> Record:
    written = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return Record(b"t3_a", json.dumps({"op": "deleted", "checked_at": written}).encode(), "reddit.change.v1")


def write(state_dir: Path, *records: Record, delivered: int = 0, **counters: int) -> None:
    with SpoolWriter(state_dir, "changes") as writer:
        writer.commit(Batch(list(records), counters=counters))
        if delivered:
            store = PublisherStore.open(state_dir, LOG, clock=lambda: NOON - 20)
            store.save([Position("changes", writer.spool_id, delivered)], {})
            store.close()


def read(state_dir: Path) -> ChangesStatus:
    status = read_changes_status(state_dir, STREAMS)
    assert status is not None
    return status


def test_what_waits_for_kafka_is_counted_with_its_age(tmp_path: Path) -> None:
    assert read_changes_status(tmp_path, STREAMS) is None
    write(tmp_path, event(NOON - 60), Record(b"t3_a", b"", "reddit.submission.v1"), event(NOON - 10), op_deleted=2)
    assert (read(tmp_path).spooled, read(tmp_path).stuck_since) == (3, NOON - 60)
    assert read(tmp_path).changes["deleted"] == 2
    write(tmp_path, delivered=1)
    assert (read(tmp_path).spooled, read(tmp_path).stuck_since) == (2, NOON - 10), "a tombstone has no time"
    write(tmp_path, delivered=3)
    assert (read(tmp_path).spooled, read(tmp_path).stuck_since) == (0, None)


def test_records_that_just_move_are_not_stuck(tmp_path: Path) -> None:
    write(tmp_path, event(NOON - 90), event(NOON - 60), delivered=1)
    assert read(tmp_path).stuck_since == NOON - 20, "the last delivery"


def test_a_spool_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    spool_path(tmp_path, "changes").write_bytes(b"no database, and longer than a header" * 100)
    (message,) = read(tmp_path).unreadable
    assert message.startswith("the spool of changes cannot be read now: ")


def test_figures_that_make_no_sense_are_zero(tmp_path: Path) -> None:
    status_path(tmp_path).write_text('{"duties": [1], "oldest_due": "soon", "at": true, "on_time_1h": -1}')
    status = read(tmp_path)
    assert (status.duties_total, status.oldest_overdue_s(NOON), status.at, status.share_on_time_1h) == (
        0,
        0.0,
        None,
        None,
    )
