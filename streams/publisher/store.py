"""The publisher's own file: how far each spool is delivered, what Kafka refused, who this deployment is."""

import re
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import PermanentError
from core.positions import publisher_path
from core.spool.files import move_aside
from core.sqlite import connect, is_sound, transaction
from streams.publisher import letters
from streams.publisher.letters import DeadLetter

_VERSION = 2

_TABLES = """
CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    spool_id TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,              -- everything up to here is acknowledged by Kafka, or a dead letter
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything of a spool up to `seq` is delivered or a dead letter."""

    stream: str
    spool_id: str
    seq: int


class PublisherStore:
    """The publisher's access to publisher.db. Every `save` is one durable transaction."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._clock = clock
        identity = dict(connection.execute("SELECT name, value FROM identity"))
        self.deployment_id = str(identity["deployment"])
        #: the spool_id under which dead letters are sent again
        self.resends_id = str(identity["resends"])

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

        A dead letter counts once the position has passed it: until then the record may be sent again, and arrive.
        """
        now = self._clock()
        counted = Counter(counts or {})
        with transaction(self._connection) as connection:
            for letter in dead_letters:
                if letter.spool_id == self.resends_id:
                    letters.refuse_again(connection, letter.seq, letter.reason, now)
                else:
                    letters.keep(connection, letter, now)
            connection.executemany(
                "INSERT OR REPLACE INTO positions (spool_id, stream, seq, at) VALUES (?, ?, ?, ?)",
                [(position.spool_id, position.stream, position.seq, now) for position in positions],
            )
            for position in positions:
                if position.spool_id == self.resends_id:
                    counted["dead_letters_resent"] += letters.settle_resends(connection, position.seq)
                else:
                    counted["dead_letters"] += letters.pass_over(connection, position.spool_id, position.seq)
            connection.executemany(letters.COUNT, [(name, amount) for name, amount in counted.items() if amount])

    def withdraw(self, spool_id: str, seq: int) -> None:
        """Forget the dead letters of a spool beyond the position from which it is sent again."""
        with transaction(self._connection) as connection:
            letters.withdraw(connection, spool_id, seq)

    def dead_letters_between(self, spool_id: str, after: int, until: int) -> int:
        """Return how many dead letters a stretch of a spool holds."""
        return letters.count_between(self._connection, spool_id, after, until)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def _ensure_tables(connection: sqlite3.Connection, deployment_id: str) -> None:
    """Make the tables in a new file, or bring those of an older version up to date."""
    if upgrade(connection):
        return
    with transaction(connection):
        _run(connection, _TABLES + letters.TABLES)
        names = [("deployment", deployment_id), ("resends", uuid.uuid4().hex)]
        connection.executemany("INSERT INTO identity VALUES (?, ?)", names)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def upgrade(connection: sqlite3.Connection) -> bool:
    """Bring the tables of an older version up to date; tell whether there are any."""
    version = _version(connection)
    if version > _VERSION:
        raise PermanentError(
            f"the publisher's file has version {version}, this program knows {_VERSION}: use a newer Gapless"
        )
    if version == 1:
        with transaction(connection):
            if _version(connection) == 1:  # else another process was quicker
                _run(connection, letters.RENAME + letters.TABLES + letters.TAKE_OVER)
                connection.execute("INSERT INTO identity VALUES ('resends', ?)", (uuid.uuid4().hex,))
                connection.execute(f"PRAGMA user_version = {_VERSION}")
    return version > 0


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in filter(str.strip, re.sub(r" *--.*", "", script).split(";\n")):
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
