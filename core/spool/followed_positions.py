"""Reads up to where the process `changes` has followed each spool: what it has not read is kept longer in the spool.

The process writes the file (see streams.changes.duties, which owns its tables); this module reads it.
"""

import contextlib
import sqlite3
from pathlib import Path

from core.storage.sqlite import connect_readonly, is_corrupt

_FILE = "changes.db"

#: The file is missing or has no tables: there is nothing to read.
_ABSENT = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_ERROR}


def changes_path(state_dir: Path) -> Path:
    """Return the file that holds what the process `changes` has to look at again."""
    return state_dir / _FILE


def read_followed(state_dir: Path) -> dict[str, int]:
    """Return spool_id → last seq that the process `changes` has read.

    Empty when the file is missing or broken, which its owner will report and replace. Raises sqlite3.OperationalError
    when the file exists but cannot be read now.
    """
    path = changes_path(state_dir)
    if not path.exists():
        return {}
    try:
        with contextlib.closing(connect_readonly(path)) as connection:
            rows = connection.execute("SELECT spool_id, seq FROM positions").fetchall()
            return {str(spool_id): int(seq) for spool_id, seq in rows}
    except sqlite3.DatabaseError as error:
        if is_corrupt(error) or error.sqlite_errorcode & 0xFF in _ABSENT:
            return {}
        raise
