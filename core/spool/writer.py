"""The one writer of a spool: appends, remembers, prunes; one transaction for each step of the stream."""

import contextlib
import fcntl
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import structlog

from core.errors import TransientError
from core.positions import read_positions
from core.spool.files import report_suspect, spool_path, suspect_path
from core.spool.model import Batch, Gap
from core.spool.reader import read_gaps
from core.spool.recovery import examine, open_database
from core.sqlite import is_disk_failure, is_unreadable, transaction

#: Acknowledged rows are kept so long (seconds) and so many, for a look back; then they go.
KEEP_SECONDS = 3600.0
KEEP_ROWS = 10_000
_PRUNE_CHUNK = 5_000

#: How long a new writer waits for a dying predecessor to let go of the file, seconds.
_TAKEOVER_TIMEOUT = 10.0

log = structlog.stdlib.get_logger(__name__)


class SpoolError(TransientError):
    """The spool could not take a batch (disk full, locked, broken): nothing of it was written, nothing moved on."""


class SpoolBroken(SpoolError):
    """The file or its disk is broken: end the process, the next start reads anew, and moves a broken file aside."""


class SpoolWriter:
    """Write access to one stream's spool; holds a lock that dies with the process."""

    def __init__(self, state_dir: Path, stream: str, *, clock: Callable[[], float] = time.time) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.stream = stream
        self._state_dir = state_dir
        self._clock = clock
        self._failure: SpoolBroken | None = None
        with contextlib.ExitStack() as undo:
            self._lock = undo.enter_context(_take_lock(spool_path(state_dir, stream).with_suffix(".lock")))
            try:
                examine(state_dir, stream, clock())
                self._connection, self.spool_id = open_database(state_dir, stream)
                undo.callback(self._connection.close)
                self._never_reuse_published_numbers()
            except sqlite3.Error as error:
                raise self._explained(error) from error
            undo.pop_all()

    def _never_reuse_published_numbers(self) -> None:
        """Go on above the publisher's position, should the file have been put back from an older copy."""
        position = read_positions(self._state_dir).get(self.spool_id, 0)
        if position > self.last_seq():
            hint = "was the file put back from a copy? new records get numbers above the publisher's position"
            log.error("spool_older_than_position", position=position, last_seq=self.last_seq(), hint=hint)
            with transaction(self._connection) as connection:
                connection.execute("DELETE FROM sqlite_sequence WHERE name = 'records'")
                connection.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (position,))

    def last_seq(self) -> int:
        """Return the highest seq ever given, 0 for none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        return int(row[0]) if row else 0

    def load_seen(self) -> dict[str, int]:
        """Return every remembered name with its epoch (0: met, not yet proven)."""
        with self._reading():
            return dict(self._connection.execute("SELECT name, epoch FROM seen"))

    def load_buckets(self) -> dict[str, str]:
        """Return the bucket of every name that was met and not yet proven."""
        with self._reading():
            return dict(self._connection.execute("SELECT name, bucket FROM seen WHERE epoch = 0"))

    def load_cursor(self) -> dict[str, object]:
        """Return the stored cursor."""
        with self._reading():
            return {key: json.loads(value) for key, value in self._connection.execute("SELECT key, value FROM cursor")}

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
            yield
        except (sqlite3.Error, ValueError) as error:
            raise self._explained(error) from error

    def commit(self, batch: Batch) -> int:
        """Write the batch in one durable transaction and return the last seq; new gaps get their `id`.

        Raises SpoolError when nothing of it was written; the caller keeps its position and tries again. Raises
        SpoolBroken when the disk failed: what it holds now is read by the next process, not guessed by this one.
        """
        self._refuse_after_failure()
        try:
            with transaction(self._connection) as connection:
                gap_ids = self._apply(connection, batch)
                last_seq = self.last_seq()
        except sqlite3.Error as error:
            raise self._explained(error) from error
        # not before: a gap with the id of a transaction that failed would be lost at the next attempt
        for gap, gap_id in zip(batch.gaps, gap_ids, strict=True):
            gap.id = gap_id
        return last_seq

    def _apply(self, connection: sqlite3.Connection, batch: Batch) -> list[int | None]:
        now = self._clock()
        if batch.records:
            connection.executemany(
                "INSERT INTO records (key, value, schema, captured_at) VALUES (?, ?, ?, ?)",
                [(*record, now) for record in batch.records],
            )
        if batch.seen:
            connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", batch.seen)
        if batch.prove_epoch is not None and batch.prove_buckets is None:
            connection.execute("UPDATE seen SET epoch = ? WHERE epoch = 0", (batch.prove_epoch,))
        elif batch.prove_epoch is not None:
            connection.execute(
                "UPDATE seen SET epoch = ? WHERE epoch = 0 AND bucket IN (SELECT value FROM json_each(?))"
                " AND name NOT IN (SELECT value FROM json_each(?))",
                (batch.prove_epoch, json.dumps(batch.prove_buckets), json.dumps(batch.prove_except)),
            )
        for key, value in batch.cursor.items():
            connection.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (key, json.dumps(value)))
        gap_ids = [_store_gap(connection, gap) for gap in batch.gaps]
        if batch.rejects:
            rows = [(now, reason, raw) for reason, raw in batch.rejects]
            connection.executemany("INSERT INTO rejects (at, reason, raw) VALUES (?, ?, ?)", rows)
        for name, amount in batch.counters.items():
            connection.execute(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, amount),
            )
        return gap_ids

    def prune(self, keep_names: Callable[[str], int]) -> list[str]:
        """Drop acknowledged rows by age and count, and each bucket's oldest names; return the names dropped.

        `keep_names(bucket)` is how many of a bucket's newest names must stay: what its listing could show again.
        """
        if suspect_path(self._state_dir, self.stream).exists():
            raise SpoolBroken("a reader found the spool broken: starting again, to examine it")
        self._refuse_after_failure()
        position = self._delivered()
        try:
            self._prune_records(position)
            return self._prune_seen(keep_names)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _delivered(self) -> int:
        """Return up to where the publisher has durably recorded delivery; nothing beyond may be deleted."""
        try:
            return read_positions(self._state_dir).get(self.spool_id, 0)
        except sqlite3.Error as error:
            log.warning("positions_unreadable", error=str(error), hint="until then no delivered record is dropped")
            return 0

    def _prune_records(self, position: int) -> None:
        with transaction(self._connection) as connection:
            connection.execute(
                "DELETE FROM records WHERE seq IN (SELECT seq FROM records"
                " WHERE seq <= ? AND (seq <= ? OR captured_at < ?) ORDER BY seq LIMIT ?)",
                (position, position - KEEP_ROWS, self._clock() - KEEP_SECONDS, _PRUNE_CHUNK),
            )
        # each page is a step of its own, and `execute` takes only the first one
        self._connection.executescript("PRAGMA incremental_vacuum(2000)")

    def _prune_seen(self, keep_names: Callable[[str], int]) -> list[str]:
        dropped: list[str] = []
        with transaction(self._connection) as connection:
            buckets = connection.execute("SELECT bucket, count(*) FROM seen GROUP BY bucket").fetchall()
            for bucket, count in buckets:
                surplus = count - keep_names(bucket)
                if surplus > 0:
                    dropped += _drop_oldest(connection, bucket, surplus)
        return dropped

    def _refuse_after_failure(self) -> None:
        """Never go on over a connection whose disk failed: an fsync tried again would report success for lost data."""
        if self._failure is not None:
            raise self._failure

    def _explained(self, error: sqlite3.Error | ValueError) -> SpoolError:
        path = spool_path(self._state_dir, self.stream)
        if isinstance(error, ValueError) or is_unreadable(error):
            # the marker may find no room on the disk: then the next reading of the file says the same again
            with contextlib.suppress(OSError):
                report_suspect(self._state_dir, self.stream)
            self._failure = SpoolBroken(f"{path} is broken ({error}): starting again, to move it aside")
            return self._failure
        if is_disk_failure(error):
            self._failure = SpoolBroken(
                f"{path}: the disk failed ({error}): check it, and its free space; starting again from what it holds"
            )
            return self._failure
        return SpoolError(f"{path} cannot be written ({error}): free the disk or end what locks it; capture waits")

    def close(self) -> None:
        """Close the file and let go of the lock."""
        try:
            self._connection.close()
        finally:
            self._lock.close()

    def __enter__(self) -> "SpoolWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drop_oldest(connection: sqlite3.Connection, bucket: str, surplus: int) -> Iterable[str]:
    rows = connection.execute(
        "DELETE FROM seen WHERE name IN (SELECT name FROM seen WHERE bucket = ? AND epoch > 0"
        " ORDER BY created LIMIT ?) RETURNING name",
        (bucket, surplus),
    )
    return [name for (name,) in rows.fetchall()]


def _store_gap(connection: sqlite3.Connection, gap: Gap) -> int | None:
    """Write the ledger's entry, whether it stands there already or not, and return its id."""
    values = (
        gap.id,
        json.dumps(gap.subreddits),
        gap.start,
        gap.end,
        gap.reason,
        gap.recorded_at,
        gap.epoch,
        json.dumps(gap.pending),
        json.dumps(gap.unproven),
        gap.found,
        gap.state.value,
        gap.closed_at,
        gap.late_from,
    )
    marks = ", ".join("?" for _ in values)
    return connection.execute(f"INSERT OR REPLACE INTO gaps VALUES ({marks})", values).lastrowid  # noqa: S608


def _take_lock(path: Path) -> IO[bytes]:
    """Lock the file for this process; the kernel lets go when the process ends, however it ends."""
    handle = path.open("ab")
    deadline = time.monotonic() + _TAKEOVER_TIMEOUT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                handle.close()
                raise SpoolError(f"{path} is held by another process: end that one (see `fuser {path}`)") from None
            time.sleep(0.02)
        else:
            return handle
