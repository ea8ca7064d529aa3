"""The tables of a spool file, version by version: each step brings a file from one version to the next.

A new file goes through all steps as well, so that there is only one way to the tables.
"""

import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

from core.errors import PermanentError
from core.spool.known_names import count_names, write_names_check
from core.spool.old_names import OLD_NAMES
from core.spool.stream_state import upgraded_rows
from core.storage.sqlite import transaction

_FIRST = """
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
CREATE INDEX seen_by_age ON seen (bucket, created);
CREATE TABLE cursor (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL                      -- JSON
) WITHOUT ROWID;
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY,
    subreddits TEXT NOT NULL,                -- JSON list
    start REAL,
    "end" REAL NOT NULL,
    reason TEXT NOT NULL,
    recorded_at REAL NOT NULL,
    epoch INTEGER NOT NULL,
    pending TEXT NOT NULL,                   -- JSON list
    unproven TEXT NOT NULL,                  -- JSON list
    found INTEGER NOT NULL,
    repaired_at REAL
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rejects (id INTEGER PRIMARY KEY, at REAL NOT NULL, reason TEXT NOT NULL, raw BLOB NOT NULL);
"""

#: A gap has a state, and may have no end.
_GAPS = """
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
)
"""

#: Columns of `gaps` in version 1; the last one was repaired_at.
_GAP_COLUMNS_1 = 11


def upgraded_gap(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row of `gaps` in the form of the current version."""
    if len(row) != _GAP_COLUMNS_1:
        return row
    *kept, repaired_at = row
    recorded_at, pending = row[5], row[7]
    if repaired_at is not None:
        return (*kept, "repaired", repaired_at, None)
    return (*kept, "open", None, None) if pending != "[]" else (*kept, "lost", recorded_at, None)


def _make_tables(connection: sqlite3.Connection) -> None:
    """Create version 1."""
    for statement in filter(str.strip, _FIRST.split(";\n")):
        connection.execute(statement)


def _give_gaps_a_state(connection: sqlite3.Connection) -> None:
    """Migrate the ledger from version 1 to 2."""
    rows = connection.execute("SELECT * FROM gaps ORDER BY id").fetchall()
    connection.execute("DROP TABLE gaps")
    connection.execute(_GAPS)
    for row in map(upgraded_gap, rows):
        connection.execute(f"INSERT INTO gaps VALUES ({', '.join('?' for _ in row)})", row)  # noqa: S608


def _count_the_names(connection: sqlite3.Connection) -> None:
    """Migrate the names from version 2 to 3: a checksum instead of an index detects missing ones."""
    connection.execute("DROP INDEX IF EXISTS seen_by_age")
    write_names_check(connection, count_names(connection))


def _give_subreddits_rows(connection: sqlite3.Connection) -> None:
    """Migrate the cursor from version 3 to 4: the proven values of each subreddit have their own rows."""
    rows = upgraded_rows(dict(connection.execute("SELECT key, value FROM cursor")))
    connection.execute("DELETE FROM cursor")
    connection.executemany("INSERT INTO cursor VALUES (?, ?)", rows.items())


def _add_old_names(connection: sqlite3.Connection) -> None:
    """Migrate from version 4 to 5: older names move to their own table, and subreddits may share rows in the cursor."""
    for statement in OLD_NAMES:
        connection.execute(statement)


#: The step at index n creates version n + 1.
_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _make_tables,
    _give_gaps_a_state,
    _count_the_names,
    _give_subreddits_rows,
    _add_old_names,
)

VERSION = len(_STEPS)


def ensure_schema(connection: sqlite3.Connection, stream: str) -> str:
    """Create the tables in a new file, or migrate an older one; return its spool_id.

    Raises PermanentError for a file of a newer version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise PermanentError(
            f"the spool of the {stream} has version {version}, this program knows {VERSION}: start a newer Gapless"
        )
    if version < VERSION:
        with transaction(connection):
            for step in _STEPS[version:]:
                step(connection)
            if version == 0:
                names = [("spool_id", uuid.uuid4().hex), ("stream", stream)]
                connection.executemany("INSERT INTO meta VALUES (?, ?)", names)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    row = connection.execute("SELECT value FROM meta WHERE key = 'spool_id'").fetchone()
    return str(row[0])
