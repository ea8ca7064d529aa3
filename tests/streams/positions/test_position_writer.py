"""Positions on their way to the disk."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from core.spool.committed_positions import (
    publisher_path,
    read_dead_letters,
    read_positions,
    read_publisher_counters,
    read_spool_states,
)
from core.spool.spool_state import SpoolState
from streams.positions.dead_letters import DeadLetter
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import Position, PublisherStore

LOG = structlog.stdlib.get_logger("test")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(state_dir: Path, clock: Clock) -> PositionWriter:
    return PositionWriter(lambda known: PublisherStore.open(state_dir, LOG, deployment_id=known), LOG, clock)


def test_many_records_cost_one_write(tmp_path: Path) -> None:
    clock = Clock()
    writer = make(tmp_path, clock)
    writer.move("comments", "spool", 10, 10)
    assert writer.save()
    writer.move("comments", "spool", 20, 10)
    assert not writer.save(), "too soon after the last write"
    assert read_positions(tmp_path) == {"spool": 10}
    assert writer.position("spool") == 20
    clock.now += 0.2
    assert writer.save()
    assert read_positions(tmp_path) == {"spool": 20}
    assert read_publisher_counters(tmp_path) == {"published": 20}


def test_the_end_writes_what_is_left(tmp_path: Path) -> None:
    writer = make(tmp_path, Clock())
    for seq in (1, 2, 3):
        writer.move("comments", "spool", seq, 1)
        writer.save()
    writer.close()
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
    writer = PositionWriter(lambda _known: store, LOG, clock)
    writer.move("comments", "spool", 5, 4)
    writer.dead_letter(DeadLetter("comments", "spool", 4, b"k", b"{}", "s", "too large"))
    with capture_logs() as logs:
        assert not writer.save()
        assert not writer.save(), "not tried again at once"
    assert [entry["log_level"] for entry in logs] == ["error"]
    store.full = False
    clock.now += 2.0
    assert writer.save()
    assert read_positions(tmp_path) == {"spool": 5}
    assert read_publisher_counters(tmp_path) == {"published": 4, "dead_letters": 1}


def test_a_file_that_breaks_while_we_run_is_replaced_by_what_we_know(tmp_path: Path) -> None:
    clock = Clock()
    writer = make(tmp_path, clock)
    deployment = writer.deployment_id
    writer.move("submissions", "one", 3, 3)
    writer.move("comments", "two", 5, 5)
    writer.save()
    for name in ("publisher.db-wal", "publisher.db-shm"):
        (tmp_path / name).write_bytes(b"\xff" * 40_000)
    publisher_path(tmp_path).write_bytes(b"\xff" * 40_000)
    writer.move("comments", "two", 6, 1)
    clock.now += 2.0
    writer.save(now=True)
    clock.now += 2.0
    assert writer.save(now=True)
    assert read_positions(tmp_path) == {"one": 3, "two": 6}
    assert writer.deployment_id == deployment
    assert list(tmp_path.glob("publisher.db.corrupt-*"))


def remove_file(state_dir: Path) -> None:
    for path in state_dir.glob("publisher.db*"):
        path.unlink()


def remove_wal(state_dir: Path) -> None:
    (state_dir / "publisher.db-wal").unlink()


def remove_directory(state_dir: Path) -> None:
    shutil.rmtree(state_dir)


def replace_file(state_dir: Path) -> None:
    publisher_path(state_dir).rename(state_dir / "elsewhere")
    PublisherStore.open(state_dir / "other", LOG).close()
    shutil.copy(publisher_path(state_dir / "other"), publisher_path(state_dir))


def restore_by_rename(state_dir: Path) -> None:
    copy = state_dir / "copy"
    subprocess.run(["cp", publisher_path(state_dir), copy], check=True)
    copy.rename(publisher_path(state_dir))


def filled(state_dir: Path, clock: Clock) -> PositionWriter:
    writer = make(state_dir, clock)
    writer.move("comments", "spool", 5, 4)
    writer.dead_letter(DeadLetter("comments", "spool", 4, b"k", b"{}", "s", "too large"))
    writer.remember("comments", SpoolState("spool", 7, 5, {"epoch": "1"}))
    assert writer.save()
    return writer


@pytest.mark.parametrize("harm", [remove_file, remove_wal, remove_directory, replace_file, restore_by_rename])
def test_a_file_that_is_lost_in_use_goes_on_in_a_new_one(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Guards: a position, or a dead letter, written into a file without a name."""
    clock, state_dir = Clock(), tmp_path / "state"
    writer = filled(state_dir, clock)
    deployment = writer.deployment_id
    harm(state_dir)
    clock.now += 0.3
    with capture_logs() as logs:
        assert writer.save(), "noticed although there is nothing to write"
    assert [(entry["event"], entry["dead_letters"]) for entry in logs] == [("positions_lost", 1)]
    writer.move("comments", "spool", 9, 4)
    clock.now += 0.3
    assert writer.save()
    writer.close()
    assert read_positions(state_dir) == {"spool": 9}
    assert read_publisher_counters(state_dir) == {"published": 8, "dead_letters": 1}
    assert read_dead_letters(state_dir) == {"spool": 1}
    assert [SpoolState.from_json(text).commits for _, text in read_spool_states(state_dir, "comments")] == [7]
    assert make(state_dir, clock).deployment_id == deployment


def test_a_copy_written_over_the_file_is_moved_aside(tmp_path: Path) -> None:
    """The same inode: what is in memory goes on, and the dead letters are said to be in the file that was moved."""
    clock = Clock()
    PublisherStore.open(tmp_path / "other", LOG).close()
    writer = filled(tmp_path, clock)
    for path in tmp_path.glob("publisher.db-*"):
        subprocess.run(["truncate", "-s", "0", path], check=True) if path.name.endswith("-wal") else None
    subprocess.run(["cp", publisher_path(tmp_path / "other"), publisher_path(tmp_path)], check=True)
    clock.now += 0.3
    with capture_logs() as logs:
        writer.save()
    assert [(entry["event"], entry["dead_letters"]) for entry in logs] == [("positions_lost", 1)]
    writer.move("comments", "spool", 9, 4)
    clock.now += 0.3
    assert writer.save(now=True)
    assert read_positions(tmp_path) == {"spool": 9}
    assert read_publisher_counters(tmp_path)["published"] == 8
    assert list(tmp_path.glob("publisher.db.corrupt-*"))


def test_another_program_may_change_it_by_sqlite(tmp_path: Path) -> None:
    """As a command that drops dead letters does."""
    clock = Clock()
    writer = filled(tmp_path, clock)
    with closing(sqlite3.connect(publisher_path(tmp_path))) as other:
        other.execute("DELETE FROM dead_letters")
        other.commit()
    clock.now += 0.3
    writer.move("comments", "spool", 9, 4)
    with capture_logs() as logs:
        assert writer.save()
    assert not logs
    assert read_dead_letters(tmp_path) == {}


def test_while_no_directory_can_be_made_nothing_is_written_and_nothing_forgotten(tmp_path: Path) -> None:
    clock, state_dir = Clock(), tmp_path / "state"
    writer = filled(state_dir, clock)
    state_dir.rename(tmp_path / "renamed")
    state_dir.write_text("a file in its place")
    clock.now += 0.3
    with capture_logs() as logs:
        assert not writer.save()
    assert [entry["event"] for entry in logs] == ["positions_not_restored"]
    state_dir.unlink()
    clock.now += 2.0
    writer.move("comments", "spool", 9, 4)
    assert writer.save()
    assert read_positions(state_dir) == {"spool": 9}
