"""Positions on their way to the disk."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from core.positions import publisher_path, read_positions, read_publisher_counters
from streams.publisher.ledger import Ledger
from streams.publisher.letters import DeadLetter
from streams.publisher.store import Position, PublisherStore

LOG = structlog.stdlib.get_logger("test")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(state_dir: Path, clock: Clock) -> Ledger:
    return Ledger(lambda known: PublisherStore.open(state_dir, LOG, deployment_id=known), LOG, clock)


def test_many_records_cost_one_write(tmp_path: Path) -> None:
    clock = Clock()
    ledger = make(tmp_path, clock)
    ledger.settle("comments", "spool", 10, 10)
    assert ledger.save()
    ledger.settle("comments", "spool", 20, 10)
    assert not ledger.save(), "too soon after the last write"
    assert read_positions(tmp_path) == {"spool": 10}
    assert ledger.position("spool") == 20
    clock.now += 0.2
    assert ledger.save()
    assert read_positions(tmp_path) == {"spool": 20}
    assert read_publisher_counters(tmp_path) == {"published": 20}


def test_the_end_writes_what_is_left(tmp_path: Path) -> None:
    ledger = make(tmp_path, Clock())
    for seq in (1, 2, 3):
        ledger.settle("comments", "spool", seq, 1)
        ledger.save()
    ledger.close()
    assert read_positions(tmp_path) == {"spool": 3}
    assert read_publisher_counters(tmp_path) == {"published": 3}


class FullDisk(PublisherStore):
    """A store whose disk is full until someone frees it."""

    full = True

    def save(
        self,
        positions: Sequence[Position] = (),
        counts: Mapping[str, int] | None = None,
        dead_letters: Sequence[DeadLetter] = (),
    ) -> None:
        if self.full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        super().save(positions, counts, dead_letters)


def test_a_full_disk_is_said_and_nothing_is_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    store = FullDisk.open(tmp_path, LOG)
    assert isinstance(store, FullDisk)
    ledger = Ledger(lambda _known: store, LOG, clock)
    ledger.settle("comments", "spool", 5, 4)
    ledger.bury(DeadLetter("comments", "spool", 4, b"k", b"{}", "s", "too large"))
    with capture_logs() as logs:
        assert not ledger.save()
        assert not ledger.save(), "not tried again at once"
    assert [entry["log_level"] for entry in logs] == ["error"]
    store.full = False
    clock.now += 2.0
    assert ledger.save()
    assert read_positions(tmp_path) == {"spool": 5}
    assert read_publisher_counters(tmp_path) == {"published": 4, "dead_letters": 1}


def test_a_file_that_breaks_while_we_run_is_replaced_by_what_we_know(tmp_path: Path) -> None:
    clock = Clock()
    ledger = make(tmp_path, clock)
    deployment = ledger.deployment_id
    ledger.settle("submissions", "one", 3, 3)
    ledger.settle("comments", "two", 5, 5)
    ledger.save()
    for name in ("publisher.db-wal", "publisher.db-shm"):
        (tmp_path / name).write_bytes(b"\xff" * 40_000)
    publisher_path(tmp_path).write_bytes(b"\xff" * 40_000)
    ledger.settle("comments", "two", 6, 1)
    clock.now += 2.0
    ledger.save(now=True)
    clock.now += 2.0
    assert ledger.save(now=True)
    assert read_positions(tmp_path) == {"one": 3, "two": 6}
    assert ledger.deployment_id == deployment
    assert list(tmp_path.glob("publisher.db.corrupt-*"))
