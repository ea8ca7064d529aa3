"""The tables of publisher.db, by version: each step migrates the file from one version to the next.

A new file also goes through all steps, so there is only one way to create the tables.
"""

import re
import sqlite3
import uuid
from collections.abc import Callable

from core.errors import PermanentError
from core.storage.sqlite import transaction

_FIRST = """
CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    spool_id TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,                  -- everything up to here is acknowledged by Kafka, or a dead letter
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    schema TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (spool_id, seq)
);
"""

#: `passed`: the position is beyond the record, so nothing sends it again.
_DEAD_LETTERS = """
ALTER TABLE dead_letters RENAME TO dead_letters_1;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the number that people use: never given twice
    stream TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    schema TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    passed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (spool_id, seq)
);
CREATE INDEX letters_not_passed ON dead_letters (spool_id, seq) WHERE passed = 0;
CREATE TABLE resends (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they leave
    letter INTEGER NOT NULL UNIQUE
);
CREATE TABLE dropped_letters (spool_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO dead_letters
    SELECT id, stream, spool_id, seq, key, value, schema, reason, at, seq <= coalesce(
        (SELECT seq FROM positions WHERE positions.spool_id = dead_letters_1.spool_id), 0) FROM dead_letters_1;
DROP TABLE dead_letters_1;
"""

#: `spool_states`: each spool's state when everything in it was delivered; its successor begins with it if it is
#: lost. `topic_ends`: what the topic held before anything of a new spool was sent, where no file shows it (see
#: core.spool.predecessor). Some files of version 2 have both.
#: `positions` shows up to where a source has reached every sink: what is before it is no longer needed.
_SINKS = """
CREATE TABLE IF NOT EXISTS spool_states (
    stream TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    commits INTEGER NOT NULL,              -- of the spool at that moment
    state TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (stream, spool_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topic_ends (spool_id TEXT PRIMARY KEY, ends TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE sinks (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE sink_positions (
    sink TEXT NOT NULL,
    spool_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,                  -- everything up to here is acknowledged by the sink, or a dead letter
    at REAL NOT NULL,
    PRIMARY KEY (sink, spool_id)
) WITHOUT ROWID;
INSERT INTO sinks VALUES ('kafka');
INSERT INTO sink_positions SELECT 'kafka', spool_id, stream, seq, at FROM positions;
DROP TABLE positions;
CREATE VIEW positions AS
    SELECT spool_id, max(stream) AS stream,
        CASE count(*) WHEN (SELECT count(*) FROM sinks) THEN min(seq) ELSE 0 END AS seq, max(at) AS at
    FROM sink_positions WHERE sink IN (SELECT name FROM sinks) GROUP BY spool_id;
"""


def _first(connection: sqlite3.Connection) -> None:
    """Create version 1."""
    _run(connection, _FIRST)


def _resend_dead_letters(connection: sqlite3.Connection) -> None:
    """Migrate version 1 to 2: dead letters can be resent, or dropped."""
    _run(connection, _DEAD_LETTERS)
    connection.execute("INSERT INTO identity VALUES ('resends', ?)", (uuid.uuid4().hex,))


def _a_position_for_each_sink(connection: sqlite3.Connection) -> None:
    """Migrate version 2 to 3: each sink has its own position; existing ones belong to Kafka."""
    _run(connection, _SINKS)


#: The step at index n creates version n + 1.
_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _resend_dead_letters, _a_position_for_each_sink)

VERSION = len(_STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the file, 0 for one without tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate the tables to the current version, inside the caller's transaction; a new file gets all of them.

    Raises:
        PermanentError: the file is of a newer version.
    """
    version = version_of(connection)
    if version > VERSION:
        raise PermanentError(f"publisher.db has version {version}, this program knows {VERSION}: use a newer Gapless")
    for step in _STEPS[version:]:
        step(connection)
    if version < VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")


def upgrade(connection: sqlite3.Connection) -> bool:
    """Migrate the tables of an older version; return whether there are any."""
    if version_of(connection) != VERSION:
        with transaction(connection):
            if version_of(connection) == 0:
                return False
            migrate(connection)
    return True


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in filter(str.strip, re.sub(r" *--.*", "", script).split(";\n")):
        connection.execute(statement)
