"""The engine for SQLite, and the watch over its file.

An open connection keeps a file that was deleted or moved: rows written into it are gone with the connection, and other
processes open another file. So each transaction looks, once it has begun, whether the file at the path is the file
that is open. With the lock for writing in hand this is certain: whoever removes the files later finds the rows in them.
That the file is the same but was written over, scraper.store.connection.overwritten_file finds out.
"""

import os
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from core.storage.file_guard import Fault, FileGuard
from scraper.store.connection.overwritten_file import ContentWatch

log = structlog.stdlib.get_logger(__name__)

#: How long a transaction waits for other processes to let go of a SQLite file, seconds; then it is tried anew.
BUSY_TIMEOUT = 5.0

#: Who writes over the file may take some time: it is opened anew after so many seconds without a change, of these.
_STILL_FOR, _STILL_WITHIN = 0.5, 10.0

#: It looks again after so many seconds.
_LOOK_AGAIN = (0.002, 0.01)

#: Connections of one process, each with a thread: one writes, one reads.
CONNECTIONS = 2

# a page that many transactions change goes from the log to its place, and to the disk, once for all of them
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "cache_size = -2048",
    "temp_store = MEMORY",
    "wal_autocheckpoint = 4000",
)

_READS = "gapless_reads"

#: For `Engine.execution_options`: transactions that only read.
READING = {_READS: True}


class FileReplacedError(Exception):
    """The file at the path is not the one that is open."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class SqliteWatch:
    """Knows which file is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = FileGuard(path, sole_writer=False)
        self._content = ContentWatch(path)
        self._looking = threading.Lock()  # who reads and who writes do it in threads of their own
        self._learned = False

    def look(self) -> None:
        """Raise FileReplacedError where the files at the path are not those that are open."""
        if not self._learned:
            return
        fault = self._guard.fault()
        if fault is not None:
            raise FileReplacedError(fault)
        self.look_at_content()

    def look_at_content(self) -> None:
        """Raise FileReplacedError where another program wrote into the file since the last look."""
        with self._looking:
            is_written_over = self._learned and self._content.is_written_over
        if is_written_over:
            raise FileReplacedError(Fault.CHANGED)

    def let_go(self, engine: Engine, fault: Fault) -> None:
        """Finish with the files that are open: what was committed is in them, and nothing of them is in the way.

        The log goes into the database file, wherever that is now. Then what is left of -wal and -shm is removed:
        another file must not be read through them, nor may who is done with them share one with who is not.
        """
        if fault is Fault.CHANGED:
            self._drop_log(engine)
            return
        is_empty = False
        try:
            is_empty = _empty_log(engine)
        except (sqlite3.Error, DBAPIError) as error:
            log.warning("sqlite_log_not_emptied", database=str(self._path), error=str(error))
        engine.dispose()
        if is_empty or fault is not Fault.COMPANION:
            for left in self._guard.left_behind():
                Path(left).unlink(missing_ok=True)

    def _drop_log(self, engine: Engine) -> None:
        """Finish with a file that was written over: nothing of the log may reach what is in it now.

        Closing would bring the log over, so it is cut off before; with the lock for writing, so that nobody adds to it.
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
        except sqlite3.Error as error:  # what is in the file now may be no database
            log.warning("sqlite_log_not_locked", database=str(self._path), error=str(error))
        _cut_off(left)
        connection.close()
        engine.dispose()

    def wait_until_still(self) -> None:
        """Return when nobody writes into the file any more, as far as that can be seen."""
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
        """Make the directory and the file where they are missing, and take the file for ours."""
        self._learned = False
        self._content.forget()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        sqlite3.connect(self._path).close()
        self._guard.learn()

    def learn(self, engine: Engine) -> None:
        """Take the files as they are now, after the first transaction, for ours."""
        if self._content.needs_checkpoint():
            _checkpoint_once(engine)
        self._learned = True
        self.look()
        self._guard.learn()
        if not self._guard.are_open():  # replaced once more in between
            raise FileReplacedError(Fault.COMPANION)


def _cut_off(left: list[str]) -> None:
    """Empty and remove what is left of -wal and -shm; whoever still has them open reads nothing from the log."""
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
    """Bring the whole log into the file that is open, with the lock for writing: nobody adds to it meanwhile.

    Whoever comes after that, and still has the same log, finds nothing to do: whether it was done stands in -shm.
    """
    if not engine.pool.checkedin():  # type: ignore[attr-defined]  # of the queue
        return False  # a new connection would open what is at the path now
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
            time.sleep(_LOOK_AGAIN[1])
    finally:
        connection.close()


def make_sqlite_engine(path: Path) -> Engine:
    """Make an engine whose calls block: to be used in threads.

    WAL, foreign keys, and the write lock taken at the beginning of every transaction that writes.
    synchronous=NORMAL: a commit survives the end of every process, though perhaps not a power cut; then the rows and
    the frontier go back together, and what is missing is fetched again.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": 0.0, "isolation_level": None},
        pool_size=CONNECTIONS,
        max_overflow=0,
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
        _begin(connection.connection.driver_connection, "BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _begin(connection: Any, statement: str) -> None:  # noqa: ANN401 (a connection of sqlite3)
    """Begin a transaction, waiting for other processes' to end.

    SQLite's own waiting looks ever more seldom, up to ten times a second: beside busy writers a process would go
    without the lock for seconds. Who looks at short random times gets its turn.
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
        time.sleep(random.uniform(*_LOOK_AGAIN))  # noqa: S311 (not for secrets)
