"""Detects that another program wrote over an open SQLite file: `cat other.db > reddit.db` keeps the file itself.

In WAL mode only checkpoints change the database file, and each one leaves a trace in the -shm file: the log's salt, and
the number of frames copied into the database file. Content that changed without such a trace is not ours. The -shm file
is read through SQLite's own descriptor: opening and closing another one would release SQLite's locks.

https://www.sqlite.org/walformat.html describes the index in the -shm file.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

from core.storage.file_guard import file_identity

_SALTS, _BACKFILLED, _ATTEMPTED = struct.Struct("=II"), struct.Struct("=I"), struct.Struct("=I")
_SALTS_AT, _BACKFILLED_AT, _ATTEMPTED_AT = 32, 96, 128
_READ = 132


class _Checkpoints(NamedTuple):
    """How much of the log has been copied into the database file."""

    salts: tuple[int, int]
    backfilled: int
    attempted: int

    @property
    def is_in_progress(self) -> bool:
        """Whether a checkpoint is writing, or died while writing."""
        return self.backfilled != self.attempted


class ContentWatch:
    """Remembers the content of the file after the last checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._fd = -1
        self._known: tuple[tuple[int, int], _Checkpoints] | None = None

    def forget(self) -> None:
        """Forget everything seen before."""
        self._known = None

    @property
    def is_written_over(self) -> bool:
        """Whether the content changed since the last check, and not by a checkpoint."""
        before, self._known = self._known, None
        checkpoints = self._checkpoints()
        try:
            status = os.stat(self._path)  # noqa: PTH116 (before each commit: a Path costs more than the question)
        except OSError:
            return False  # core.storage.file_guard reports the problem with the file
        if checkpoints is None or checkpoints.is_in_progress or checkpoints != self._checkpoints():
            return False
        now = ((status.st_size, status.st_mtime_ns), checkpoints)
        if before is not None and before[1] == checkpoints and before[0] != now[0]:
            self._known = before
            return True
        self._known = now
        return False

    def needs_checkpoint(self) -> bool:
        """Return whether a checkpoint was interrupted: then nothing can be decided until the next one."""
        checkpoints = self._checkpoints()
        return checkpoints is not None and checkpoints.is_in_progress

    def _checkpoints(self) -> _Checkpoints | None:
        """Read the index; None if it cannot be read."""
        shm = file_identity(f"{self._path}-shm")
        if shm is None:
            return None
        if _identity_of(self._fd) != shm:
            self._fd = _open_here(shm)
        try:
            index = os.pread(self._fd, _READ, 0)
        except OSError:
            return None
        if len(index) < _READ:
            return None
        salts = _SALTS.unpack_from(index, _SALTS_AT)
        (backfilled,), (attempted,) = (
            _BACKFILLED.unpack_from(index, _BACKFILLED_AT),
            _ATTEMPTED.unpack_from(index, _ATTEMPTED_AT),
        )
        return _Checkpoints((salts[0], salts[1]), backfilled, attempted)


def _open_here(wanted: tuple[int, int]) -> int:
    """Return the descriptor with which this process has this file open; -1 if unknown."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 (names are enough)
    except OSError:
        return -1
    return next((number for number in numbers if _identity_of(number) == wanted), -1)


def _identity_of(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino
