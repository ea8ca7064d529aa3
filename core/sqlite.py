"""How we open SQLite files: WAL, explicit transactions, and a name for what can go wrong."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

#: How long a statement waits for another process's lock before "database is locked" is raised, seconds.
BUSY_TIMEOUT = 5.0

#: What SQLite says when the file itself is broken (as opposed to busy, full or read-only).
_CORRUPT_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def connect(path: Path, *, synchronous: str = "FULL", cache_kib: int = 2048) -> sqlite3.Connection:
    """Open `path` for writing, creating it: WAL mode, autocommit (transactions are explicit), foreign threads allowed.

    `synchronous=FULL` makes each commit survive a power cut (WAL with NORMAL may lose the last ones, and a position
    that outlives the records it points at would skip their successors).
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only; raises sqlite3.OperationalError when it is not there."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: the lock is taken at once, an error rolls everything back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # a full disk may already have rolled back; the first error is the one to show
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_corrupt(error: BaseException) -> bool:
    """Tell whether the error means a broken file, which no retry mends."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and code & 0xFF in _CORRUPT_CODES


def is_sound(path: Path) -> bool:
    """Read the whole file and tell whether SQLite finds it consistent (`PRAGMA quick_check`)."""
    try:
        with contextlib.closing(connect_readonly(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False
