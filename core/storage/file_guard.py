"""Detects that the files of an open SQLite database are no longer the ones at its path.

An open descriptor outlives the name of its file: after `rm`, `mv`, a restored copy or a removed directory, a process
would write into a file that cannot be opened again. A guard compares the files at the path with those it opened.
"""

import enum
import os
from pathlib import Path

Identity = tuple[int, int]
_SizeAndTime = tuple[int, int]


class FileChange(enum.StrEnum):
    """A change of the files of a database while it was open."""

    GONE = "it was deleted or moved"
    REPLACED = "another file replaced it"
    COMPANION = "its -wal or -shm file was deleted or replaced"
    CHANGED = "another program wrote into it"


class FileGuard:
    """Remembers the files of an open database, and their state after this process's last write.

    Args:
        path: the database file.
        sole_writer: only this process writes the file, so its size and time of modification change only by our writes.
    """

    def __init__(self, path: Path, *, sole_writer: bool) -> None:
        self._path = os.fspath(path)
        self._wal_path, self._shm_path = f"{self._path}-wal", f"{self._path}-shm"
        self._sole_writer = sole_writer
        self._main: os.stat_result | None = None
        self._wal: os.stat_result | None = None
        self._shm: os.stat_result | None = None

    def learn(self) -> None:
        """Record the files at the path as ours: call it once the database is open."""
        self._main, self._wal, self._shm = self._statuses()

    def wrote(self) -> None:
        """Record their content as ours: call it after each own write. Another file is not recorded."""
        main, wal = _status(self._path), _status(self._wal_path)
        if main is None or self._main is None or _identity(main) != _identity(self._main):
            return
        self._main = main
        if wal is not None and (self._wal is None or _identity(wal) == _identity(self._wal)):
            self._wal = wal
        self._shm = self._shm or _status(self._shm_path)

    def change(self) -> FileChange | None:
        """Return the change, None while the files at the path are ours.

        Raises OSError when this cannot be checked (no right to search the directory, a disk that does not answer).
        """
        main, wal, shm = self._statuses()
        if main is None:
            return FileChange.GONE
        if self._main is None or _identity(main) != _identity(self._main):
            return FileChange.REPLACED
        for now, before in ((wal, self._wal), (shm, self._shm)):
            if before is not None and (now is None or _identity(now) != _identity(before)):
                return FileChange.COMPANION
        changed = _content(main) != _content(self._main) or (wal and _content(wal)) != (
            self._wal and _content(self._wal)
        )
        return FileChange.CHANGED if self._sole_writer and changed else None

    def are_open(self) -> bool:
        """Return whether this process has the recorded files open, not others that were at the path just before.

        True where the system gives no information (no /proc).
        """
        try:
            open_here = {identity for fd in os.listdir("/proc/self/fd") if (identity := _identity_of(int(fd)))}  # noqa: PTH208
        except OSError:
            return True
        return all(_identity(each) in open_here for each in (self._main, self._wal) if each is not None)

    def left_behind(self) -> list[str]:
        """Return the -wal and -shm files at the path that belong to the file that was opened.

        If another file is at the path now, SQLite would apply them to it.
        """
        found = (("-wal", self._wal), ("-shm", self._shm))
        paths = [(f"{self._path}{ending}", status) for ending, status in found if status is not None]
        return [path for path, status in paths if file_identity(path) == _identity(status)]

    def _statuses(self) -> tuple[os.stat_result | None, ...]:
        return _status(self._path), _status(self._wal_path), _status(self._shm_path)


def file_identity(path: str | Path) -> Identity | None:
    """Return device and inode of the file at `path`, None when there is none."""
    status = _status(path)
    return None if status is None else _identity(status)


def _identity_of(fd: int) -> Identity | None:
    try:
        return _identity(os.fstat(fd))
    except OSError:  # closed meanwhile
        return None


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _content(status: os.stat_result) -> _SizeAndTime:
    return status.st_size, status.st_mtime_ns


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 (called before each commit: a Path costs more than the question)
    except (FileNotFoundError, NotADirectoryError):
        return None
