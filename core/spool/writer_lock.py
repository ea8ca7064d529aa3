"""The lock of a spool: one writer at a time, and a note of its file's last state.

The note outlives the spool file. It distinguishes a spool that is gone, or restored from an older copy, from a first
start. It is written after each commit without waiting for the disk, so it is never ahead of the file.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from core.storage.file_guard import file_identity
from core.storage.lock_file import LockHeld, take_lock

__all__ = ["TAKEOVER_TIMEOUT", "LockHeld", "SpoolLock", "SpoolNote"]

#: Seconds that a new writer waits for an ending predecessor to release the file.
TAKEOVER_TIMEOUT = 10.0
_LONGEST_NOTE = 4096
_NOTE_LENGTH = 160


@dataclass(frozen=True, slots=True)
class SpoolNote:
    """The last state of a spool file: its id, its commits, its last assigned seq, and its number of records."""

    spool_id: str
    commits: int
    last_seq: int
    records: int | None = None


class SpoolLock:
    """A kernel lock on a file beside the spool; it ends with the process, for any reason."""

    def __init__(self, path: Path, timeout: float = TAKEOVER_TIMEOUT) -> None:
        """Take the lock. Raises LockHeld when another process holds it for longer than `timeout` seconds."""
        self._path = os.fspath(path)
        self._hold(take_lock(path, timeout))

    def _hold(self, file: int) -> None:
        status = os.fstat(file)
        self._file, self._identity = file, (status.st_dev, status.st_ino)

    def is_gone(self) -> bool:
        """Return whether the file at the path is no longer the one that is locked."""
        return file_identity(self._path) != self._identity

    def ensure(self) -> bool:
        """Take the lock again if its file was deleted or replaced; return whether it was.

        Raises LockHeld when another process was faster, and OSError when no file can be created.
        """
        if not self.is_gone():
            return False
        fresh = take_lock(Path(self._path), timeout=0.0)
        os.close(self._file)
        self._hold(fresh)
        return True

    def read_note(self) -> SpoolNote | None:
        """Return the note, None when it is missing or invalid."""
        try:
            stored = json.loads(os.pread(self._file, _LONGEST_NOTE, 0))
            records = stored["records"]
            return SpoolNote(
                str(stored["spool_id"]),
                int(stored["commits"]),
                int(stored["last_seq"]),
                None if records is None else int(records),
            )
        except (ValueError, TypeError, KeyError):
            return None

    def write_note(self, note: SpoolNote) -> None:
        """Write the note. A failed write loses only the note."""
        records = "null" if note.records is None else note.records
        # formatted by hand for speed: it is written after each commit. Spaces cover the end of a longer previous note
        content = (
            f'{{"spool_id": "{note.spool_id}", "commits": {note.commits}, "last_seq": {note.last_seq},'
            f' "records": {records}}}'
        )
        try:
            os.pwrite(self._file, content.ljust(_NOTE_LENGTH).encode() + b"\n", 0)
        except OSError:
            return

    def close(self) -> None:
        """Release the lock; its file stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
