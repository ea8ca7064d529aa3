"""Reads a spool while another process writes it."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from core.spool.model import Gap, GapState, Row
from core.spool.schema import upgraded_gap
from core.spool.spool_files import has_no_header, spool_path
from core.spool.spool_state import SpoolState, read_last_seq, read_spool_state
from core.spool.stream_state import ShardNote, StreamState, entries_of
from core.storage.file_guard import file_identity
from core.storage.sqlite import connect_readonly, error_code

#: A portion of rows ends with the one that reaches this size (bytes of the values): a few may be large.
READ_BYTES = 8 << 20

_T = TypeVar("_T", bound=tuple[Any, ...])


def portion(rows: Iterable[_T]) -> list[_T]:
    """Return the first of these rows (seq, key, value, …), as many as fit in a portion, and at least one."""
    taken: list[_T] = []
    left = READ_BYTES
    for row in rows:
        taken.append(row)
        left -= len(row[2])
        if left <= 0:
            break
    return taken


class SpoolReader:
    """A read-only view of one stream's spool; each call reads what is committed at that moment."""

    #: its rows belong to this stream
    renumbers = False

    def __init__(
        self, path: Path, stream: str, connection: sqlite3.Connection, spool_id: str, identity: tuple[int, int]
    ) -> None:
        self.stream = stream
        self.spool_id = spool_id
        self._path = path
        self._connection = connection
        self._identity = identity

    @classmethod
    def open(cls, state_dir: Path, stream: str) -> "SpoolReader | None":
        """Open the stream's spool, or return None while there is none (not created, or not repaired yet).

        Raises sqlite3.DatabaseError when it exists but cannot be read.
        """
        path = spool_path(state_dir, stream)
        # checked before and after: a file replaced in between would be read under its successor's identity
        identity = file_identity(path)
        if identity is None or has_no_header(path):
            return None
        connection: sqlite3.Connection | None = None
        try:
            connection = connect_readonly(path)
            row = connection.execute("SELECT value FROM meta WHERE key = 'spool_id'").fetchone()
            if row is not None and file_identity(path) == identity:
                return cls(path, stream, connection, str(row[0]), identity)
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            # without its tables, or gone since the check: there is nothing to read
            if file_identity(path) == identity and error_code(error) != sqlite3.SQLITE_ERROR:
                raise
            return None
        connection.close()
        return None

    @property
    def source_id(self) -> str:
        """The id under which each sink's position in this spool is stored."""
        return self.spool_id

    def origin(self, _seq: int) -> tuple[str, int] | None:
        """Return None: the rows belong to this stream."""
        return None

    def moved(self) -> bool:
        """Return whether the file was replaced (moved aside, deleted): close this reader and open a new one."""
        return file_identity(self._path) != self._identity

    def last_seq(self) -> int:
        """Return the highest seq ever assigned, 0 for none; pruned rows count."""
        return read_last_seq(self._connection)

    def state(self) -> SpoolState:
        """Return the spool's state (everything besides its records) at one moment."""
        return read_spool_state(self._connection)

    def read(self, after: int, limit: int) -> list[Row]:
        """Return at most `limit` rows with seq > `after`, ascending; fewer where they are large (`READ_BYTES`)."""
        return [Row._make(row) for row in self.read_plain(after, limit)]

    def read_plain(self, after: int, limit: int) -> list[tuple[int, bytes, bytes, str]]:
        """Return the same as `read`, as plain tuples, a third faster: for the publisher's inner loop."""
        rows = self._connection.execute(
            "SELECT seq, key, value, schema FROM records WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        with closing(rows):
            return portion(rows)

    def waiting_after(self, seq: int) -> int:
        """Return the number of rows beyond the acknowledged `seq`; rows are numbered without holes from a base.

        Counts up to the last existing row: rows lost with a broken file do not count as waiting.
        """
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'base_seq'").fetchone()
        last = self._connection.execute("SELECT max(seq) FROM records").fetchone()[0] or 0
        return max(0, last - max(seq, int(row[0]) if row else 0))

    def gaps(self) -> list[Gap]:
        """Return the loss ledger, oldest entry first."""
        return read_gaps(self._connection, self.stream)

    def counters(self) -> dict[str, int]:
        """Return the stream's durable counters; they never decrease while the file exists."""
        return dict(self._connection.execute("SELECT name, value FROM counters"))

    def inherited(self) -> dict[str, int]:
        """Return the counters (and the number of `gaps`) copied from a broken file, where they were already counted."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'inherited'").fetchone()
        return dict(json.loads(row[0])) if row else {}

    def cursor(self) -> dict[str, object]:
        """Return the cursor: the stream's proven state, as the writer stored it."""
        return entries_of(self._connection.execute("SELECT key, value FROM cursor"))

    def stream_state(self) -> StreamState:
        """Return the stream's state besides records, names and gaps, at this moment."""
        return StreamState.read(self.cursor())

    def shard_notes(self) -> dict[int, ShardNote]:
        """Return the shards of this machine as the stream has noted them."""
        rows = self._connection.execute("SELECT key, value FROM cursor WHERE key = 'shards'")
        return StreamState.read(entries_of(rows)).shards

    def delivered_names(self, position: int) -> list[tuple[str, str]]:
        """Return fullname and subreddit of the remembered items up to this seq, the oldest first."""
        query = (
            "SELECT name, bucket FROM seen WHERE name NOT IN"
            " (SELECT CAST(key AS TEXT) FROM records WHERE seq > ?) ORDER BY created"
        )
        return self._connection.execute(query, (position,)).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read_gaps(connection: sqlite3.Connection, stream: str) -> list[Gap]:
    """Read the ledger over any connection to the file, also one of an older version."""
    rows = connection.execute("SELECT * FROM gaps ORDER BY id").fetchall()
    return [gap_of_row(row, stream) for row in rows]


def gap_of_row(row: Sequence[Any], stream: str) -> Gap:
    """Return the gap of a row of the table `gaps`, of any version. Raises ValueError or TypeError for any other."""
    row = upgraded_gap(tuple(row))
    return Gap(
        id=row[0],
        stream=stream,
        subreddits=tuple(json.loads(row[1])),
        start=row[2],
        end=row[3],
        reason=row[4],
        recorded_at=row[5],
        epoch=row[6],
        pending=tuple(json.loads(row[7])),
        unproven=tuple(json.loads(row[8])),
        found=row[9],
        state=GapState(row[10]),
        closed_at=row[11],
        late_from=row[12],
    )
