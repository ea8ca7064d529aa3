"""The engine: SQLAlchemy's pool over aiosqlite or asyncpg, and transactions through it.

Only SQLAlchemy's core is imported: its asyncio extension brings the object mapper along, 7 MiB that every process
would carry. `greenlet_spawn`, on which that extension is built, does the same for us.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.util import await_only, greenlet_spawn

from scraper.store.address import PostgresServer, SqliteFile
from scraper.store.faults import reason

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

#: How long a transaction waits for other processes to let go of a SQLite file, seconds; then it is tried anew.
BUSY_TIMEOUT = 5.0

#: It looks again after so many seconds.
_LOOK_AGAIN = (0.002, 0.01)

#: A server that says nothing for so long is away, seconds; no statement of ours takes a tenth of it.
_COMMAND_TIMEOUT = 30.0

#: Connections of one process: one saves, one asks the frontier.
_CONNECTIONS = 2

# a page that many transactions change goes from the log to its place, and to the disk, once for all of them
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "cache_size = -1024",
    "wal_autocheckpoint = 4000",
)

_READS = "gapless_reads"


class Database:
    """One process's way to the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(**{_READS: True})
        # within one process the writers of a SQLite file queue here: its own lock is waited for by looking again
        self._turn = asyncio.Semaphore(1 if engine.dialect.name == "sqlite" else _CONNECTIONS)
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for."""
        return self._engine.dialect

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do this in one transaction.

        Who awaits it may be cancelled: the transaction ends as it would have, so that the connection stays sound.
        """
        async with self._turn:
            return await self._finish(greenlet_spawn(_transact, self._engine, work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Ask in one transaction that holds nobody up."""
        return await self._finish(greenlet_spawn(_transact, self._reader, work))

    async def _finish(self, transaction: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(transaction)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_tell_of_failure)
            raise

    async def close(self) -> None:
        """Wait for what is under way and close the connections."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        await greenlet_spawn(self._engine.dispose)


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _tell_of_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.warning("database_call_failed_after_its_caller_left", reason=reason(error))


def make_engine(place: SqliteFile | PostgresServer) -> Engine:
    """Make the engine for an address; nothing is connected yet."""
    return _sqlite_engine(place) if isinstance(place, SqliteFile) else _postgres_engine(place)


def _sqlite_engine(place: SqliteFile) -> Engine:
    """WAL, foreign keys, and the write lock taken at the beginning of every transaction that writes.

    synchronous=NORMAL: a commit survives the end of every process, though perhaps not a power cut; then the rows and
    the frontier go back together, and what is missing is fetched again.
    """
    engine = create_engine(
        f"sqlite+aiosqlite:///{place.path}",
        connect_args={"timeout": 0.0, "isolation_level": None},
        pool_size=_CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:  # noqa: ANN401 (SQLAlchemy's adapted connection)
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(_READS, False)
        await_only(_begin(connection.connection.driver_connection, "BEGIN" if reads else "BEGIN IMMEDIATE"))

    return engine


async def _begin(connection: Any, statement: str) -> None:  # noqa: ANN401 (aiosqlite's, imported by SQLAlchemy)
    """Begin a transaction, waiting for other processes' to end.

    SQLite's own waiting looks ever more seldom, up to ten times a second: beside busy writers a process would go
    without the lock for seconds. Who looks at short random times gets its turn.
    """
    give_up_at = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            async with connection.execute(statement):
                return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
        await asyncio.sleep(random.uniform(*_LOOK_AGAIN))  # noqa: S311 (not for secrets)


def _postgres_engine(place: PostgresServer) -> Engine:
    for name in place.left_out:
        log.info("database_parameter_left_out", name=name, reason="asyncpg has no such setting, and needs none")
    return create_engine(
        "postgresql+asyncpg://",
        connect_args={"command_timeout": _COMMAND_TIMEOUT, **place.arguments},
        pool_size=_CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
    )
