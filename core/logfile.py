"""One process's log file: whole lines only, rotated by size, and never a reason for the process to die."""

import logging
import os
import sys
import time
from pathlib import Path

_NOTE_EVERY = 60.0  # seconds between two notes on standard error about the same trouble


class FailureCount:
    """Counts what could not be logged and says so on standard error, now and then."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.total = 0
        self._noted_at: float | None = None

    def add(self, place: str, error: BaseException) -> None:
        """Count one lost line; standard error may be gone as well, then the count is all that stays."""
        self.total += 1
        now = time.monotonic()
        if self._noted_at is not None and now - self._noted_at < _NOTE_EVERY:
            return
        self._noted_at = now
        note = f"{self.process}: cannot log to {place}: {error!r} ({self.total} lines so far); the process goes on\n"
        try:
            sys.stderr.write(note)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # closed, broken or none
            self._noted_at = None  # so the next loss tries to say it again


class RotatingLogFile(logging.Handler):
    """Appends each record as one write of one line, so that a kill at any moment tears at most the last one."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int, failures: FailureCount) -> None:
        super().__init__()
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._failures = failures
        self._descriptor: int | None = None
        self._size = 0
        self._torn = False  # the file ends within a line: the next one begins on a line of its own

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; rotate first when it would not fit."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            self._open_if_needed()
            if self._size and self._size + len(line) > self._max_bytes:
                self._rotate()
            self._write(line)
        except Exception as error:  # noqa: BLE001  whatever it is: counted, noted, and the caller goes on
            self._failures.add(str(self.path), error)

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        self.acquire()
        try:
            self._close_file()
        finally:
            self.release()
        super().close()

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            return
        if self._torn:
            line = b"\n" + line
        written = os.write(self._descriptor, line)
        self._size += written
        self._torn = written < len(line)  # the disk is full: the rest of this line is lost, and counted
        if self._torn:
            raise OSError(f"only {written} of {len(line)} bytes written: is the disk full?")

    def _open_if_needed(self) -> None:
        """Open at the first record, and again when somebody moved or removed the file under us."""
        if self._descriptor is not None:
            if self._is_in_place(self._descriptor):
                return
            self._close_file()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._descriptor).st_size
        self._torn = self._size > 0 and os.pread(self._descriptor, 1, self._size - 1) != b"\n"

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return False
        ours = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _rotate(self) -> None:
        """Move NAME.log to NAME.log.1 and so on; where that fails, the file grows on rather than lose lines."""
        try:
            for number in range(self._backups, 0, -1):
                source = self._backup(number - 1)
                if source.exists():
                    source.replace(self._backup(number))
        except OSError as error:
            self._failures.add(f"a new {self.path.name}", error)
        self._close_file()
        self._open_if_needed()

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
