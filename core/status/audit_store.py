"""The observations of the audit: one file for each stream, written by the stream's process and by the command `audit`.

An observation is one item of a random sample. An item that seems to be missing is stored as pending until a second look
confirms it, in the same transaction as the items of its sample that were found: a process that ends in between must not
leave only the good ones.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from core.spool.spool_files import move_aside
from core.storage.sqlite import connect, connect_readonly, is_corrupt, is_sound, transaction

log = structlog.stdlib.get_logger(__name__)

#: Observations are kept for this time (seconds), and up to this number.
KEEP_S = 30 * 86_400.0
KEEP_ROWS = 200_000

#: Clocks are set, and Reddit's is only estimated: differences up to this are ignored, seconds.
_SLACK_S = 60.0

_TABLES = """
CREATE TABLE IF NOT EXISTS observations (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    cluster TEXT NOT NULL,
    created REAL NOT NULL,
    subreddit TEXT NOT NULL,
    outcome TEXT NOT NULL,
    seen_at REAL NOT NULL,
    name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS pending (
    name TEXT NOT NULL,
    source TEXT NOT NULL,                    -- empty: not of the sample, but it is captured if it is missing
    cluster TEXT NOT NULL,
    created REAL NOT NULL,
    subreddit TEXT NOT NULL,
    found_at REAL NOT NULL,
    PRIMARY KEY (name, source, cluster)      -- an item that is drawn twice counts twice, as a captured one does
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subreddits (
    name TEXT PRIMARY KEY,                   -- in lower case
    term TEXT NOT NULL,                      -- of its shard, in a cluster
    since REAL NOT NULL                      -- created_utc from which it is captured without a break
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (name TEXT PRIMARY KEY, why TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID
"""

_DELETE_PENDING = "DELETE FROM pending WHERE name = ? AND source = ? AND cluster = ?"

_ANEW = "the audit continues with the file that is there now, or with a new one; capture is not affected"

_COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


class Outcome(StrEnum):
    """The result of an observation."""

    FOUND = "found"  #: it was captured
    MISSING = "missing"
    MISSING_IN_GAP = "missing_in_gap"  #: it lies in a gap that the ledger has
    REMOVED_FIRST = "removed_first"  #: it is removed now, and nothing shows that it was ever listed


class Observation(NamedTuple):
    """One item of the sample. `at`: its created_utc. Items with the same `cluster` may be missing together."""

    source: str
    stream: str
    cluster: str
    at: float
    subreddit: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An item of a sample; without a `source`, one that was only seen beside it."""

    name: str
    source: str
    cluster: str
    created: float
    subreddit: str


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file is at this path; None: no file."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


def audit_path(state_dir: Path, stream: str) -> Path:
    """Return the file of a stream's observations."""
    return state_dir / f"audit-{stream}.db"


class AuditStore:
    """Write access; several processes may have it at once.

    Args:
        state_dir: the directory of the file; it must exist.
        stream: the name of the stream.
        clock: epoch seconds.
    """

    def __init__(self, state_dir: Path, stream: str, clock: Callable[[], float] = time.time) -> None:
        self.stream = stream
        self._clock = clock
        self._path = audit_path(state_dir, stream)
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        """Open the file; a broken one is moved aside."""
        try:
            return self._prepared()
        except sqlite3.Error as error:
            if not is_corrupt(error):
                raise
            moved_to = str(move_aside(self._path))
            log.error("audit_file_moved_aside", stream=self.stream, error=str(error), moved_to=moved_to, hint=_ANEW)  # noqa: TRY400 (understood)
        return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        # a power cut loses the last observations, which is no bias
        connection = connect(self._path, synchronous="NORMAL", cache_kib=256)
        try:
            with transaction(connection):
                for statement in _TABLES.split(";\n"):
                    connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        self._identity = _identity(self._path)
        return connection

    def renew(self, error: BaseException | None = None) -> bool:
        """Open the file again if it is not the one that was opened, or if this error says that it is broken.

        Return whether it did. Raises sqlite3.Error and OSError.
        """
        broken = error is not None and is_corrupt(error)
        if not broken and _identity(self._path) == self._identity:
            return False
        if not broken:
            log.warning("audit_file_replaced", stream=self.stream, path=str(self._path), hint=_ANEW)
        self._connection.close()
        if broken and _identity(self._path) == self._identity and not is_sound(self._path):
            moved_to = str(move_aside(self._path))
            log.error("audit_file_moved_aside", stream=self.stream, error=str(error), moved_to=moved_to, hint=_ANEW)
        self._connection = self._open()
        return True

    def scope(self, present: Mapping[str, str], now: float) -> dict[str, float]:
        """Record which subreddits are captured now; return since when each of them is, without a break.

        Args:
            present: the subreddits that this machine captures, in lower case, each with the term of its shard.
            now: by Reddit's clock.
        """
        rows = self._connection.execute("SELECT name, term, since FROM subreddits").fetchall()
        # a moment in the future was noted under a wrong clock
        known = {name: since for name, term, since in rows if present.get(name) == term and since <= now + _SLACK_S}
        new = [(name, term, now) for name, term in present.items() if name not in known]
        gone = [(name,) for name, _, _ in rows if name not in present]
        if new or gone:
            with transaction(self._connection) as connection:
                connection.executemany("INSERT OR REPLACE INTO subreddits VALUES (?, ?, ?)", new)
                connection.executemany("DELETE FROM subreddits WHERE name = ?", gone)
        return known | {name: now for name, _, _ in new}

    def add(self, found: Sequence[Judged], pending: Sequence[Judged]) -> None:
        """Store a sample: what was captured, and what must be looked at again."""
        now = self._clock()
        with transaction(self._connection) as connection:
            self._insert(connection, ((one, Outcome.FOUND) for one in found), now)
            waiting = [
                (one.name, one.source, one.cluster if one.source else "", one.created, one.subreddit, now)
                for one in pending
            ]
            connection.executemany("INSERT OR IGNORE INTO pending VALUES (?, ?, ?, ?, ?, ?)", waiting)
            sampled = len(found) + sum(bool(one.source) for one in pending)
            connection.executemany(_COUNT, [("audit_sampled", sampled)] if sampled else [])

    def pending(self, before: float, count: int) -> list[Judged]:
        """Return items that were put aside before this moment, the oldest first."""
        query = (
            "SELECT name, source, cluster, created, subreddit FROM pending WHERE found_at <= ?"
            " ORDER BY found_at LIMIT ?"
        )
        return [Judged(*row) for row in self._connection.execute(query, (before, count))]

    def pending_count(self) -> int:
        """Return the number of items of the sample that wait for their second look."""
        return int(self._connection.execute("SELECT count(*) FROM pending WHERE source != ''").fetchone()[0])

    def conclude(self, outcomes: Iterable[tuple[Judged, Outcome | None]]) -> list[tuple[Judged, Outcome]]:
        """Store the outcomes of pending items (None: it is dropped).

        Returns those that no other process has concluded meanwhile.
        """
        now = self._clock()
        own: list[tuple[Judged, Outcome]] = []
        with transaction(self._connection) as connection:
            for judged, outcome in outcomes:
                key = (judged.name, judged.source, judged.cluster)
                deleted = connection.execute(_DELETE_PENDING, key).rowcount
                if deleted and outcome is not None:
                    own.append((judged, outcome))
            self._insert(connection, ((one, outcome) for one, outcome in own if one.source), now)
            missing = sum(outcome is Outcome.MISSING and bool(one.source) for one, outcome in own)
            connection.executemany(_COUNT, [("audit_missing", missing)] if missing else [])
        return own

    @staticmethod
    def _insert(connection: sqlite3.Connection, judged: Iterable[tuple[Judged, Outcome]], now: float) -> None:
        rows = [
            (one.source, one.cluster, one.created, one.subreddit, outcome.value, now, one.name)
            for one, outcome in judged
        ]
        connection.executemany(
            "INSERT INTO observations (source, cluster, created, subreddit, outcome, seen_at, name)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def count(self, counter: str) -> None:
        """Add one to a durable counter."""
        with transaction(self._connection) as connection:
            connection.execute(_COUNT, (counter, 1))

    def set_source(self, name: str, why: str) -> None:
        """Record why a source is not used now; empty: it is used."""
        with transaction(self._connection) as connection:
            connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", (name, why, self._clock()))

    def prune(self) -> int:
        """Delete observations beyond the limits; return their number."""
        with transaction(self._connection) as connection:
            last = connection.execute("SELECT coalesce(max(id), 0) FROM observations").fetchone()[0]
            deleted = connection.execute(
                "DELETE FROM observations WHERE id <= ? OR seen_at < ?", (last - KEEP_ROWS, self._clock() - KEEP_S)
            ).rowcount
        return int(deleted)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read_observations(state_dir: Path, stream: str, since: float, until: float) -> list[Observation]:
    """Return the observations of items created from `since` to `until`. Raises sqlite3.Error."""
    query = "SELECT source, ?, cluster, created, subreddit, outcome FROM observations WHERE created BETWEEN ? AND ?"
    return [Observation(*row) for row in _read(state_dir, stream, query, (stream, since, until))]


def read_audit_counters(state_dir: Path, stream: str) -> dict[str, int]:
    """Return the counters audit_requests, audit_sampled and audit_missing. Raises sqlite3.Error."""
    return dict(_read(state_dir, stream, "SELECT name, value FROM counters", ()))


def read_sources(state_dir: Path, stream: str) -> dict[str, str]:
    """Return the sources, each with why it is not used now; empty: it is used. Raises sqlite3.Error."""
    return dict(_read(state_dir, stream, "SELECT name, why FROM sources", ()))


def _read(state_dir: Path, stream: str, query: str, values: Sequence[object]) -> list[Any]:
    path = audit_path(state_dir, stream)
    if not path.exists():
        return []
    with closing(connect_readonly(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sources'").fetchone():
            return []
        return connection.execute(query, values).fetchall()
