"""A process's log file: whole lines only, rotated by size; its errors never end the process.

It has two writers: the process itself, and its supervisor, which adds the process's output outside its logger. Each
holds a lock while it writes a line, so that both may rotate, and no line goes to a rotated file. A writer waits once
for a lock that another process keeps, and names that process; until it is free, lines are written without it.
"""

import contextlib
import fcntl
import logging
import os
import sys
import time
from pathlib import Path

from core.logging.nonblocking_stderr import Stream
from core.storage.lock_file import describe, holders, try_lock
from core.storage.private_files import make_directory, open_private

_NOTE_EVERY = 60.0  # seconds between two notes on standard error about the same problem

#: A lock is held for microseconds. A process that holds it for longer was stopped with it: then the line matters more.
_LOCK_WITHIN = 1.0
_LOCK_AGAIN = 0.002

#: After that wait, seconds without another wait for the same lock.
_LOCK_RETRY_AFTER = 60.0

#: Attempts to open a file that is moved or removed meanwhile: two busy writers may rotate it many times in a row.
_TRIES = 1_000


class FailureCount:
    """Counts lines that could not be logged, and reports them on standard error from time to time."""

    def __init__(self, process: str, stream: Stream | None = None) -> None:
        self.process = process
        self.total = 0
        self._stream = stream  # None: the present standard error
        self._noted_at: float | None = None

    def add(self, place: str, error: BaseException) -> None:
        """Count one lost line; if standard error is gone as well, only the count remains."""
        self.total += 1
        now = time.monotonic()
        if self._noted_at is not None and now - self._noted_at < _NOTE_EVERY:
            return
        self._noted_at = now
        noted = self.note(f"cannot log to {place}: {error!r} ({self.total} lines lost so far); the process continues")
        if not noted:
            self._noted_at = None  # so the next loss tries to report it again

    def note(self, text: str) -> bool:
        """Write a line on standard error; return whether that succeeded."""
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{self.process}: {text}\n")
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, broken or absent
            return False
        return True


class RotatingLogFile(logging.Handler):
    """Appends each record as one write of one line, so that a kill at any moment truncates at most the last one."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int, failures: FailureCount) -> None:
        super().__init__()
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._failures = failures
        self._descriptor: int | None = None
        self._no_wait_until = 0.0  # another process keeps the lock

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; rotate first if it does not fit."""
        try:
            self._append(self.format(record))
        except Exception as error:  # noqa: BLE001  whatever it is: counted, noted, and the caller continues
            self._failures.add(str(self.path), error)

    def append(self, line: str) -> None:
        """Write a formatted line, as `emit` does."""
        self.acquire()
        try:
            self._append(line)
        except Exception as error:  # noqa: BLE001  as in `emit`
            self._failures.add(str(self.path), error)
        finally:
            self.release()

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        self.acquire()
        try:
            self._close_file()
        finally:
            self.release()
        super().close()

    def _append(self, text: str) -> None:
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        size = self._open_locked()
        try:
            if size and size + len(line) > self._max_bytes:
                self._rotate()
                size = self._open_locked()
            self._write(line, size)
        finally:
            self._unlock()

    def _write(self, line: bytes, size: int) -> None:
        if self._descriptor is None:
            return
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # a writer was killed within a line, or the disk was full
        written = os.write(self._descriptor, line)
        if written < len(line):
            raise OSError(f"only {written} of {len(line)} bytes written: is the disk full?")

    def _open_locked(self) -> int:
        """Lock the file that has the name now, for this writer alone; return its size in bytes.

        It is opened at the first record, and again when the other writer, or a person, moved or removed it.
        """
        for _ in range(_TRIES):
            if self._descriptor is None:
                make_directory(self.path.parent)
                flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
                self._descriptor = open_private(self.path, flags, self._link_removed)
            self._lock(self._descriptor)
            status = os.fstat(self._descriptor)
            if self._is_in_place(status):
                return status.st_size
            self._close_file()
        raise OSError(f"{self.path} is moved or removed faster than it can be opened")

    def _is_in_place(self, ours: os.stat_result) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _rotate(self) -> None:
        """Move NAME.log to NAME.log.1 and so on; if that fails, the file grows instead of losing lines."""
        try:
            for number in range(self._backups, 0, -1):
                source = self._backup(number - 1)
                if source.exists():
                    source.replace(self._backup(number))
        except OSError as error:
            self._failures.add(f"a new {self.path.name}", error)
        self._close_file()

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _link_removed(self, path: Path) -> None:
        self._failures.note(f"{path} was a symbolic link, which is not followed: a file replaces it")

    def _lock(self, descriptor: int) -> None:
        """Wait for the lock for a limited time: a line in a file that is just being rotated is better than a hang."""
        end = time.monotonic() + _LOCK_WITHIN
        try:
            while not try_lock(descriptor):
                now = time.monotonic()
                if now < self._no_wait_until:
                    return
                if now > end:
                    self._no_wait_until = now + _LOCK_RETRY_AFTER
                    who = describe(holders(self.path))
                    self._failures.note(
                        f"{self.path} is locked by another process, {who}: end that process; "
                        "lines are written without the lock"
                    )
                    return
                time.sleep(_LOCK_AGAIN)
        except OSError:  # a file system without locks: one writer at a time is the rule anyway
            return
        self._no_wait_until = 0.0

    def _unlock(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # as in `_lock`
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _close_file(self) -> None:
        """Close it, which also ends the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
