"""Writes the index of captured names (see core.spool.name_index) from the process of the stream.

Adding a name costs the capture an append to a list. `flush` writes what was added, a few seconds later. A kill loses no
name: the note `mark.json` says up to which seq of the spool all names are on the disk, and the next start adds the
names of the rows behind it. Where that is not possible, the index begins anew, and the audit judges only later items.
"""

import errno
import json
import os
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from core.spool.name_index import ENTRY_BYTES, IndexFile, file_name, index_directory, index_files, number_of
from core.spool.spool_files import sync_directory
from core.storage.private_files import make_directory, open_private, replace_json

#: A new file begins after this time, seconds.
_FILE_S = 3600.0

#: Files are kept for this time (seconds), and up to this size of all together (bytes).
KEEP_S = 8 * 86_400.0
KEEP_BYTES = 64_000_000

#: Seconds between two calls of fsync.
_SYNC_EVERY_S = 60.0

#: Names that wait while the disk is full; more are not kept, and the index begins anew.
_MOST_WAITING = 200_000

_MARK = "mark.json"

log = structlog.stdlib.get_logger(__name__)


class Mark(NamedTuple):
    """The names of all rows of this spool up to `seq` are on the disk, in the files that began at these `starts`.

    `dropped` counts names that were deleted.
    """

    spool_id: str
    seq: int
    dropped: int = 0
    starts: tuple[float, ...] = ()


class NameIndexWriter:
    """The only writer of a stream's index.

    Args:
        state_dir: the directory that contains the index.
        stream: the name of the stream.
        clock: epoch seconds.
    """

    def __init__(self, state_dir: Path, stream: str, clock: Callable[[], float] = time.time) -> None:
        self._directory = index_directory(state_dir, stream)
        self._stream = stream
        self._clock = clock
        self._waiting: list[Sequence[bytes]] = []
        self._count = 0
        self._seq = 0
        self._spool_id = ""
        self._descriptor: int | None = None
        #: when the files began, the newest last
        self._starts: list[float] = []
        self._synced_at = float("-inf")
        self._dropped = 0
        self._failing = False
        self._broken = False

    def begin(self, spool_id: str, last_seq: int, keys_after: Callable[[int], list[bytes]]) -> None:
        """Continue the index of the last process of this stream, or begin anew.

        Args:
            spool_id: of the spool of this process.
            last_seq: the last seq of the spool.
            keys_after: returns the keys of the rows with a greater seq.
        """
        self._spool_id, self._seq = spool_id, last_seq
        try:
            make_directory(self._directory)
            mark = self._read_mark()
            self._dropped = 0 if mark is None else mark.dropped
            if mark is None or mark.spool_id != spool_id or not self._has_files(mark):
                self._restart("it has no note of this spool and its files")
                return
            keys = keys_after(mark.seq)
            if len(keys) != last_seq - mark.seq:
                self._restart("the rows since its last entry are not known")
                return
            self._starts = list(self._present())
            self._open(self._starts[-1])
            self.add(keys, last_seq)
            self._write()
        except OSError as error:
            self._failed(error)

    def _present(self) -> tuple[float, ...]:
        return tuple(file.start for file in index_files(self._directory))

    def _has_files(self, mark: Mark) -> bool:
        """Return whether all files are there. The newest one may have begun after the mark was written.

        Older ones were about to be deleted.
        """
        if not mark.starts:
            return False
        self._remove([file for file in index_files(self._directory) if file.start < mark.starts[0]])
        present = self._present()
        return present[: len(mark.starts)] == mark.starts and len(present) <= len(mark.starts) + 1

    def _is_whole(self) -> bool:
        """Return whether all files are still at their paths: a name in a deleted one would seem not to be captured."""
        if self._descriptor is None or list(self._present()) != self._starts:
            return False
        path, own = self._directory / file_name(self._starts[-1]), os.fstat(self._descriptor)
        there = path.stat()
        return (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)

    def _unusable(self, now: float) -> str:
        """Return why the index must begin anew; empty: it need not."""
        if self._broken:
            return "names could not be written for too long"
        if not self._is_whole():
            return "one of its files is gone"
        # no draw would reach what is captured until then
        return "the clock was set back to before its newest file" if self._starts[-1] - now > _FILE_S else ""

    def add(self, keys: Sequence[bytes], last_seq: int) -> None:
        """Add the keys of captured records; `last_seq`: the spool's last seq. Nothing is written now."""
        self._waiting.append(keys)
        self._count += len(keys)
        self._seq = last_seq
        if self._count > _MOST_WAITING and self._failing:
            self._broken, self._dropped = True, self._dropped + self._count
            self._waiting, self._count = [], 0

    def flush(self, *, sync: bool = False) -> None:
        """Write what was added; `sync`: to the disk itself. After a failure the next call retries."""
        now = self._clock()
        try:
            if reason := self._unusable(now):
                self._restart(reason)
            self._write()
            if sync or not 0.0 <= now - self._synced_at < _SYNC_EVERY_S:
                self._sync(now)
            if now - self._starts[-1] >= _FILE_S:
                self._rotate(now)
        except OSError as error:
            self._failed(error)
        else:
            self._failing = False

    def close(self) -> None:
        """Write everything, and close the file."""
        self.flush(sync=True)
        self._close_file()

    def _write(self) -> None:
        if not self._waiting or self._descriptor is None:
            return
        entries = array("Q", [number_of(key) for keys in self._waiting for key in keys])
        length = os.fstat(self._descriptor).st_size
        written = os.write(self._descriptor, entries)
        if written < len(entries) * ENTRY_BYTES:  # the disk is full; a reader ignores what is no whole entry
            os.ftruncate(self._descriptor, length)
            raise OSError(errno.ENOSPC, "only a part could be written", str(self._directory))
        self._waiting, self._count = [], 0

    def _sync(self, now: float) -> None:
        if self._descriptor is None or self._waiting:
            return
        os.fdatasync(self._descriptor)
        mark = Mark(self._spool_id, self._seq, self._dropped, tuple(self._starts))
        replace_json(self._directory / _MARK, mark._asdict())
        self._synced_at = now

    def _rotate(self, now: float) -> None:
        self._sync(now)
        self._begin_file(float(int(now)))
        sync_directory(self._directory)
        self._trim(now)

    def _open(self, start: float) -> None:
        self._close_file()
        path = self._directory / file_name(start)
        descriptor = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        length = os.fstat(descriptor).st_size
        if length % ENTRY_BYTES:
            os.ftruncate(descriptor, length - length % ENTRY_BYTES)  # a killed process left a part of an entry
        self._descriptor = descriptor

    def _begin_file(self, start: float) -> None:
        self._open(start)
        self._starts.append(start)

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _restart(self, reason: str) -> None:
        """Begin anew: nothing is known about what was captured before now."""
        self._close_file()
        old = index_files(self._directory)
        if old:
            log.warning("name_index_restarted", stream=self._stream, reason=reason, files=len(old), hint=_RESTARTED)
        self._remove(old)
        self._starts = []
        make_directory(self._directory)
        (self._directory / _MARK).unlink(missing_ok=True)
        # only names of whole seconds later are surely in it
        self._begin_file(float(int(self._clock()) + 1))
        self._broken = False
        self._synced_at = float("-inf")

    def _trim(self, now: float) -> None:
        """Delete the oldest files beyond the limits."""
        files = index_files(self._directory)
        sizes = [file.entries() * ENTRY_BYTES for file in files]
        excess = sum(sizes) - KEEP_BYTES
        old: list[IndexFile] = []
        for file, size in zip(files[:-1], sizes, strict=False):
            if excess <= 0 and file.end >= now - KEEP_S:
                break
            old.append(file)
            excess -= size
        if old:
            self._starts = self._starts[len(old) :]
            self._sync(now)  # before they are gone: a killed process leaves files that the next one deletes
            names = self._remove(old)
            log.info("name_index_trimmed", stream=self._stream, files=len(old), names=names, dropped=self._dropped)

    def _remove(self, files: Sequence[IndexFile]) -> int:
        names = 0
        for file in files:
            names += file.entries()
            file.path.unlink(missing_ok=True)
        self._dropped += names
        return names

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            log.warning("name_index_not_written", stream=self._stream, error=str(error), hint=_NOT_WRITTEN)
        self._failing = True

    def _read_mark(self) -> Mark | None:
        try:
            stored = json.loads((self._directory / _MARK).read_text(encoding="utf-8"))
            starts = tuple(map(float, stored["starts"]))
            return Mark(str(stored["spool_id"]), int(stored["seq"]), int(stored["dropped"]), starts)
        except (OSError, ValueError, TypeError, KeyError):
            return None


_RESTARTED = "the audit judges only what is captured from now on"
_NOT_WRITTEN = "the audit waits; capture continues. Free disk space, or correct the rights of the directory"
