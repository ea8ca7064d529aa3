"""The engine: SQLAlchemy's pool over aiosqlite or asyncpg, and one transaction at a time through it.

Only SQLAlchemy's core is imported: its asyncio extension brings the object mapper with it, 7 MiB that every process
would carry. `greenlet_spawn`, on which that extension is built, does the same for us.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.util import greenlet_spawn

T = TypeVar("T")

#: How long a statement waits for another process's lock on a SQLite file, seconds.
BUSY_TIMEOUT = 5.0

#: Connections of one process: one saves, one asks the frontier.
_CONNECTIONS = 2


class Database:
    """One process's way to the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for."""
        return self._engine.dialect

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Do this in one transaction, in the order in which it is written there.

        Who awaits this may be cancelled: the transaction is finished all the same, so that the connection stays sound.
        """
        task = asyncio.ensure_future(greenlet_spawn(self._transact, work))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        """Wait for what is under way and close the connections."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        await greenlet_spawn(self._engine.dispose)


def sqlite_engine(path: Path) -> Engine:
    """Open a file: WAL, foreign keys, and the write lock taken at the beginning of every transaction.

    synchronous=NORMAL: a commit survives the end of every process, though perhaps not a power cut; then the rows and
    the frontier go back together, and what is missing is fetched again.
    """
    engine = create_engine(
        f"sqlite+aiosqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None},
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_reset_on_return=None,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:  # noqa: ANN401 (SQLAlchemy's adapted connection)
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "cache_size = -2048"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
