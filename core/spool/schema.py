"""The tables of a spool file."""

import sqlite3
import uuid
from typing import Any

from core.errors import PermanentError
from core.spool.names import NamesCheck, count_names, write_names_check
from core.sqlite import transaction

VERSION = 3

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,   -- AUTOINCREMENT: pruned numbers never come back
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    schema TEXT NOT NULL,
    captured_at REAL NOT NULL
);
CREATE TABLE seen (
    name TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    created REAL NOT NULL,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX seen_unproven ON seen (epoch) WHERE epoch = 0;
CREATE TABLE cursor (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL                      -- JSON
) WITHOUT ROWID;
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    subreddits TEXT NOT NULL,                -- JSON list
    start REAL,
    "end" REAL,                              -- NULL: the subreddit is unavailable, the gap still grows
    reason TEXT NOT NULL,
    recorded_at REAL NOT NULL,
    epoch INTEGER NOT NULL,
    pending TEXT NOT NULL,                   -- JSON list
    unproven TEXT NOT NULL,                  -- JSON list
    found INTEGER NOT NULL,
    state TEXT NOT NULL,                     -- open, repaired, filled, lost
    closed_at REAL,
    late_from REAL                           -- late items may be missing from here to start
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rejects (id INTEGER PRIMARY KEY, at REAL NOT NULL, reason TEXT NOT NULL, raw BLOB NOT NULL);
"""

_GAPS = next(statement for statement in _TABLES.split(";\n") if "CREATE TABLE gaps" in statement)


#: Columns of `gaps` in version 1; the last one was repaired_at.
_GAP_COLUMNS_1 = 11


def upgraded_gap(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row of `gaps` as the current version has it."""
    if len(row) != _GAP_COLUMNS_1:
        return row
    *kept, repaired_at = row
    recorded_at, pending = row[5], row[7]
    if repaired_at is not None:
        return (*kept, "repaired", repaired_at, None)
    return (*kept, "open", None, None) if pending != "[]" else (*kept, "lost", recorded_at, None)


def ensure_schema(connection: sqlite3.Connection, stream: str) -> str:
    """Make the tables in a new file, or bring an older one up to date; return its spool_id.

    Raises PermanentError for a file of a newer version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise PermanentError(
            f"the spool of the {stream} has version {version}, this program knows {VERSION}: start a newer Gapless"
        )
    if version == 0:
        with transaction(connection):
            for statement in _TABLES.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)", [("spool_id", uuid.uuid4().hex), ("stream", stream)]
            )
            write_names_check(connection, NamesCheck())
            connection.execute(f"PRAGMA user_version = {VERSION}")
    elif version < VERSION:
        with transaction(connection):
            if version < 2:
                _give_gaps_a_state(connection)
            _count_the_names(connection)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    row = connection.execute("SELECT value FROM meta WHERE key = 'spool_id'").fetchone()
    return str(row[0])


def _give_gaps_a_state(connection: sqlite3.Connection) -> None:
    """Bring the ledger from version 1 to 2: a gap has a state, and may have no end."""
    rows = connection.execute("SELECT * FROM gaps ORDER BY id").fetchall()
    connection.execute("DROP TABLE gaps")
    connection.execute(_GAPS)
    for row in map(upgraded_gap, rows):
        connection.execute(f"INSERT INTO gaps VALUES ({', '.join('?' for _ in row)})", row)  # noqa: S608


def _count_the_names(connection: sqlite3.Connection) -> None:
    """Bring the names from version 2 to 3: a checksum tells when some are missing, and no index does any more."""
    connection.execute("DROP INDEX IF EXISTS seen_by_age")
    write_names_check(connection, count_names(connection))
