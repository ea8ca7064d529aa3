"""The writer's knowledge of its spool's content: enough to detect that a copy was written over the open file."""

import sqlite3
from dataclasses import dataclass, field

from core.spool.known_names import NamesCheck, count_names, read_names_check
from core.spool.model import Batch
from core.spool.spool_state import read_commits, read_last_seq
from core.storage.sqlite import is_unreadable


@dataclass(slots=True)
class Content:
    """Counts that only the writer changes, tracked in memory."""

    commits: int
    last_seq: int
    newest: int  #: seq of the newest stored record, 0 for none
    records: int
    gaps: int
    names: NamesCheck
    #: SQLite's own number: it changes with another program's transactions
    data_version: int
    #: the rows of the cursor written by this process, as stored in the file
    cursor: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> "Content":
        """Read the counts from the file."""
        return cls(
            read_commits(connection),
            read_last_seq(connection),
            _number(connection, "SELECT coalesce(max(seq), 0) FROM records"),
            _number(connection, "SELECT count(*) FROM records"),
            _number(connection, "SELECT count(*) FROM gaps"),
            read_names_check(connection) or count_names(connection),
            _number(connection, "PRAGMA data_version"),
        )

    def committed(self, batch: Batch, cursor: dict[str, str | None], last_seq: int, names: NamesCheck) -> None:
        """Update the counts after a written batch, with the rows of the cursor that it changed."""
        self.commits += 1
        self.names = names
        self.last_seq = last_seq
        self.newest = last_seq if batch.records else self.newest
        self.records += len(batch.records)
        self.gaps += sum(gap.id is None for gap in batch.gaps) - len(batch.dropped_gaps)
        for key, text in cursor.items():
            if text is None:
                self.cursor.pop(key, None)
            else:
                self.cursor[key] = text

    def is_in(self, connection: sqlite3.Connection) -> bool:
        """Return whether the file still holds this content, although its size or time changed without us.

        True if it was only touched, and after another program's own transaction. A copy of an older state leaves
        old pages: SQLite's check finds most of them, the counts find a table that is old as a whole.
        """
        try:
            connection.execute("PRAGMA shrink_memory")  # read from the disk, not from memory
            found = Content.read(connection)
            if (found.commits, found.last_seq) != (self.commits, self.last_seq):
                return False
            if found.data_version == self.data_version and not self._is_untouched(connection, found):
                return False
        except sqlite3.DatabaseError as error:
            if not is_unreadable(error):
                raise
            return False
        self.newest, self.records, self.gaps = found.newest, found.records, found.gaps
        if found.data_version != self.data_version:
            self.names = count_names(connection)
        self.data_version = found.data_version
        return True

    def _is_untouched(self, connection: sqlite3.Connection, found: "Content") -> bool:
        cursor = dict(connection.execute("SELECT key, value FROM cursor"))
        return (
            (found.records, found.gaps) == (self.records, self.gaps)
            and (found.newest == self.newest or not found.records)
            and self.cursor.items() <= cursor.items()
            and count_names(connection) == self.names
            and connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
        )


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
