"""One supervisor per state directory: kernel locks, released when their holder ends.

Both the directory itself and `supervisor.lock` in it are locked. A file can be deleted or replaced, and another
supervisor would lock the new one; the lock on the directory holds until the directory itself is deleted or moved. The
file names the holder, and is the only lock where a file system cannot lock directories.
"""

import contextlib
import os
from pathlib import Path

import structlog

from core.errors import GaplessError
from core.periodic import PeriodicTask
from core.storage.file_guard import file_identity
from core.storage.lock_file import Holder, describe, holders, try_lock
from core.storage.private_files import make_directory, open_private

_CHECK_INTERVAL_S = 1.0
_ROOT = 0
_MAX_ATTEMPTS = 10


class StateLockedError(GaplessError):
    """Another supervisor runs on this state directory, or another process holds its lock."""


class StateLock:
    """Holds the state directory until closed, or until the process ends in any way."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._path = state_dir / "supervisor.lock"
        self._directory = self._lock_directory()
        try:
            self._file = self._lock_file()
        except BaseException:
            self._close_directory()
            raise

    @property
    def holds_directory(self) -> bool:
        """Whether the directory itself is locked, and still at its path."""
        return self._directory is not None and _is_at(self._state_dir, self._directory)

    def ensure(self) -> bool:
        """Take the locks again if the file or the directory was deleted or replaced; return whether that was so.

        Raises StateLockedError when another process was quicker, and OSError when no file can be created.
        """
        moved = self._directory is not None and not self.holds_directory
        if not moved and _is_at(self._path, self._file):
            return False
        make_directory(self._state_dir)
        if moved:
            fresh = self._lock_directory()
            self._close_directory()
            self._directory = fresh
        file = self._lock_file()
        os.close(self._file)
        self._file = file
        return True

    def _lock_directory(self) -> int | None:
        """Lock the directory at the path; return None where the file system cannot lock directories."""
        for _ in range(_MAX_ATTEMPTS):
            directory = os.open(self._state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                locked = try_lock(directory)
            except OSError:
                os.close(directory)
                return None
            if not locked:
                os.close(directory)
                raise StateLockedError(self._refusal(holders(self._state_dir)))
            if _is_at(self._state_dir, directory):
                return directory
            os.close(directory)
        raise OSError(f"{self._state_dir} is repeatedly moved or removed")

    def _lock_file(self) -> int:
        file = open_private(self._path, os.O_RDWR | os.O_CREAT)
        if not self._try(file):
            found = holders(self._path)
            os.close(file)
            if not self._may_replace(found):
                raise StateLockedError(self._refusal(found))
            self._path.unlink(missing_ok=True)
            file = open_private(self._path, os.O_RDWR | os.O_CREAT)
            if not self._try(file):
                os.close(file)
                raise StateLockedError(self._refusal(holders(self._path)))
        # The number is for people; the lock decides. So a stale number or a full disk does no harm.
        with contextlib.suppress(OSError):
            number = f"{os.getpid()}\n".encode()
            os.pwrite(file, number, 0)
            os.ftruncate(file, len(number))
        return file

    def _try(self, file: int) -> bool:
        try:
            return try_lock(file)
        except BaseException:
            os.close(file)
            raise

    def _may_replace(self, found: list[Holder]) -> bool:
        """Return whether only other users hold the file: none is a supervisor, since the directory's lock is ours."""
        users = {holder.user for holder in found}
        return self._directory is not None and bool(users) and not users & {None, _ROOT, os.geteuid()}

    def _refusal(self, found: list[Holder]) -> str:
        number = "unknown"
        with contextlib.suppress(OSError):
            number = self._path.read_bytes()[:32].decode(errors="replace").strip() or number
        if not found or str(found[0].pid) == number:
            what = f"another supervisor (pid {number}) is using {self._state_dir}; stop it first"
        else:
            what = f"another supervisor or process holds the lock {self._path}: {describe(found)}; end it first"
        return f"{what}, or change supervisor.state_dir"

    def close(self) -> None:
        """Release the locks; the file stays: removing it would race with the next holder."""
        os.close(self._file)
        self._close_directory()

    def _close_directory(self) -> None:
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None


def _is_at(path: Path, descriptor: int) -> bool:
    status = os.fstat(descriptor)
    return file_identity(path) == (status.st_dev, status.st_ino)


def lock_task(lock: StateLock, log: structlog.stdlib.BoundLogger) -> PeriodicTask:
    """Build the periodic task that keeps the lock: if its file is removed, a second supervisor could start."""
    last_problem = ""

    def keep() -> str | None:
        nonlocal last_problem
        problem = ""
        try:
            if lock.ensure():
                hint = "supervisor.lock or its directory was removed from outside; it has been created again"
                log.error("state_lock_gone", hint=hint)
        except StateLockedError as error:
            if not lock.holds_directory:
                return f"{error}; this supervisor stops, because only one may write there"
            problem = str(error)  # no other supervisor can run there: the directory's lock is ours
            if problem != last_problem:
                hint = "this supervisor continues: it holds the lock on the directory"
                log.error("state_lock_held", error=problem, hint=hint)  # noqa: TRY400
        except OSError as error:
            problem = "unusable"
            if problem != last_problem:
                log.error("state_dir_unusable", error=str(error), hint="make it writable; it is retried")  # noqa: TRY400
        last_problem = problem
        return None

    return PeriodicTask(_CHECK_INTERVAL_S, keep)
