"""What is dropped and when, what a reader sees, and what a new file needs."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.spool import Batch, Record, Seen, SpoolReader, SpoolWriter
from core.spool.committed_positions import publisher_path
from core.spool.spool_files import report_suspect, spool_path, suspect_path
from tests.core.spool.story import STREAM, acknowledge, make_batch, read_state

HOUR = 3600.0


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def records(count: int, size: int = 10) -> Batch:
    return Batch(records=[Record(b"t1_x", b'"' + b"x" * size + b'"', "reddit.comment.v1")] * count)


def test_only_what_the_publisher_recorded_is_dropped_and_only_when_old(tmp_path: Path) -> None:
    """Guards: deleting before recording."""
    clock = Clock()
    with SpoolWriter(tmp_path, STREAM, clock=clock) as writer:
        writer.commit(records(10))
        clock.now += 10 * HOUR
        writer.prune()
        assert len(read_state(tmp_path).rows) == 10, "nothing is acknowledged"
        acknowledge(tmp_path, writer.spool_id, 4)
        writer.commit(records(1))
        writer.prune()
        assert list(read_state(tmp_path).rows) == [5, 6, 7, 8, 9, 10, 11]
        acknowledge(tmp_path, writer.spool_id, 11)
        writer.prune()
        assert list(read_state(tmp_path).rows) == [11], "acknowledged, but young"


def test_acknowledged_rows_beyond_the_count_are_dropped_however_young(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.spool.pruning.KEEP_ROWS", 3)
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(records(10))
        acknowledge(tmp_path, writer.spool_id, 8)
        writer.prune()
        assert list(read_state(tmp_path).rows) == [6, 7, 8, 9, 10]


def test_an_acknowledgement_of_another_spool_drops_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with SpoolWriter(tmp_path, STREAM, clock=clock) as writer:
        writer.commit(records(5))
        acknowledge(tmp_path, "another", 5)
        clock.now += 10 * HOUR
        writer.prune()
        assert len(read_state(tmp_path).rows) == 5


@pytest.mark.parametrize("trouble", ["broken", "locked"])
def test_with_unreadable_positions_nothing_is_dropped_and_names_still_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr("core.storage.sqlite.BUSY_TIMEOUT", 0.05)
    clock = Clock()
    with SpoolWriter(tmp_path, STREAM, clock=clock) as writer:
        writer.commit(records(5))
        writer.commit(Batch(seen=[Seen(f"t1_{number}", "bitcoin", float(number), 1) for number in range(5)]))
        acknowledge(tmp_path, writer.spool_id, 5)
        clock.now += 10 * HOUR
        with closing(sqlite3.connect(publisher_path(tmp_path), isolation_level=None)) as intruder:
            if trouble == "broken":
                publisher_path(tmp_path).write_bytes(b"x" * 9000)
            else:
                intruder.execute("BEGIN EXCLUSIVE")
            writer.prune(["t1_0", "t1_2"])
            assert list(writer.load_seen()) == ["t1_1", "t1_3", "t1_4"]
        assert len(read_state(tmp_path).rows) == 5


@pytest.mark.parametrize(("rows", "size", "limits"), [(25, 10, (20, 10**6)), (25, 1000, (10**6, 20_500))])
def test_rejects_are_bounded_and_what_is_dropped_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, size: int, limits: tuple[int, int]
) -> None:
    monkeypatch.setattr("core.spool.pruning.KEEP_REJECTS", limits[0])
    monkeypatch.setattr("core.spool.pruning.KEEP_REJECT_BYTES", limits[1])
    with SpoolWriter(tmp_path, STREAM) as writer:
        for number in range(rows):
            writer.commit(Batch(rejects=[(f"reason {number}", b"x" * size)]))
        for _ in range(2):
            writer.prune()
            assert writer.counters() == {"rejects_dropped": 5}
    with closing(sqlite3.connect(spool_path(tmp_path, STREAM))) as connection:
        kept = [reason for (reason,) in connection.execute("SELECT reason FROM rejects ORDER BY id")]
    assert kept == [f"reason {number}" for number in range(5, rows)]


def test_a_spool_that_was_large_gives_the_disk_back(tmp_path: Path) -> None:
    clock = Clock()
    with SpoolWriter(tmp_path, STREAM, clock=clock) as writer:
        for _ in range(10):
            writer.commit(records(100, 3000))
        acknowledge(tmp_path, writer.spool_id, 1000)
        clock.now += 2 * HOUR
        writer.prune()
        for _ in range(3):
            writer.prune()
    assert spool_path(tmp_path, STREAM).stat().st_size < 500_000
    with SpoolWriter(tmp_path, STREAM) as writer:
        assert writer.commit(records(1)) == 1001, "numbers of dropped rows do not come back"


def test_the_name_of_a_new_file_is_on_disk_before_the_first_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards: directory fsync. A record on disk in a file that lost its name is lost."""
    synced: list[tuple[Path, bool]] = []

    def record(directory: Path) -> None:
        synced.append((directory, spool_path(tmp_path / "state", STREAM).exists()))

    monkeypatch.setattr("core.spool.recovery.sync_directory", record)
    SpoolWriter(tmp_path / "state", STREAM).close()
    assert synced == [(tmp_path / "state", True), (tmp_path, True)]
    SpoolWriter(tmp_path / "state", STREAM).close()
    assert len(synced) == 2, "once"


def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """Guards: position before durability."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        connection = getattr(writer, "_connection")  # noqa: B009 (SQLite tells it to nobody else)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_there_is_no_reader_without_a_file(tmp_path: Path) -> None:
    assert SpoolReader.open(tmp_path, STREAM) is None
    assert not list(tmp_path.iterdir()), "who only looks makes no file"


def test_a_reader_needs_no_running_writer(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(make_batch(8, []))
    assert read_state(tmp_path).number == 8


def test_a_file_exchanged_while_it_is_opened_is_not_read_under_its_successors_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the reader would read the file that was moved aside, for ever, and moved() would never say so."""
    SpoolWriter(tmp_path, STREAM).close()
    (tmp_path / "other").mkdir()
    SpoolWriter(tmp_path / "other", STREAM).close()
    path = spool_path(tmp_path, STREAM)
    real: Callable[[Path], sqlite3.Connection] = __import__("core.storage.sqlite").storage.sqlite.connect_readonly

    def connect_and_exchange(target: Path) -> sqlite3.Connection:
        connection = real(target)
        path.rename(path.with_name("old.db"))
        spool_path(tmp_path / "other", STREAM).rename(path)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr("core.spool.spool_reader.connect_readonly", connect_and_exchange)
        assert SpoolReader.open(tmp_path, STREAM) is None
    reader = SpoolReader.open(tmp_path, STREAM)
    assert reader is not None
    reader.close()


def test_a_report_without_a_file_is_withdrawn(tmp_path: Path) -> None:
    report_suspect(tmp_path, STREAM)
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.prune()
    assert not suspect_path(tmp_path, STREAM).exists()


def test_a_reader_takes_few_large_rows_at_once_and_each_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher reads hundreds of rows at once: their size bounds its memory."""
    monkeypatch.setattr("core.spool.spool_reader.READ_BYTES", 1000)
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(records(5, 400))
        writer.commit(records(1, 5000))
        writer.commit(records(30))
    reader = SpoolReader.open(tmp_path, STREAM)
    assert reader is not None
    portions, position = [], 0
    while rows := reader.read(position, 20):
        portions.append(len(rows))
        position = rows[-1].seq
    assert portions == [3, 3, 20, 10]
    reader.close()
