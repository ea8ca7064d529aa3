"""The interface of a source, and its implementations: the spools, and the dead letters that are resent.

Dead letters to resend are read from publisher.db in the order of the requests. To the publisher they are one more
source. So the positions and transactions that protect a record from loss or repetition apply to them too.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

from core.spool import Row, SpoolReader
from core.spool.committed_positions import publisher_path
from core.spool.spool_reader import portion
from core.spool.spool_state import SpoolState
from core.spool.stream_state import ShardNote, StreamState
from core.storage.sqlite import connect_readonly, error_code
from core.stream_kinds import spool_names

#: The name of this spool among the streams.
RESENDS = "dead-letters"

#: Number of last rows whose origin is remembered; more are never in flight.
_REMEMBERED = 100_000

_ROWS = "SELECT resends.seq, key, value, schema, stream, dead_letters.seq FROM resends"
_ROWS += " JOIN dead_letters ON dead_letters.id = letter WHERE resends.seq > ? ORDER BY resends.seq LIMIT ?"

#: A row in the inner loop, where field names cost too much: seq, key, value, schema.
PlainRow = tuple[int, bytes, bytes, str]


class Source(Protocol):
    """Numbered rows that must reach every sink: a spool, dead letters that are resent, an archive file.

    The numbers ascend, are permanent, and may have holes. So one number describes up to where a sink has delivered a
    source. Several sinks can reread a source from such a position at any time.
    """

    #: the name of the stream that its records belong to
    stream: str
    #: whether its rows are records of other streams, with their own numbers there (see `origin`)
    renumbers: bool

    @property
    def source_id(self) -> str:
        """The id under which each sink's position in it is stored; a file with other rows has another id."""
        ...

    def moved(self) -> bool:
        """Return whether the file was replaced: then close this source and open it again."""
        ...

    def last_seq(self) -> int:
        """Return the highest seq ever given, 0 for none."""
        ...

    def read(self, after: int, limit: int) -> list[Row]:
        """Return at most `limit` rows with seq > `after`, ascending; fewer where they are large."""
        ...

    def read_plain(self, after: int, limit: int) -> list[PlainRow]:
        """Do the same without field names: for a sender's inner loop."""
        ...

    def waiting_after(self, seq: int) -> int:
        """Return the number of rows beyond `seq`."""
        ...

    def origin(self, seq: int) -> tuple[str, int] | None:
        """Return the stream of a row that was read, and its number there; None: the source's own."""
        ...

    def stream_state(self) -> StreamState | None:
        """Return the stream's state; None if the source is not a live stream."""
        ...

    def shard_notes(self) -> dict[int, ShardNote]:
        """Return what a stream has noted about the shards of this machine (see streams.cluster); else nothing."""
        return {}

    def delivered_names(self, _position: int, /) -> list[tuple[str, str]]:
        """Return fullname and subreddit of a stream's known items up to this position, the oldest first."""
        return []

    def state(self) -> SpoolState | None:
        """Return the source's state besides its rows, as of one moment; None: nothing to store."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


#: Opens a source; returns None while there is none. Raises sqlite3.DatabaseError if it cannot be read.
Opener = Callable[[], Source | None]


def spools(state_dir: Path) -> Mapping[str, Opener]:
    """Return the open function of each stream's spool: a stream that is now disabled may have left rows."""
    return {stream: partial(SpoolReader.open, state_dir, stream) for stream in spool_names()}


def spools_and_resends(state_dir: Path) -> Mapping[str, Opener]:
    """Return the open functions of Kafka's sources: the spools, and the dead letters that are resent."""
    return {**spools(state_dir), RESENDS: partial(ResendReader.open, state_dir)}


class ResendReader:
    """The dead letters that are resent: to the publisher they are one more source."""

    stream = RESENDS
    renumbers = True

    def __init__(self, path: Path, connection: sqlite3.Connection, source_id: str, identity: tuple[int, int]) -> None:
        self.source_id = source_id
        self._path = path
        self._connection = connection
        self._identity = identity
        self._origins: dict[int, tuple[str, int]] = {}

    @classmethod
    def open(cls, state_dir: Path) -> "ResendReader | None":
        """Open publisher.db; return None while no resend is requested. Raises sqlite3.DatabaseError."""
        path = publisher_path(state_dir)
        identity = _identity(path)
        if identity is None:
            return None
        connection = connect_readonly(path)
        try:
            row = connection.execute("SELECT value FROM identity WHERE name = 'resends'").fetchone()
            asked = connection.execute("SELECT 1 FROM resends LIMIT 1").fetchone()
            if row is not None and asked is not None and _identity(path) == identity:
                return cls(path, connection, str(row[0]), identity)
        except sqlite3.DatabaseError as error:
            connection.close()
            if error_code(error) == sqlite3.SQLITE_ERROR:  # without its tables: replaced just now
                return None
            raise
        connection.close()
        return None

    def origin(self, seq: int) -> tuple[str, int]:
        """Return the stream of a row that was read, and its number there."""
        return self._origins[seq]

    def moved(self) -> bool:
        """Return whether the file was replaced."""
        return _identity(self._path) != self._identity

    def last_seq(self) -> int:
        """Return the highest seq ever given, 0 for none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'resends'").fetchone()
        return int(row[0]) if row else 0

    def read(self, after: int, limit: int) -> list[Row]:
        """Return at most `limit` rows with seq > `after`, ascending."""
        return [Row._make(row) for row in self.read_plain(after, limit)]

    def read_plain(self, after: int, limit: int) -> list[PlainRow]:
        """Do the same as `read` without field names."""
        with closing(self._connection.execute(_ROWS, (after, limit))) as found:
            rows = portion(found)
        self._origins |= {row[0]: (row[4], row[5]) for row in rows}
        for seq in [seq for seq in self._origins if seq <= after - _REMEMBERED]:
            del self._origins[seq]
        return [row[:4] for row in rows]

    def waiting_after(self, seq: int) -> int:
        """Return the number of letters beyond `seq`."""
        return int(self._connection.execute("SELECT count(*) FROM resends WHERE seq > ?", (seq,)).fetchone()[0])

    def stream_state(self) -> StreamState | None:
        """Return None: only a stream has one."""
        return None

    def shard_notes(self) -> dict[int, ShardNote]:
        """Return nothing: only a stream has shards."""
        return {}

    def delivered_names(self, _position: int) -> list[tuple[str, str]]:
        """Return nothing: the names are those of other sources."""
        return []

    def state(self) -> SpoolState | None:
        """Return None: publisher.db itself holds everything."""
        return None

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
