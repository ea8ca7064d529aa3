"""The lock of a spool: one writer at a time, and a note of how far its file had come.

The note outlives the spool file. A spool that is gone, or was put back from an older copy, is told from a first start
by it. It is written after each commit without waiting for the disk, so it is never ahead of the file.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from core.storage.file_guard import file_identity
from core.storage.lock_file import LockHeld, take_lock

__all__ = ["TAKEOVER_TIMEOUT", "LockHeld", "SpoolLock", "Witness"]

#: How long a new writer waits for a dying predecessor to let go of the file, seconds.
TAKEOVER_TIMEOUT = 10.0
_LONGEST_NOTE = 4096
_NOTE_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Witness:
    """How far a spool file had come: its id, its commits, the last seq it gave, and how many records it held."""

    spool_id: str
    commits: int
    last_seq: int
    records: int | None = None


class SpoolLock:
    """A lock of the kernel's on a file beside the spool; it ends with the process, however that ends."""

    def __init__(self, path: Path, timeout: float = TAKEOVER_TIMEOUT) -> None:
        """Take the lock. Raises LockHeld when another process keeps it for longer than `timeout` seconds."""
        self._path = os.fspath(path)
        self._hold(take_lock(path, timeout))

    def _hold(self, file: int) -> None:
        status = os.fstat(file)
        self._file, self._identity = file, (status.st_dev, status.st_ino)

    def is_gone(self) -> bool:
        """Tell whether the file at the path is no longer the one that is locked."""
        return file_identity(self._path) != self._identity

    def ensure(self) -> bool:
        """Take the lock again if its file was deleted or replaced; tell whether that was so.

        Raises LockHeld when another process was quicker, and OSError when no file can be made.
        """
        if not self.is_gone():
            return False
        fresh = take_lock(Path(self._path), timeout=0.0)
        os.close(self._file)
        self._hold(fresh)
        return True

    def witness(self) -> Witness | None:
        """Return the note, None where there is none that makes sense."""
        try:
            note = json.loads(os.pread(self._file, _LONGEST_NOTE, 0))
            records = note["records"]
            return Witness(
                str(note["spool_id"]),
                int(note["commits"]),
                int(note["last_seq"]),
                None if records is None else int(records),
            )
        except (ValueError, TypeError, KeyError):
            return None

    def note(self, witness: Witness) -> None:
        """Write the note. A disk that does not take it costs only the note."""
        records = "null" if witness.records is None else witness.records
        # made by hand: it is written after each commit. White space covers the end of a longer one before it
        content = (
            f'{{"spool_id": "{witness.spool_id}", "commits": {witness.commits}, "last_seq": {witness.last_seq},'
            f' "records": {records}}}'
        )
        try:
            os.pwrite(self._file, content.ljust(_NOTE_LENGTH).encode() + b"\n", 0)
        except OSError:
            return

    def close(self) -> None:
        """Let go of the lock; its file stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
