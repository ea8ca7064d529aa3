"""The mailbox from the publisher to the streams of its machine: its shards, and what others have proven there.

One SQLite file, `cluster.db`. The publisher writes it, the streams and the status read it. It survives restarts, so a
machine that starts while Kafka is away continues with the shards that it owned.

A shard that another machine wrote before is *to adopt*: the stream takes over the state of it (names, proven moments,
gaps) into its spool, in one transaction, and notes the `term` there. The publisher sends nothing of a shard without a
check against these names until its term is noted.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from core.storage.sqlite import connect, connect_readonly, transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS adoptions (
    shard INTEGER,
    stream TEXT,
    term TEXT NOT NULL,
    state TEXT NOT NULL,                     -- JSON of a ShardState, or null
    spool_id TEXT NOT NULL,                  -- of the spool that may adopt it; empty: any
    PRIMARY KEY (shard, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
    stream TEXT,
    name TEXT,
    shard INTEGER NOT NULL,
    subreddit TEXT NOT NULL,
    created REAL NOT NULL,                   -- created_utc, seconds; 0: unknown
    PRIMARY KEY (stream, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS names_by_shard ON names (shard, stream);
CREATE TABLE IF NOT EXISTS leftovers (
    stream TEXT,
    shard INTEGER,
    position INTEGER,                        -- offset after it in the shard's partition of the control topic
    subreddit TEXT NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    schema TEXT NOT NULL,
    PRIMARY KEY (stream, shard, position)
) WITHOUT ROWID;
"""


class Name(NamedTuple):
    """The fullname of a delivered item, its subreddit in lower case, and its created_utc (seconds; 0: unknown)."""

    name: str
    subreddit: str
    created: float = 0.0


class Leftover(NamedTuple):
    """A record that a machine captured and could not deliver before it lost the shard.

    `position` is the offset after it in the shard's partition of the control topic.
    """

    shard: int
    position: int
    subreddit: str
    key: bytes
    value: bytes
    schema: str


@dataclass(frozen=True, slots=True)
class ShardState:
    """What the owner of a shard has proven of one stream there, up to which everything is delivered.

    Attributes:
        writer: the instance that wrote it; empty: nobody did yet.
        spool_id: its spool.
        transactional_id: of its producer, to end a transaction that it left open; empty with at-least-once.
        control: the offset in the shard's partition of the control topic up to which leftovers are in its spool.
        at: when it was written, epoch seconds.
        begun, baseline: as in `StreamState`.
        proven_at, proven_until: as in `StreamState`, the subreddits of the shard only.
        held_nothing: subreddits of the shard whose listing was empty.
        absent: unavailable subreddits, as in `StreamState.absent`: name → [reason, since, tries, next_try].
        joining: as in `StreamState.joining`.
        gaps: rows of the ledger, as in `SpoolState.gaps`, restricted to the subreddits of the shard.
    """

    writer: str = ""
    spool_id: str = ""
    transactional_id: str = ""
    control: int = 0
    at: float = 0.0
    begun: float | None = None
    baseline: float | None = None
    proven_at: Mapping[str, float] = field(default_factory=dict)
    proven_until: Mapping[str, float] = field(default_factory=dict)
    held_nothing: Sequence[str] = ()
    absent: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    joining: Mapping[str, float] = field(default_factory=dict)
    gaps: Sequence[Sequence[Any]] = ()

    def same_content(self, other: "ShardState | None") -> bool:
        """Return whether both say the same, at whatever time they were written."""
        if other is None:
            return False
        ours, theirs = self.fields() | {"at": 0.0}, other.fields() | {"at": 0.0}
        return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)

    def fields(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_fields(cls, stored: Mapping[str, Any]) -> "ShardState":
        """Build it from the decoded JSON; unknown keys, of a newer version, are ignored."""
        return cls(**{name: value for name, value in stored.items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Adoption:
    """The state of a shard that a stream takes over, and the term to note in the spool.

    `state` None: this machine's spool wrote it last, or nobody did: the spool keeps what it has. `spool_id` is that of
    the spool for which it was written: another spool, after a loss, waits for the next adoption. Empty: any spool.
    """

    shard: int
    term: str
    state: ShardState | None
    spool_id: str = ""


def _adoption(shard: int, term: str, text: str, spool_id: str) -> Adoption:
    stored = json.loads(text)
    state = None if stored is None else ShardState.from_fields(stored)
    return Adoption(int(shard), str(term), state, str(spool_id))


class Term(NamedTuple):
    """The term of an adoption, its spool, and whether it has a state to take over."""

    term: str
    spool_id: str
    with_state: bool


def mailbox_path(state_dir: Path) -> Path:
    """Return the file."""
    return state_dir / "cluster.db"


class MailboxWriter:
    """The publisher's side. Each method is one durable transaction; raises sqlite3.Error."""

    def __init__(self, state_dir: Path) -> None:
        self._connection = connect(mailbox_path(state_dir), cache_kib=512)
        with transaction(self._connection):
            for statement in filter(str.strip, _TABLES.split(";\n")):
                self._connection.execute(statement)

    def shards(self) -> set[int]:
        """Return the shards of this machine as last written."""
        return {int(shard) for (shard,) in self._connection.execute("SELECT shard FROM shards")}

    def terms(self) -> dict[tuple[int, str], Term]:
        """Return what is to be adopted, without the states, by shard and stream."""
        rows = self._connection.execute("SELECT shard, stream, term, spool_id, state <> 'null' FROM adoptions")
        return {(int(row[0]), str(row[1])): Term(str(row[2]), str(row[3]), bool(row[4])) for row in rows}

    def adoption(self, shard: int, stream: str) -> Adoption | None:
        """Return what the stream is to adopt, or has adopted, of a shard; None before there is something."""
        query = "SELECT term, state, spool_id FROM adoptions WHERE shard = ? AND stream = ?"
        row = self._connection.execute(query, (shard, stream)).fetchone()
        return None if row is None else _adoption(shard, *row)

    def own(self, shard: int, since: float, adoptions: Mapping[str, Adoption]) -> None:
        """Make a shard this machine's: the streams capture it once they have adopted this (by stream)."""
        with transaction(self._connection) as connection:
            connection.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (shard, since))
            for stream, one in adoptions.items():
                state = "null" if one.state is None else json.dumps(one.state.fields())
                connection.execute(
                    "INSERT OR REPLACE INTO adoptions VALUES (?, ?, ?, ?, ?)",
                    (shard, stream, one.term, state, one.spool_id),
                )

    def release(self, shards: Iterable[int]) -> None:
        """Another machine owns these now: the streams stop capturing them."""
        with transaction(self._connection) as connection:
            for shard in shards:
                for table in ("shards", "adoptions", "names", "leftovers"):
                    connection.execute(f"DELETE FROM {table} WHERE shard = ?", (shard,))  # noqa: S608 (constants)

    def store_names(self, shard: int, stream: str, names: Iterable[Name]) -> None:
        """Replace the names of a shard's delivered items, before `own` makes the shard this machine's."""
        rows = [(stream, one.name, shard, one.subreddit, one.created) for one in names]
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM names WHERE shard = ? AND stream = ?", (shard, stream))
            connection.executemany("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?)", rows)

    def holds(self, stream: str, name: str) -> bool:
        """Return whether this item was delivered before this machine took over its shard."""
        query = "SELECT 1 FROM names WHERE stream = ? AND name = ?"
        return self._connection.execute(query, (stream, name)).fetchone() is not None

    def forget_names(self, shard: int, stream: str) -> None:
        """Delete the names of a shard: nothing captured before the adoption waits any more."""
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM names WHERE shard = ? AND stream = ?", (shard, stream))

    def add_leftovers(self, stream: str, leftovers: Iterable[Leftover]) -> None:
        """Hand records over to the stream; one that is there already stays."""
        rows = [(stream, *one) for one in leftovers]
        with transaction(self._connection) as connection:
            connection.executemany("INSERT OR IGNORE INTO leftovers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def drop_leftovers(self, stream: str, shard: int, up_to: int) -> None:
        """Delete the leftovers of a shard up to this position: they are in the stream's spool."""
        with transaction(self._connection) as connection:
            where = "stream = ? AND shard = ? AND position <= ?"
            connection.execute(f"DELETE FROM leftovers WHERE {where}", (stream, shard, up_to))  # noqa: S608 (constant)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


class MailboxReader:
    """The streams' side; raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_readonly(path)
        self._version = -1

    @classmethod
    def open(cls, state_dir: Path) -> "MailboxReader | None":
        """Open the file; None while there is none."""
        path = mailbox_path(state_dir)
        if not path.exists():
            return None
        try:
            reader = cls(path)
            reader.shards()
        except sqlite3.OperationalError:  # being made just now
            return None
        return reader

    def changed(self) -> bool:
        """Return whether the file was written since the last call; costs a few microseconds."""
        version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        changed, self._version = version != self._version, version
        return changed

    def shards(self) -> frozenset[int]:
        """Return the shards of this machine."""
        return frozenset(int(shard) for (shard,) in self._connection.execute("SELECT shard FROM shards"))

    def terms(self, stream: str) -> dict[int, Term]:
        """Return of each shard what `adoptions` returns, without the states."""
        query = "SELECT shard, term, spool_id, state <> 'null' FROM adoptions WHERE stream = ?"
        rows = self._connection.execute(query, (stream,))
        return {int(shard): Term(str(term), str(spool_id), bool(state)) for shard, term, spool_id, state in rows}

    def adoptions(self, stream: str) -> list[Adoption]:
        """Return what the stream is to adopt, or has adopted, of each shard."""
        query = "SELECT shard, term, state, spool_id FROM adoptions WHERE stream = ?"
        return [_adoption(*row) for row in self._connection.execute(query, (stream,)).fetchall()]

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads inside see the file as of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def names(self, shard: int, stream: str) -> list[Name]:
        """Return the names of delivered items of a shard."""
        query = "SELECT name, subreddit, created FROM names WHERE shard = ? AND stream = ?"
        new = tuple.__new__  # there may be hundreds of thousands
        return [new(Name, row) for row in self._connection.execute(query, (shard, stream))]

    def leftovers(self, stream: str, shard: int, after: int, limit: int = 500) -> list[Leftover]:
        """Return leftovers of a shard with a position > `after`, ascending."""
        query = (
            "SELECT shard, position, subreddit, key, value, schema FROM leftovers"
            " WHERE stream = ? AND shard = ? AND position > ? ORDER BY position LIMIT ?"
        )
        return [Leftover(*row) for row in self._connection.execute(query, (stream, shard, after, limit))]

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
