"""One supervisor a state directory: a lock of the kernel's, which dies with its holder."""

import contextlib
import fcntl
import os
from pathlib import Path

from core.errors import GaplessError


class StateLockedError(GaplessError):
    """Another supervisor runs on this state directory."""


class StateLock:
    """Holds the state directory until closed, or until the process ends in whatever way."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "supervisor.lock"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StateLockedError(
                f"another supervisor (pid {holder}) already runs on {state_dir}; "
                "stop it first, or set another supervisor.state_dir"
            ) from None
        # The number is for people; the lock is what counts. So a stale number does no harm, nor does a full disk.
        with contextlib.suppress(OSError):
            number = f"{os.getpid()}\n".encode()
            os.pwrite(self._file, number, 0)
            os.ftruncate(self._file, len(number))

    def close(self) -> None:
        """Let go; the file stays as it is: to remove it would race with the next holder."""
        os.close(self._file)
