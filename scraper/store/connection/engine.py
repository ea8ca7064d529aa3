"""Transactions through SQLAlchemy's pool over sqlite3 or asyncpg; opens a replaced database anew.

A transaction on SQLite runs in a thread from its begin to its commit: one thread switch for all its statements, where
an asynchronous driver switches threads several times a statement. A transaction on PostgreSQL waits in the event loop.
Only SQLAlchemy's core is imported: its asyncio extension imports the ORM too, 7 MiB for every process.
`greenlet_spawn`, on which that extension is built, does the same here.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from core.storage.file_guard import FileChange
from scraper.store.connection.database_errors import is_mixed_up, reason
from scraper.store.connection.database_url import PostgresServer, SqliteFile
from scraper.store.connection.postgres_engine import (
    CONNECTIONS,
    KEPT_BEHIND_POOLER,
    Connector,
    PoolerShort,
    make_postgres_engine,
)
from scraper.store.connection.sqlite_engine import CONNECTIONS as SQLITE_CONNECTIONS
from scraper.store.connection.sqlite_engine import READING, FileReplacedError, SqliteWatch, make_sqlite_engine

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

#: Brings the tables up to date; returns a description of the change, None for no change.
Prepare = Callable[[Connection], str | None]

#: A transaction is retried after each opening; a database that is replaced again and again counts as away.
_TRIES = 3

_HINT = "Gapless opens the present database and starts the crawl there; stop Gapless before you replace a database"


class Database:
    """The database connection of one process."""

    def __init__(self, place: SqliteFile | PostgresServer) -> None:
        self._place = place
        self._watch = SqliteWatch(place.path) if isinstance(place, SqliteFile) else None
        self._connector = Connector(place) if isinstance(place, PostgresServer) else None
        self._engine = make_engine(place, self._connector)
        self._threads = ThreadPoolExecutor(SQLITE_CONNECTIONS, "database") if self._watch else None
        self._reader = self._engine.execution_options(**READING) if self._watch else self._engine
        # the writers of a SQLite file within one process queue here: its own lock only polls
        self._turn = asyncio.Semaphore(1 if self._watch else CONNECTIONS)
        self._takes_fewer = False
        self._idle: asyncio.TimerHandle | None = None
        self._in_progress: set[asyncio.Task[Any]] = set()
        self._gate = _Gate()
        self._openings = 0
        self._prepare: Prepare | None = None
        #: runs in the transaction that prepares a replacement database
        self.begin_anew: Callable[[Connection], None] = lambda _connection: None
        #: the reason of the last opening anew, None if there was none; and the number of them
        self.replaced_because: str | None = None
        self.replacements = 0
        self._is_noted = False
        self._is_closed = False

    @property
    def dialect(self) -> Dialect:
        """The dialect for which statements are compiled."""
        return self._engine.dialect

    async def open(self, prepare: Prepare) -> str | None:
        """Connect and bring the tables up to date; this is repeated whenever the database is found replaced."""
        self._prepare = prepare
        try:
            return await self._finish(self._run(self._open, prepare))
        except PoolerShort:
            await self._take_fewer()
            raise
        finally:
            self._close_when_idle()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction.

        The awaiting task may be cancelled: the transaction still ends normally, so that the connection stays sound.
        """
        async with self._turn:
            return await self._finish(self._run_transaction(self._engine, work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one read-only transaction that blocks no other."""
        if self._watch is not None:
            return await self._finish(self._run_transaction(self._reader, work))
        async with self._turn:
            return await self._finish(self._run_transaction(self._reader, work))

    async def close(self) -> None:
        """Wait for the transactions in progress and close the connections."""
        if self._idle is not None:
            self._idle.cancel()
        if self._in_progress:
            await asyncio.wait(self._in_progress)
        if self._is_closed:
            return
        self._is_closed = True
        await self._run(self._engine.dispose)
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function that calls the database: in a thread if its driver blocks."""
        if self._threads is None:
            return await greenlet_spawn(function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(function, *arguments))

    async def _finish(self, transaction: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(transaction)
        self._in_progress.add(task)
        task.add_done_callback(self._in_progress.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def _run_transaction(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        """Run a transaction; if the database was replaced, open it anew and run the transaction there.

        If a pooler has no free connection, wait in its queue for one.
        """
        for left in reversed(range(_TRIES)):
            async with self._gate.passing():
                openings = self._openings
                try:
                    return await self._run(self._transact, engine, work)
                except PoolerShort:
                    await self._take_fewer()
                    if not left:
                        raise
                    continue
                except Exception as error:
                    if not left or self._prepare is None or not _is_replacement(error):
                        raise
                    cause = error
                finally:
                    self._close_when_idle()
            await self._open_anew(openings, cause)
        raise AssertionError("the last attempt returns or raises")

    async def _take_fewer(self) -> None:
        """Use one connection from now on: a pooler has too few for all."""
        if not self._takes_fewer:
            self._takes_fewer = True
            await greenlet_spawn(self._engine.dispose)
            self._in_progress.add(task := asyncio.ensure_future(self._turn.acquire()))  # and never release it
            task.add_done_callback(self._in_progress.discard)

    def _close_when_idle(self) -> None:
        """Close idle connections of a pooler: others may be waiting for them."""
        if self._connector is None or not self._connector.is_pooled:
            return
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(
            KEPT_BEHIND_POOLER, lambda: loop.create_task(self._finish(greenlet_spawn(self._engine.dispose)))
        )

    def _transact(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        if self._watch is None:
            with engine.begin() as connection:
                return work(connection)
        self._watch.check()  # a missing log may prevent a transaction from beginning
        try:
            with engine.begin() as connection:
                self._watch.check()
                result = work(connection)
        except DBAPIError:
            self._watch.check()  # overwritten meanwhile: that is the reason
            raise
        self._watch.check_content()  # the log may have been restarted with this commit
        return result

    async def _open_anew(self, openings: int, cause: Exception) -> None:
        """Open the database that is there now; a task that reports the same replacement later finds it done."""
        async with self._gate.closed():
            if self._openings != openings or self._prepare is None:
                return
            if isinstance(cause, FileReplacedError):
                self._note_replacement(str(cause))
            done = await self._run(self._replace, self._prepare, cause)
            if done is not None:
                self._note_replacement("its tables are missing")
            elif not self._is_noted:
                raise cause  # all tables exist: the error has another cause
            log.info("database_opened_anew", database=str(self._place), tables=done or "up to date")
            self._openings += 1
            self._is_noted = False

    def _note_replacement(self, why: str) -> None:
        """Log it once, even if opening fails repeatedly."""
        if not self._is_noted:
            self._is_noted = True
            self.replacements += 1
            self.replaced_because = why
            log.error("database_replaced", database=str(self._place), reason=why, hint=_HINT)

    def _replace(self, prepare: Prepare, cause: Exception) -> str | None:
        if self._watch is not None and isinstance(cause, FileReplacedError):
            self._watch.release(self._engine, cause.fault)
            if cause.fault is FileChange.CHANGED:
                self._watch.wait_until_still()
        self._engine.dispose()

        def prepare_and_begin(connection: Connection) -> str | None:
            done = prepare(connection)
            if done is not None or self._is_noted:
                self.begin_anew(connection)
            return done

        return self._open(prepare_and_begin)

    def _open(self, prepare: Prepare) -> str | None:
        if self._watch is not None:
            self._watch.make_room()
        with self._engine.begin() as connection:
            done = prepare(connection)
        if self._watch is not None:
            self._watch.learn(self._engine)
        return done


class _Gate:
    """A shared lock: many tasks pass side by side; a task that closes it is alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._closing = asyncio.Lock()
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        async with self._closing:
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                async with self._changed:
                    self._changed.notify_all()

    @contextlib.asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        async with self._closing:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside)
            yield


def make_engine(place: SqliteFile | PostgresServer, connector: Connector | None = None) -> Engine:
    """Create the engine for a database URL; nothing is connected yet."""
    return make_sqlite_engine(place.path) if isinstance(place, SqliteFile) else make_postgres_engine(place, connector)


def _is_replacement(error: Exception) -> bool:
    return isinstance(error, FileReplacedError) or is_mixed_up(error)


def _log_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.warning("database_call_failed_after_its_caller_left", reason=reason(error))
