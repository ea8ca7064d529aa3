"""Locks of other processes: named, and never waited for without a limit. The other process is a real one."""

import contextlib
import logging
import os
import re
import sqlite3
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.logging.rotating_file import FailureCount, RotatingLogFile
from core.reddit import limiter
from core.reddit.limiter import Limiter, QuotaFileError
from core.reddit.quota import Priority
from core.spool.writer_lock import SpoolLock
from core.storage.lock_file import LockHeld, holders, parse_locks, take_lock
from tests.support.durations import allowed
from tests.support.strangers import lock_held, needs_flock

LOCKS = """\
1: FLOCK  ADVISORY  WRITE 4242 08:01:77 0 EOF
2: POSIX  ADVISORY  READ  4243 08:01:77 1073741826 1073742335
2: -> POSIX  ADVISORY  WRITE 4244 08:01:77 0 0
3: FLOCK  ADVISORY  WRITE 1 00:2e:78 0 EOF
4: OFDLCK ADVISORY  WRITE -1 08:01:79 0 EOF
nonsense
"""
DEVICE = os.makedev(8, 1)


class TestParse:
    @pytest.mark.parametrize(
        ("device", "inode", "found"),
        [
            (DEVICE, 77, [("FLOCK", 4242), ("POSIX", 4243)]),  # who waits holds nothing
            (DEVICE, 78, [("FLOCK", 1)]),  # some file systems tell another device there
            (DEVICE, 79, [("OFDLCK", -1)]),
            (DEVICE, 80, []),
        ],
    )
    def test_the_holders_of_a_file(self, device: int, inode: int, found: list[tuple[str, int]]) -> None:
        assert parse_locks(LOCKS, device, inode) == found


def test_a_lock_whose_file_was_deleted_meanwhile_is_taken_on_the_new_file(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "x.lock", 0.0)
    (tmp_path / "x.lock").unlink()
    second = take_lock(tmp_path / "x.lock", 0.0)
    assert os.fstat(first).st_ino != os.fstat(second).st_ino == (tmp_path / "x.lock").stat().st_ino
    os.close(first)
    os.close(second)


@needs_flock
class TestHeld:
    def test_the_holder_is_named_within_the_limit(self, tmp_path: Path) -> None:
        path = tmp_path / "x.lock"
        with lock_held(path) as pid:
            began = time.monotonic()
            with pytest.raises(
                LockHeld, match=rf"x\.lock is locked by another process, pid {pid} \((sh|sleep), user id"
            ):
                take_lock(path, 0.1)
            assert time.monotonic() - began < allowed(5.0)
            assert [holder.pid for holder in holders(path)] == [pid]
        os.close(take_lock(path, 5.0))

    def test_the_lock_of_a_spool_names_its_holder(self, tmp_path: Path) -> None:
        path = tmp_path / "spool-comments.lock"
        with lock_held(path) as pid, pytest.raises(LockHeld, match=rf"pid {pid} .* end that process"):
            SpoolLock(path, timeout=0.1)

    def test_the_quota_is_used_while_its_lock_is_held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Guards: a process that hangs in STARTING for as long as anybody holds quota.lock."""
        monkeypatch.setattr(limiter, "_LOCK_TIMEOUT_S", 0.1)
        with lock_held(tmp_path / "quota.lock") as pid, capture_logs() as logs:
            one = Limiter(tmp_path, "comments", 100)
            assert isinstance(one.ask(Priority.STREAM), limiter.Grant)
            one.close()
        assert [entry["event"] for entry in logs] == ["lock_held"]
        assert re.search(rf"quota\.lock is locked by another process, pid {pid} ", logs[0]["error"])

    def test_a_quota_that_is_broken_is_not_replaced_without_the_lock(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limiter, "_LOCK_TIMEOUT_S", 0.1)
        (tmp_path / "quota.db").write_bytes(b"this is no database " * 100)
        with (
            lock_held(tmp_path / "quota.lock") as pid,
            pytest.raises(QuotaFileError, match=rf"quota\.lock .*pid {pid}"),
        ):
            Limiter(tmp_path, "comments", 100)
        Limiter(tmp_path, "comments", 100).close()

    def test_a_log_waits_once_for_its_lock_and_names_the_holder(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Guards: a second for each line, so that a working loop that logs no longer beats."""
        path = tmp_path / "x.log"
        failures = FailureCount("test")
        handler = RotatingLogFile(path, max_bytes=100_000, backups=3, failures=failures)
        with lock_held(path) as pid:
            began = time.monotonic()
            for number in range(50):
                handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
            assert time.monotonic() - began < allowed(10.0)
        assert len(path.read_text().splitlines()) == 50
        assert failures.total == 0
        said = capsys.readouterr().err
        assert said.count("is locked by another process") == 1
        assert f"pid {pid} " in said
        handler.close()


def test_what_locks_the_quota_file_itself_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite waits for its own locks with a limit; the message says whose they are."""
    monkeypatch.setattr("core.storage.sqlite.BUSY_TIMEOUT", 0.1)
    one = Limiter(tmp_path, "comments", 100)
    with contextlib.closing(sqlite3.connect(tmp_path / "quota.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(QuotaFileError, match="end the process that locks it"):
            one.ask(Priority.STREAM)
    one.close()
