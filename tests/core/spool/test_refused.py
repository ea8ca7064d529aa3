"""When the disk does not take a commit: nothing of it is there, and nobody pretends otherwise."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.spool import Batch, Gap, Record, SpoolBroken, SpoolError, SpoolWriter
from core.spool.spool_files import spool_path
from tests.core.spool.story import STREAM, State, make_batch, read_state


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    with SpoolWriter(tmp_path, STREAM) as writer:
        for number in range(1, 6):
            writer.commit(make_batch(number, writer.load_gaps()))
        yield writer


def large() -> Batch:
    """A batch that finds no room."""
    batch = make_batch(6, [])
    batch.records += [Record(b"t1_large", b'"' + b"x" * 3_000_000 + b'"', "reddit.comment.v1")]
    return batch


class FailingDisk:
    """A connection whose commit fails as SQLite reports it; everything else goes to the real one."""

    def __init__(self, connection: sqlite3.Connection, code: int) -> None:
        self._connection = connection
        self._code = code
        self.commits = 0

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            self.commits += 1
            if self.commits == 1:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = self._code
                raise error
        return self._connection.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE])
def test_a_failed_fsync_is_never_retried_as_success(
    tmp_path: Path, writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The kernel may have dropped the pages it could not write: a second fsync says "done" and they are gone."""
    before = read_state(tmp_path)
    disk = FailingDisk(getattr(writer, "_connection"), code)  # noqa: B009 (there is no public way to a bad disk)
    monkeypatch.setattr(writer, "_connection", disk)
    with pytest.raises(SpoolBroken, match=r"spool-comments\.db: the disk failed .*the process restarts"):
        writer.commit(make_batch(6, []))
    with pytest.raises(SpoolBroken):
        writer.commit(make_batch(6, []))
    with pytest.raises(SpoolBroken):
        writer.prune()
    assert disk.commits == 1, "nothing was tried again over this connection"
    assert read_state(tmp_path) == before


def test_a_full_disk_refuses_the_whole_batch_and_takes_it_later(tmp_path: Path, writer: SpoolWriter) -> None:
    before = read_state(tmp_path)
    connection = getattr(writer, "_connection")  # noqa: B009 (stands for the disk)
    connection.execute("PRAGMA max_page_count = 60")
    assert_refuses_and_recovers(tmp_path, writer, before, lambda: connection.execute("PRAGMA max_page_count = 100000"))


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """On a file system of its own, filled to the brim by somebody else."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system (test_a_full_disk_… does without)")
    try:
        with SpoolWriter(directory, STREAM) as writer:
            for number in range(1, 6):
                writer.commit(make_batch(number, writer.load_gaps()))
            before = read_state(directory)
            assert_refuses_and_recovers(
                directory,
                writer,
                before,
                lambda: subprocess.run(["mount", "-o", "remount,size=64m", directory], check=True),
            )
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def assert_refuses_and_recovers(directory: Path, writer: SpoolWriter, before: State, make_room: Any) -> None:
    for _ in range(3):
        with pytest.raises(SpoolError, match=r"cannot be written .*full.*: free disk space") as caught:
            writer.commit(large())
        assert not isinstance(caught.value, SpoolBroken), "the process may go on and try again"
        assert str(spool_path(directory, STREAM)) in str(caught.value)
    assert read_state(directory) == before, "nothing of the batch is there"
    make_room()
    last_seq = writer.commit(large())
    assert read_state(directory) == before.after(large(), last_seq)


def test_a_spool_locked_by_another_program_is_an_error_after_the_timeout_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.sqlite.BUSY_TIMEOUT", 0.05)
    with SpoolWriter(tmp_path, STREAM) as writer:
        with closing(sqlite3.connect(spool_path(tmp_path, STREAM), isolation_level=None)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            with pytest.raises(SpoolError, match=r"locked.*end the process that locks it") as caught:
                writer.commit(make_batch(1, []))
            assert not isinstance(caught.value, SpoolBroken)
            with pytest.raises(SpoolError, match="locked"):
                writer.prune()
        writer.commit(make_batch(1, []))
    assert read_state(tmp_path).number == 1


def test_a_file_locked_at_the_start_is_not_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.sqlite.BUSY_TIMEOUT", 0.05)
    SpoolWriter(tmp_path, STREAM).close()
    with closing(sqlite3.connect(spool_path(tmp_path, STREAM), isolation_level=None)) as intruder:
        intruder.execute("PRAGMA locking_mode = EXCLUSIVE")
        intruder.execute("BEGIN EXCLUSIVE")
        intruder.execute("DELETE FROM counters")
        with pytest.raises(SpoolError, match="locked"):
            SpoolWriter(tmp_path, STREAM)
    SpoolWriter(tmp_path, STREAM).close()
    assert not list(tmp_path.glob("*corrupt*"))


def test_a_gap_of_a_refused_batch_is_recorded_when_the_batch_is_tried_again(writer: SpoolWriter) -> None:
    """An id from the transaction that failed would make the second attempt change a row that is not there."""
    connection = getattr(writer, "_connection")  # noqa: B009
    connection.execute("PRAGMA max_page_count = 60")
    gap = Gap(STREAM, ("bitcoin",), None, 9.0, "a reason", 9.0, 2)
    batch = large()
    batch.gaps = [gap]
    with pytest.raises(SpoolError):
        writer.commit(batch)
    assert gap.id is None
    connection.execute("PRAGMA max_page_count = 100000")
    writer.commit(batch)
    assert gap.id is not None
    assert gap in writer.load_gaps()


def test_a_batch_that_cannot_be_stored_leaves_no_transaction_open(tmp_path: Path, writer: SpoolWriter) -> None:
    before = read_state(tmp_path)
    with pytest.raises(TypeError):
        writer.commit(Batch(records=[Record(b"k", b"1", "s")], cursor={"odd": object()}))
    assert read_state(tmp_path) == before
    writer.commit(make_batch(6, []))
