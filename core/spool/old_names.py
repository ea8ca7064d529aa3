"""The older names that a stream has met: those that its memory no longer holds.

A listing may still show them: a quiet subreddit's own listing reaches back for years. Names move here from the table
`seen` long after a page brought them, so this table can have the index that finds the oldest ones of a subreddit.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from core.spool.known_names import NamesCheck, delete_names

_TABLE = """
CREATE TABLE IF NOT EXISTS old_names (
    name TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    created REAL NOT NULL,
    epoch INTEGER NOT NULL
) WITHOUT ROWID
"""

OLD_NAMES = (_TABLE, "CREATE INDEX IF NOT EXISTS old_names_by_age ON old_names (bucket, created)")


def move_names(connection: sqlite3.Connection, names: Collection[str], before: NamesCheck) -> NamesCheck:
    """Move these names, each given once, from `seen`; return the check of the rest; `before` is the previous one."""
    connection.execute(
        "INSERT OR REPLACE INTO old_names SELECT * FROM seen WHERE name IN (SELECT value FROM json_each(?))",
        (json.dumps(list(names)),),
    )
    return delete_names(connection, names, before)


def find_names(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Return the epoch and the bucket of those of these names that are stored here."""
    query = "SELECT name, epoch, bucket FROM old_names WHERE name IN (SELECT value FROM json_each(?))"
    return {name: (epoch, bucket) for name, epoch, bucket in connection.execute(query, (json.dumps(names),))}


def count_old_names(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of names of each bucket."""
    return dict(connection.execute("SELECT bucket, count(*) FROM old_names GROUP BY bucket"))


def delete_old_names(connection: sqlite3.Connection, names: Collection[str]) -> None:
    """Delete those of these names that are stored here."""
    connection.executemany("DELETE FROM old_names WHERE name = ?", [(name,) for name in names])


def forget_oldest(connection: sqlite3.Connection, surplus: Mapping[str, int]) -> None:
    """Delete the oldest names of each bucket: bucket → number."""
    connection.executemany(
        "DELETE FROM old_names WHERE name IN (SELECT name FROM old_names WHERE bucket = ? ORDER BY created LIMIT ?)",
        surplus.items(),
    )
