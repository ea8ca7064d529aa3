"""The only writer of a spool: appends records, stores state, prunes; one transaction per step of the stream."""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import structlog

from core.errors import TransientError
from core.spool.batch_tables import write_batch
from core.spool.committed_positions import read_known_streams, read_positions
from core.spool.content import Content
from core.spool.followed_positions import read_followed
from core.spool.group_rows import GroupRows
from core.spool.known_names import SeenNames, delete_names, insert_names, load_seen_names, select_unknown, unprove_names
from core.spool.loss import FoundSpool, Loss, assess, proven_moments, record_loss
from core.spool.model import Batch, Gap
from core.spool.old_names import count_old_names, delete_old_names, find_names, forget_oldest, move_names
from core.spool.predecessor import mark
from core.spool.pruning import KEEP_REJECTS, delete_records, delete_rejects
from core.spool.recovery import Expected, examine, make_database, open_database, rescue
from core.spool.spool_files import report_suspect, spool_path, suspect_path
from core.spool.spool_reader import read_gaps
from core.spool.spool_state import read_last_seq, read_predecessor, remembered_states, write_commits, write_progress
from core.spool.stream_state import StreamState, entries_of, rows_of
from core.spool.writer_lock import TAKEOVER_TIMEOUT, LockHeld, SpoolLock, SpoolNote
from core.storage.file_guard import FileChange, FileGuard
from core.storage.sqlite import is_disk_failure, is_unreadable, transaction

#: Seconds that a new writer waits for an ending predecessor to release the file.
_TAKEOVER_TIMEOUT = TAKEOVER_TIMEOUT

log = structlog.stdlib.get_logger(__name__)


class SpoolError(TransientError):
    """The spool could not store a batch (disk full, locked, broken): nothing of it was written, no position moved."""


class SpoolBroken(SpoolError):
    """The file or its disk is broken: end the process; the next start checks it, and moves a broken file aside."""


class SpoolGone(SpoolBroken):
    """The file is no longer at its path, and its content was not saved completely: the next start records a gap."""


class SpoolWriter:
    """Write access to one stream's spool; holds a lock that ends with the process.

    The file may be deleted, moved, replaced or overwritten while it is open. Each change, and `check`, first checks
    whether it is still at its path. If not, nothing more is written to it: its content is copied from the open file
    into a new one at the path, and the writer continues with that.

    Args:
        state_dir: the folder of the spool; created if necessary.
        stream: its name.
        subreddits: as configured, for the gap that is recorded if the former file is lost.
        followed: the process `changes` reads the rows too: they are kept until it has, within limits.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state_dir: Path,
        stream: str,
        *,
        subreddits: Sequence[str] = (),
        followed: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.stream = stream
        self._state_dir = state_dir
        self._subreddits = tuple(subreddits)
        self._followed = followed
        self._clock = clock
        self._failure: SpoolBroken | None = None
        self._save_failed = False
        self._closed = False
        self._mutex = threading.RLock()
        self._path = spool_path(state_dir, stream)
        with contextlib.ExitStack() as undo:
            try:
                self._lock = SpoolLock(self._path.with_suffix(".lock"), _TAKEOVER_TIMEOUT)
            except LockHeld as error:
                raise SpoolError(str(error)) from None
            undo.callback(self._lock.close)
            try:
                examine(state_dir, stream, clock())
                self._open()
                undo.callback(self._connection.close)
                self._write_note()
            except sqlite3.Error as error:
                raise self._explained(error) from error
            undo.pop_all()

    def _open(self) -> None:
        """Open the file, or create it; record a gap if the one that its last writer left is lost."""
        if not self._path.exists():
            loss = self._assess(FoundSpool("", 0, 0, fresh=True))
            make_database(self._state_dir, self.stream, lambda connection: self._begin(connection, loss))
            self._connect()
            return
        self._connect()
        try:
            content, predecessor = self._content, read_predecessor(self._connection)
            found = FoundSpool(
                self.spool_id, content.commits, content.last_seq, content.records, predecessor=predecessor
            )
            self._record(self._connection, self._assess(found))
        except BaseException:
            self._connection.close()
            raise

    def _connect(self) -> None:
        self._connection, self.spool_id = open_database(self._state_dir, self.stream)
        self._read_content(self._connection)
        self._guard = FileGuard(self._path, sole_writer=True)
        self._guard.learn()

    def _read_content(self, connection: sqlite3.Connection) -> None:
        self._content = Content.read(connection)
        self._groups = GroupRows(dict(connection.execute("SELECT key, value FROM cursor")))

    def _assess(self, found: FoundSpool) -> Loss | None:
        positions = read_positions(self._state_dir)
        states = remembered_states(self._state_dir, self.stream)
        known_before = self.stream in read_known_streams(self._state_dir)
        return assess(found, self._lock.read_note(), states, positions, known_before=known_before)

    def _begin(self, connection: sqlite3.Connection, loss: Loss | None) -> None:
        """Fill a new spool with what is known of the previous one; if nothing is known, the topic decides."""
        self._record(connection, loss)
        if not proven_moments(connection):
            with transaction(connection):
                mark(connection, lost=loss is not None)

    def _record(self, connection: sqlite3.Connection, loss: Loss | None) -> None:
        if loss is None:
            return
        with transaction(connection):
            start = record_loss(connection, loss, self._subreddits, self._clock())
        log.error(
            "spool_lost",
            path=str(self._path),
            reason=loss.reason,
            lost_from=start,
            hint="the interval is recorded as a gap, and read again as far as Reddit still lists it",
        )
        if connection is getattr(self, "_connection", None):
            self._read_content(connection)
            self._guard.wrote()

    def _write_note(self) -> None:
        content = self._content
        self._lock.write_note(SpoolNote(self.spool_id, content.commits, content.last_seq, content.records))

    def check(self) -> None:
        """Check that the file is still at its path; if not, save its content into a new one. Costs a few stats.

        Call it about twice a second: the next change may be minutes away. Raises SpoolGone when the process must start
        again, and SpoolError while nothing can be saved (the directory cannot be created, the disk is full): what was
        captured stays readable in the open file, and the next call retries.
        """
        with self._mutex:
            self._raise_failure()
            self._check_place()

    def _check_place(self) -> None:
        try:
            fault = self._guard.change()
            if fault is FileChange.CHANGED and self._has_own_content():
                fault = None
            if fault is None and not self._lock.is_gone():
                return
            self._save(fault)
        except LockHeld as error:
            self._failure = SpoolGone(f"{self._path}: {error}; this process stops writing")
            raise self._failure from None
        except (OSError, sqlite3.Error) as error:
            if not self._save_failed:
                log.error(  # noqa: TRY400 (understood)
                    "spool_not_saved",
                    path=str(self._path),
                    error=str(error),
                    hint="capture waits; the content stays in the open file until this process ends",
                )
            self._save_failed = True
            raise SpoolError(
                f"{self._path} is gone and cannot be created again ({error}): make its directory writable; "
                "capture waits"
            ) from error
        self._save_failed = False

    def _save(self, fault: FileChange | None) -> None:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        if self._lock.ensure():
            log.warning("spool_lock_gone", path=str(self._path), hint="its file was removed; the lock is taken again")
        if fault is None:
            return
        log.error(
            "spool_file_lost", path=str(self._path), fault=fault.value, hint="the content of the open file is saved"
        )
        expected = Expected(self.stream, self.spool_id, self._content.commits, self._content.last_seq)
        whole = rescue(self._connection, self._state_dir, expected, fault, self._clock)
        self._connection.close()  # its file has another name now, or none: SQLite must write nothing to it
        self._connect()
        self._write_note()
        if not whole:
            self._failure = SpoolGone(f"{self._path}: {fault}; a part could not be saved; the process restarts")
            raise self._failure
        log.warning("spool_saved", path=str(self._path), last_seq=self._content.last_seq, hint="no content is lost")

    def _has_own_content(self) -> bool:
        """Return whether the file holds what we wrote, although another program wrote into it (or touched it)."""
        version = self._content.data_version
        if not self._content.is_in(self._connection):
            return False
        self._guard.wrote()
        if self._content.data_version == version:  # else another program's own transaction
            log.warning("spool_touched", path=str(self._path), hint="by another program; the content is unchanged")
        return True

    def last_seq(self) -> int:
        """Return the highest seq ever assigned, 0 for none."""
        with self._mutex:
            return read_last_seq(self._connection)

    def load_seen(self) -> SeenNames:
        """Return every remembered name with its epoch (0: met, not yet proven) and bucket, in the order of meeting."""
        with self._reading():
            return load_seen_names(self._connection)

    def unknown_names(self, names: Sequence[str]) -> list[str]:
        """Return those of the names that are not stored, in their order."""
        with self._reading():
            return select_unknown(self._connection, names)

    def waiting_names(self) -> list[tuple[str, str, float]]:
        """Return of each record that the publisher has not processed: key, subreddit and created_utc (0: none)."""
        query = (
            "SELECT CAST(key AS TEXT), coalesce(json_extract(CAST(value AS TEXT), '$.subreddit'), ''),"
            " coalesce(json_extract(CAST(value AS TEXT), '$.created_utc'), 0) FROM records WHERE seq > ? ORDER BY seq"
        )
        try:
            position = read_positions(self._state_dir).get(self.spool_id, 0)
        except sqlite3.Error as error:
            raise SpoolError(f"the delivered position cannot be read now ({error})") from error
        with self._reading():
            return self._connection.execute(query, (position,)).fetchall()

    def keys_after(self, seq: int) -> list[bytes]:
        """Return the keys of the rows with a greater seq, in their order."""
        with self._reading():
            rows = self._connection.execute("SELECT key FROM records WHERE seq > ? ORDER BY seq", (seq,))
            return [key for (key,) in rows]

    def oldest_seen(self, buckets: Collection[str]) -> dict[str, tuple[int, float]]:
        """Return of each of these buckets: the number of its names, and when the first of them was met.

        Infinity if the time of one is unknown.
        """
        query = (
            "SELECT bucket, count(*), iif(min(created) > 0, min(created), 9e999)"
            " FROM (SELECT * FROM seen UNION ALL SELECT * FROM old_names)"
            " WHERE bucket IN (SELECT value FROM json_each(?)) GROUP BY bucket"
        )
        with self._reading():
            rows = self._connection.execute(query, (json.dumps(list(buckets)),))
            return {bucket: (int(count), float(oldest)) for bucket, count, oldest in rows}

    def load_proven(self, bucket: str, before_epoch: int, count: int) -> list[str]:
        """Return names of the bucket that were proven before this stretch of coverage, those met last first."""
        query = (
            "SELECT name FROM (SELECT * FROM seen WHERE bucket = ?1 UNION ALL "
            "SELECT * FROM old_names WHERE bucket = ?1) WHERE epoch > 0 AND epoch < ?2 ORDER BY created DESC LIMIT ?3"
        )
        with self._reading():
            return [name for (name,) in self._connection.execute(query, (bucket, before_epoch, count))]

    def find_old(self, names: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Return the epoch and the bucket of those of these names that are no longer in the table of recent ones."""
        with self._reading():
            return find_names(self._connection, names)

    def count_old(self) -> dict[str, int]:
        """Return the number of older names of each bucket."""
        with self._reading():
            return count_old_names(self._connection)

    def count_seen(self, since: float, now: float) -> list[tuple[str, int, int]]:
        """Return how many names were met after `since` (epoch seconds): bucket, whole minutes before `now`, number."""
        query = (
            "SELECT bucket, CAST((? - created) / 60 AS INTEGER) AS minutes, count(*) FROM seen "
            "WHERE created BETWEEN ? AND ? GROUP BY bucket, minutes"
        )
        with self._reading():
            return self._connection.execute(query, (now, since, now)).fetchall()

    def load_cursor(self) -> dict[str, object]:
        """Return the stored cursor."""
        with self._reading():
            return entries_of(self._connection.execute("SELECT key, value FROM cursor"))

    def load_state(self) -> StreamState:
        """Return the stream's state besides records, names and gaps."""
        return StreamState.read(self.load_cursor())

    def load_gaps(self) -> list[Gap]:
        """Return the loss ledger."""
        with self._reading():
            return read_gaps(self._connection, self.stream)

    def counters(self) -> dict[str, int]:
        """Return the durable counters."""
        with self._reading():
            return dict(self._connection.execute("SELECT name, value FROM counters"))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._mutex:
                yield
        except (sqlite3.Error, ValueError) as error:
            raise self._explained(error) from error

    def commit(self, batch: Batch) -> int:
        """Write the batch in one durable transaction and return the last seq; new gaps get their `id`.

        Raises SpoolError when nothing of it was written; the caller keeps its position and retries. Raises
        SpoolBroken when the disk failed: the next process reads what it holds; this one does not guess.
        """
        with self._mutex:
            self.check()
            try:
                known = self._content.cursor
                groups, entries = self._groups.rows(batch.cursor)
                rows = groups | rows_of(entries)
                cursor = {key: text for key, text in rows.items() if known.get(key, "") != text}
                with transaction(self._connection) as connection:
                    names = self._content.names
                    if batch.forget:
                        names = delete_names(connection, batch.forget, names)
                        delete_old_names(connection, batch.forget)
                    if batch.unprove_buckets:
                        unprove_names(connection, batch.unprove_buckets)
                    names = insert_names(connection, batch.seen, names)
                    gap_ids = write_batch(connection, batch, cursor, self._clock())
                    write_progress(connection, self._content.commits + 1, names)
                    last_seq = self.last_seq()
            except sqlite3.Error as error:
                raise self._explained(error) from error
            finally:
                self._guard.wrote()
            self._content.committed(batch, cursor, last_seq, names)
            self._groups.committed()
            self._write_note()
        # not earlier: a gap with the id of a failed transaction would be lost at the next attempt
        for gap, gap_id in zip(batch.gaps, gap_ids, strict=True):
            gap.id = gap_id
        return last_seq

    def prune(
        self,
        forget: Collection[str] = (),
        *,
        old: Collection[str] = (),
        forget_old: Mapping[str, int] | None = None,
    ) -> None:
        """Delete acknowledged rows by age and count, and names.

        Args:
            forget: recent names to delete, each given once.
            old: recent names that become older ones, each given once.
            forget_old: how many of the oldest names of a bucket to delete.
        """
        if suspect_path(self._state_dir, self.stream).exists():
            raise SpoolBroken("a reader reported a broken spool: the process restarts, and examines it")
        with self._mutex:
            self.check()
            position = self._delivered()
            try:
                self._prune_records(position)
                self._prune_rejects()
                self._forget(forget)
                self._move(old, forget_old or {})
            except sqlite3.Error as error:
                raise self._explained(error) from error
            finally:
                self._guard.wrote()

    def _delivered(self) -> int:
        """Return the seq up to which the publisher has durably recorded delivery; nothing beyond it may be deleted."""
        try:
            return read_positions(self._state_dir).get(self.spool_id, 0)
        except sqlite3.Error as error:
            log.warning(
                "positions_unreadable", error=str(error), hint="delivered records are kept until it can be read"
            )
            return 0

    def _follower_position(self, position: int) -> int:
        """Return the seq up to which acknowledged rows have been read by the process `changes`, too."""
        if not self._followed:
            return position
        try:
            return min(position, read_followed(self._state_dir).get(self.spool_id, 0))
        except sqlite3.Error as error:
            log.warning("follower_unreadable", error=str(error), hint="delivered records are kept until it can be read")
            return 0

    def _prune_records(self, position: int) -> None:
        followed, now = self._follower_position(position), self._clock()
        with transaction(self._connection) as connection:
            deleted = delete_records(connection, delivered=position, followed=followed, now=now)
            if deleted.records:
                write_commits(connection, self._content.commits + 1)
        if deleted.unfollowed:
            hint = "the process changes has not read these records in time: their later changes are not reported"
            log.error("changes_unfollowed", stream=self.stream, count=deleted.unfollowed, hint=hint)
        if deleted.records:
            self._content.commits += 1
            self._content.records -= deleted.records
            self._write_note()
        # each page is a separate step, and `execute` runs only the first one
        self._connection.executescript("PRAGMA incremental_vacuum(2000)")

    def _prune_rejects(self) -> None:
        """Delete the oldest rejects beyond the limits, and count them."""
        with transaction(self._connection) as connection:
            dropped = delete_rejects(connection)
        if dropped:
            log.warning("rejects_dropped", stream=self.stream, count=dropped, kept=KEEP_REJECTS)

    def _forget(self, names: Collection[str]) -> None:
        if not names:
            return
        with transaction(self._connection) as connection:
            left = delete_names(connection, names, self._content.names)
        self._content.names = left

    def _move(self, old: Collection[str], forget_old: Mapping[str, int]) -> None:
        if not old and not forget_old:
            return
        with transaction(self._connection) as connection:
            left = move_names(connection, old, self._content.names)
            forget_oldest(connection, forget_old)
        self._content.names = left

    def _raise_failure(self) -> None:
        """Never continue on a connection whose disk failed: a repeated fsync would report success for lost data."""
        if self._failure is not None:
            raise self._failure

    def _explained(self, error: sqlite3.Error | ValueError) -> SpoolError:
        path = spool_path(self._state_dir, self.stream)
        if isinstance(error, ValueError) or is_unreadable(error):
            # the disk may have no space for the marker: then the next read of the file finds the same error
            with contextlib.suppress(OSError):
                report_suspect(self._state_dir, self.stream)
            self._failure = SpoolBroken(f"{path} is broken ({error}): the process restarts, and moves it aside")
            return self._failure
        if is_disk_failure(error):
            self._failure = SpoolBroken(
                f"{path}: the disk failed ({error}): check it, and its free space; "
                "the process restarts with the stored content"
            )
            return self._failure
        return SpoolError(
            f"{path} cannot be written ({error}): free disk space, or end the process that locks it; capture waits"
        )

    def close(self) -> None:
        """Close the file and release the lock. Closing writes too, so the path is checked first."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                if self._failure is None:
                    with contextlib.suppress(SpoolError):
                        self.check()
                self._connection.close()
            finally:
                self._lock.close()

    def __enter__(self) -> "SpoolWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
