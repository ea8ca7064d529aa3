"""The tables of a spool file."""

import sqlite3
import uuid

from core.errors import PermanentError
from core.sqlite import transaction

VERSION = 1

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


def ensure_schema(connection: sqlite3.Connection, stream: str) -> str:
    """Make the tables in a new file; return its spool_id. Raises PermanentError for a file of a newer version."""
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
            connection.execute(f"PRAGMA user_version = {VERSION}")
    row = connection.execute("SELECT value FROM meta WHERE key = 'spool_id'").fetchone()
    return str(row[0])
