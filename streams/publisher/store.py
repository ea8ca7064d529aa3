"""The publisher's own file: how far each spool is delivered, what Kafka refused, who this deployment is."""

import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import PermanentError
from core.positions import publisher_path
from core.spool.files import move_aside
from core.sqlite import connect, is_sound, transaction

_VERSION = 1

_TABLES = """
CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    spool_id TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,              -- everything up to here is acknowledged by Kafka, or a dead letter
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


@dataclass(frozen=True, slots=True)
class Position:
    """Everything of a spool up to `seq` is delivered or a dead letter."""

    stream: str
    spool_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that Kafka will never take, kept whole with the reason."""

    stream: str
    spool_id: str
    seq: int
    key: bytes
    value: bytes
    schema: str
    reason: str


class PublisherStore:
    """The one writer of publisher.db. Every `save` is one durable transaction."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        self.deployment_id = str(
            connection.execute("SELECT value FROM identity WHERE name = 'deployment'").fetchone()[0]
        )

    @classmethod
    def open(
        cls,
        state_dir: Path,
        log: structlog.stdlib.BoundLogger,
        *,
        deployment_id: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> "PublisherStore":
        """Open or make the file; a broken one is moved aside and said so. A new one takes `deployment_id`, if given."""
        state_dir.mkdir(parents=True, exist_ok=True)
        path = publisher_path(state_dir)
        if path.exists() and not is_sound(path):
            log.error(
                "positions_moved_aside",
                moved_to=str(move_aside(path)),
                hint="they were broken: what stands in the spools is sent again",
            )
        connection = connect(path, cache_kib=512)
        try:
            _ensure_tables(connection, deployment_id or uuid.uuid4().hex)
            return cls(connection, clock)
        except BaseException:
            connection.close()
            raise

    def positions(self) -> list[Position]:
        """Return all positions, as last saved."""
        rows = self._connection.execute("SELECT stream, spool_id, seq FROM positions")
        return [Position(stream, spool_id, seq) for stream, spool_id, seq in rows]

    def save(
        self,
        positions: Sequence[Position] = (),
        counts: Mapping[str, int] | None = None,
        dead_letters: Sequence[DeadLetter] = (),
    ) -> None:
        """Write positions, add to counters and keep dead letters, all or nothing.

        A dead letter that was saved before (the process died before its position passed it) is not counted twice.
        """
        now = self._clock()
        with transaction(self._connection) as connection:
            buried = sum(self._bury(letter, now) for letter in dead_letters)
            for name, amount in {**(counts or {}), "dead_letters": buried}.items():
                if amount:
                    connection.execute(
                        "INSERT INTO counters VALUES (?, ?)"
                        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                        (name, amount),
                    )
            connection.executemany(
                "INSERT OR REPLACE INTO positions (spool_id, stream, seq, at) VALUES (?, ?, ?, ?)",
                [(position.spool_id, position.stream, position.seq, now) for position in positions],
            )

    def _bury(self, letter: DeadLetter, now: float) -> int:
        return self._connection.execute(
            "INSERT OR IGNORE INTO dead_letters (stream, spool_id, seq, key, value, schema, reason, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                letter.stream,
                letter.spool_id,
                letter.seq,
                letter.key,
                letter.value,
                letter.schema,
                letter.reason,
                now,
            ),
        ).rowcount

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def _ensure_tables(connection: sqlite3.Connection, deployment_id: str) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > _VERSION:
        raise PermanentError(
            f"the publisher's file has version {version}, this program knows {_VERSION}: use a newer Gapless"
        )
    if version == 0:
        with transaction(connection):
            for statement in filter(str.strip, _TABLES.split(";\n")):
                connection.execute(statement)
            connection.execute("INSERT INTO identity VALUES ('deployment', ?)", (deployment_id,))
            connection.execute(f"PRAGMA user_version = {_VERSION}")
