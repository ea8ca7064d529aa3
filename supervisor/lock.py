"""One supervisor a state directory: a lock of the kernel's, which dies with its holder."""

import contextlib
import fcntl
import os
from pathlib import Path

import structlog

from core.errors import GaplessError
from core.fileguard import file_identity
from supervisor.chore import Chore

_LOOK_EVERY = 1.0


class StateLockedError(GaplessError):
    """Another supervisor runs on this state directory."""


class StateLock:
    """Holds the state directory until closed, or until the process ends in whatever way."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "supervisor.lock"
        self._file = self._take()

    def ensure(self) -> bool:
        """Take the lock again if its file, or its directory, was removed; tell whether that was so.

        Raises StateLockedError when another supervisor was quicker, and OSError when no file can be made.
        """
        status = os.fstat(self._file)
        if file_identity(self._path) == (status.st_dev, status.st_ino):
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._take()
        os.close(self._file)
        self._file = fresh
        return True

    def _take(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise StateLockedError(
                f"another supervisor (pid {holder}) already runs on {self._path.parent}; "
                "stop it first, or set another supervisor.state_dir"
            ) from None
        # The number is for people; the lock is what counts. So a stale number does no harm, nor does a full disk.
        with contextlib.suppress(OSError):
            number = f"{os.getpid()}\n".encode()
            os.pwrite(file, number, 0)
            os.ftruncate(file, len(number))
        return file

    def close(self) -> None:
        """Let go; the file stays as it is: to remove it would race with the next holder."""
        os.close(self._file)


def lock_chore(lock: StateLock, log: structlog.stdlib.BoundLogger) -> Chore:
    """Make the chore that keeps the lock: a cleaner may remove its file, and a second supervisor would start."""
    troubled = False

    def keep() -> str | None:
        nonlocal troubled
        try:
            if lock.ensure():
                log.error("state_lock_gone", hint="somebody removed supervisor.lock or its directory; it is made again")
        except StateLockedError as error:
            return f"{error}: this one ends, so that no two write there"
        except OSError as error:
            if not troubled:
                log.error("state_dir_unusable", error=str(error), hint="make it writable; it is tried again")  # noqa: TRY400
            troubled = True
        else:
            troubled = False
        return None

    return Chore(_LOOK_EVERY, keep)
