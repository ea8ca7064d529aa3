"""Dead letters on their way again: read from publisher.db in the order in which they were asked for.

To the publisher they are one more spool. So the position, the transactions and the marks that keep a record from
getting lost or repeated hold for them too.
"""

import sqlite3
from pathlib import Path

from core.positions import publisher_path
from core.spool import Row
from core.sqlite import connect_readonly, error_code

#: The name of this spool among the streams.
RESENDS = "dead-letters"

#: Of so many rows before the last ones that were read it is known where they come from; more are never on their way.
_REMEMBERED = 100_000

_ROWS = "SELECT resends.seq, key, value, schema, stream, dead_letters.seq FROM resends"
_ROWS += " JOIN dead_letters ON dead_letters.id = letter WHERE resends.seq > ? ORDER BY resends.seq LIMIT ?"


class ResendReader:
    """What was asked for again, with the methods of a `core.spool.SpoolReader`."""

    stream = RESENDS

    def __init__(self, path: Path, connection: sqlite3.Connection, spool_id: str, identity: tuple[int, int]) -> None:
        self.spool_id = spool_id
        self._path = path
        self._connection = connection
        self._identity = identity
        self._origins: dict[int, tuple[str, int]] = {}

    @classmethod
    def open(cls, state_dir: Path) -> "ResendReader | None":
        """Open publisher.db, or return None while nothing is asked for. Raises sqlite3.DatabaseError."""
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
        """Tell whether the file was replaced."""
        return _identity(self._path) != self._identity

    def last_seq(self) -> int:
        """Return the highest seq ever given, 0 for none."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'resends'").fetchone()
        return int(row[0]) if row else 0

    def read(self, after: int, limit: int) -> list[Row]:
        """Return at most `limit` rows with seq > `after`, ascending."""
        return [Row._make(row) for row in self.read_plain(after, limit)]

    def read_plain(self, after: int, limit: int) -> list[tuple[int, bytes, bytes, str]]:
        """Do the same as `read` without names for the fields."""
        rows = self._connection.execute(_ROWS, (after, limit)).fetchall()
        self._origins |= {row[0]: (row[4], row[5]) for row in rows}
        for seq in [seq for seq in self._origins if seq <= after - _REMEMBERED]:
            del self._origins[seq]
        return [row[:4] for row in rows]

    def waiting_after(self, seq: int) -> int:
        """Return how many stand beyond `seq`."""
        return int(self._connection.execute("SELECT count(*) FROM resends WHERE seq > ?", (seq,)).fetchone()[0])

    def cursor(self) -> dict[str, object]:
        """Return nothing: only a stream has one."""
        return {}

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
