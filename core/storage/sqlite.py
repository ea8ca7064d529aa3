"""Opens SQLite files: WAL, explicit transactions, and classes for their errors."""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from core.storage.private_files import open_private

#: Seconds that a statement waits for another process's lock before "database is locked" is raised.
BUSY_TIMEOUT = 5.0

#: SQLite's codes for a broken file (as opposed to busy, full or read-only).
_CORRUPT_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

#: Its codes for a disk that does not return what was written: no retry repairs that either.
_UNREADABLE_CODES = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}


def connect(
    path: Path, *, synchronous: str = "FULL", cache_kib: int = 2048, page_size: int | None = None
) -> sqlite3.Connection:
    """Open `path` for writing, creating it: WAL mode, autocommit (transactions are explicit), foreign threads allowed.

    `synchronous=FULL` makes each commit survive a power cut (WAL with NORMAL may lose the last ones, and a position
    that outlives the records it points at would skip their successors).

    `page_size` (bytes) applies to a new file.

    A new file is private. A symbolic link at the path is not followed: OSError.
    """
    _make_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        if page_size is not None:
            connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Create the file with its mode before SQLite does, which uses the umask; its -wal and -shm get the file's mode."""
    if path.is_symlink():
        raise OSError(
            errno.ELOOP, "this is a symbolic link, which is not followed: move the file itself here", str(path)
        )
    if not path.exists():
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only. Raises sqlite3.OperationalError when it does not exist."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run one write transaction: take the lock at once, and roll everything back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # a full disk may already have rolled back; show the first error
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def error_code(error: BaseException) -> int:
    """Return SQLite's extended code, 0 for an error that is not SQLite's own."""
    code = getattr(error, "sqlite_errorcode", None)
    return code if isinstance(code, int) else 0


def is_corrupt(error: BaseException) -> bool:
    """Return whether the error means a broken file, which no retry repairs."""
    # the only OperationalError from Python itself: a text that is not UTF-8
    undecodable = isinstance(error, sqlite3.OperationalError) and error_code(error) == 0
    return undecodable or (isinstance(error, sqlite3.DatabaseError) and error_code(error) & 0xFF in _CORRUPT_CODES)


def is_unreadable(error: BaseException) -> bool:
    """Return whether the content of the file cannot be read back: the file or its disk is broken."""
    return is_corrupt(error) or error_code(error) in _UNREADABLE_CODES


def is_disk_failure(error: BaseException) -> bool:
    """Return whether reading, writing or fsync failed: the content on disk is known only after reopening the file."""
    return error_code(error) & 0xFF == sqlite3.SQLITE_IOERR


def is_sound(path: Path) -> bool:
    """Read the whole file; return whether SQLite finds it consistent, its indexes too (`PRAGMA integrity_check`).

    A file that cannot be read now (locked by another process) does not count as broken: that error is raised.
    """
    try:
        with contextlib.closing(connect_readonly(path)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if is_unreadable(error):
            return False
        raise
