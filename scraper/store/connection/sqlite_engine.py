"""The engine for SQLite, and the check that its file was not replaced.

An open connection keeps a file that was deleted or moved: rows written into it are gone with the connection, and other
processes open another file. So each transaction, once it has begun, checks that the file at the path is the open file.
While it holds the write lock, this is certain: a program that removes the files later finds the rows in them.
scraper.store.connection.overwritten_file detects a file that stayed the same but was written over.
"""

import contextlib
import os
import random
import sqlite3
import threading
import time
from operator import index
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from core.storage.file_guard import FileChange, FileGuard
from scraper.store.connection.overwritten_file import ContentWatch

log = structlog.stdlib.get_logger(__name__)

#: How long a transaction waits for other processes to release a SQLite file, seconds; then it is retried.
BUSY_TIMEOUT = 5.0

#: A program may take time to write over the file: it is reopened once unchanged for the first of these times, at the
#: latest after the second, seconds.
_STILL_FOR, _STILL_WITHIN = 0.5, 10.0

#: Pause between two attempts to get the lock, a random time in this range, seconds.
_LOCK_RETRY_S = (0.002, 0.01)

#: Connections of one process, each with a thread: one writes, one reads.
CONNECTIONS = 2

# a page that many transactions change is copied from the log to its place, and to the disk, once for all of them
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "wal_autocheckpoint = 4000",
)

#: Pages that a connection keeps, in KiB: more would help only a single process, since a commit of another one makes
#: them outdated. Changed pages beyond that go into the log before the commit.
_WRITER_CACHE, _READER_CACHE = 512, 256

_READS = "gapless_reads"

#: For `Engine.execution_options`: transactions that only read.
READING = {_READS: True}


class FileReplacedError(Exception):
    """The file at the path is not the open file."""

    def __init__(self, fault: FileChange) -> None:
        super().__init__(str(fault))
        self.fault = fault


class SqliteWatch:
    """Knows which file is open, and detects its replacement."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = FileGuard(path, sole_writer=False)
        self._content = ContentWatch(path)
        self._lock = threading.Lock()  # readers and writers call it from their own threads
        self._is_known = False

    def check(self) -> None:
        """Raise FileReplacedError if the files at the path are not the open files."""
        if not self._is_known:
            return
        fault = self._guard.change()
        if fault is not None:
            raise FileReplacedError(fault)
        self.check_content()

    def check_content(self) -> None:
        """Raise FileReplacedError if another program wrote into the file since the last check."""
        with self._lock:
            is_written_over = self._is_known and self._content.is_written_over
        if is_written_over:
            raise FileReplacedError(FileChange.CHANGED)

    def release(self, engine: Engine, fault: FileChange) -> None:
        """Close the open files: they hold all that was committed, and leave nothing behind that harms another file.

        The log is copied into the database file, wherever that is now. Then the remaining -wal and -shm are removed:
        another file must not be read through them, and processes that closed the files must not share them with
        processes that did not.
        """
        if fault is FileChange.CHANGED:
            self._drop_log(engine)
            return
        is_empty = False
        try:
            is_empty = _empty_log(engine)
        except (sqlite3.Error, DBAPIError) as error:
            log.warning("sqlite_log_not_emptied", database=str(self._path), error=str(error))
        engine.dispose()
        if is_empty or fault is not FileChange.COMPANION:
            for left in self._guard.left_behind():
                Path(left).unlink(missing_ok=True)

    def _drop_log(self, engine: Engine) -> None:
        """Close a file that was written over: nothing of the log may reach its present content.

        Closing would copy the log into the file, so the log is truncated before, under the write lock, so that no
        process appends to it.
        """
        left = self._guard.left_behind()
        try:
            connection = engine.raw_connection()
        except (sqlite3.Error, DBAPIError) as error:
            log.warning("sqlite_log_not_locked", database=str(self._path), error=str(error))
            _cut_off(left)
            engine.dispose()
            return
        try:
            _begin(connection.driver_connection, "BEGIN IMMEDIATE")
        except sqlite3.Error as error:  # the file may no longer be a database
            log.warning("sqlite_log_not_locked", database=str(self._path), error=str(error))
        _cut_off(left)
        connection.close()
        engine.dispose()

    def wait_until_still(self) -> None:
        """Return when the file has stopped changing, as far as that can be seen."""
        give_up_at = time.monotonic() + _STILL_WITHIN
        before, since = self._state(), time.monotonic()
        while time.monotonic() < min(give_up_at, since + _STILL_FOR):
            time.sleep(_STILL_FOR / 5)
            if (now := self._state()) != before:
                before, since = now, time.monotonic()

    def _state(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def make_room(self) -> None:
        """Create the directory and the file if they are missing, and record the file as ours."""
        self._is_known = False
        self._content.forget()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        sqlite3.connect(self._path).close()
        self._guard.learn()

    def learn(self, engine: Engine) -> None:
        """Record the present files as ours, after the first transaction."""
        if self._content.needs_checkpoint():
            _checkpoint_once(engine)
        self._is_known = True
        self.check()
        self._guard.learn()
        if not self._guard.are_open():  # replaced once more meanwhile
            raise FileReplacedError(FileChange.COMPANION)


def _cut_off(left: list[str]) -> None:
    """Truncate and remove the remaining -wal and -shm; a process that has them open reads nothing from the log."""
    for each in left:
        if each.endswith("-wal"):
            os.truncate(each, 0)
    for each in left:
        Path(each).unlink(missing_ok=True)


def _checkpoint_once(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        cursor.close()
    finally:
        connection.close()


def _empty_log(engine: Engine) -> bool:
    """Copy the whole log into the open file, under the write lock: no process appends to it meanwhile.

    A process that does the same later, with the same log, finds nothing to do: -shm records that it was done.
    """
    if not engine.pool.checkedin():  # type: ignore[attr-defined]  # of the queue
        return False  # a new connection would open the file that is at the path now
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        give_up_at = time.monotonic() + BUSY_TIMEOUT
        while True:
            cursor.execute("PRAGMA wal_checkpoint(FULL)")
            is_busy, *_ = cursor.fetchone() or (1,)
            if not is_busy or time.monotonic() >= give_up_at:
                cursor.close()
                return not is_busy
            time.sleep(_LOCK_RETRY_S[1])
    finally:
        connection.close()


def make_sqlite_engine(path: Path) -> Engine:
    """Create an engine whose calls block: for use in threads.

    WAL, foreign keys, and the write lock taken at the beginning of every transaction that writes. synchronous=NORMAL: a
    commit survives the end of every process, though perhaps not a power cut; then the rows and the frontier go back
    together, and what is missing is fetched again.
    """
    _bind_quickly()
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": 0.0, "isolation_level": None},
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_use_lifo=True,  # or the two would take turns, and each find its cache outdated by the other
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:  # noqa: ANN401 (a connection of sqlite3)
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(_READS, False)
        driver: Any = connection.connection.driver_connection
        _begin(driver, "BEGIN" if reads else "BEGIN IMMEDIATE")
        with contextlib.suppress(sqlite3.Error):  # a damaged file: the first statement raises it with its context
            driver.execute(f"PRAGMA cache_size = -{_READER_CACHE if reads else _WRITER_CACHE}").close()

    return engine


def _bind_quickly() -> None:
    """Register how sqlite3 adapts None and bool: to themselves.

    For a type without an adapter it raises and drops an AttributeError for each value: 0.2 µs for half of a post's
    columns. Functions written in C, so that no Python code runs for a value.
    """
    sqlite3.register_adapter(type(None), {None: None}.__getitem__)
    sqlite3.register_adapter(bool, index)


def _begin(connection: Any, statement: str) -> None:  # noqa: ANN401 (a connection of sqlite3)
    """Begin a transaction; wait for the transactions of other processes.

    SQLite's own wait polls less and less often, at most ten times a second: beside busy writers a process would miss
    the lock for seconds. Polling after short random pauses gets its turn.
    """
    give_up_at = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute(statement).close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
        else:
            return
        time.sleep(random.uniform(*_LOCK_RETRY_S))  # noqa: S311 (not for secrets)
