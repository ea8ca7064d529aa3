"""The quota shared between processes: a SQLite file whose locks die with their holder.

Whoever wants to send a request asks here first, and reports the answer here. A process killed in between leaves
nothing locked: SQLite's locks are the kernel's, and its grant is counted as spent after a while.
"""

import contextlib
import dataclasses
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from core import quota as arithmetic
from core.quota import GRANT_LIFETIME, Priority, Quota, RateHeaders
from core.sqlite import connect, connect_readonly, is_corrupt, transaction

log = structlog.stdlib.get_logger(__name__)

_FIELDS = tuple(field.name for field in dataclasses.fields(Quota) if field.name != "outstanding")

_COLUMNS = ", ".join(f'"{name}"' for name in _FIELDS)

_TABLES = (
    "CREATE TABLE IF NOT EXISTS quota (id INTEGER PRIMARY KEY CHECK (id = 1), "
    + ", ".join(f'"{name}" REAL' for name in _FIELDS)
    + ")",
    "CREATE TABLE IF NOT EXISTS grants (id INTEGER PRIMARY KEY AUTOINCREMENT, process TEXT, at REAL)",
    "CREATE TABLE IF NOT EXISTS requests (process TEXT, status TEXT, count INTEGER, PRIMARY KEY (process, status))",
)


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request now."""

    id: int
    at: float


@dataclass(frozen=True, slots=True)
class Wait:
    """No leave yet: ask again in so many seconds."""

    seconds: float


def limiter_path(state_dir: Path) -> Path:
    """Return the file that holds the shared quota."""
    return state_dir / "quota.db"


class Limiter:
    """One process's hold on the shared quota. Never sleeps: `ask` answers at once with a Grant or a Wait."""

    def __init__(
        self, state_dir: Path, process: str, requests_per_minute: float, *, clock: Callable[[], float] = time.time
    ) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self._path = limiter_path(state_dir)
        self._process = process
        self._per_minute = requests_per_minute
        self._clock = clock
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return _prepared(self._path)
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            log.error("quota file was broken: starting a new one", path=str(self._path), error=str(error))
            for companion in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + companion).unlink(missing_ok=True)
            return _prepared(self._path)

    def ask(self, priority: Priority) -> Grant | Wait:
        """Take leave for one request, or learn how long to wait."""
        now = self._clock()
        with self._change(now) as change:
            seconds = arithmetic.wait_for(change.quota, priority, now)
            if seconds > 0:
                return Wait(seconds)
            change.quota = arithmetic.granted(change.quota, priority)
            row = self._connection.execute("INSERT INTO grants (process, at) VALUES (?, ?)", (self._process, now))
            return Grant(int(row.lastrowid or 0), now)

    def answered(self, grant: Grant, status: str, headers: RateHeaders | None) -> None:
        """Report an answer other than 429, with its rate headers where it had any."""
        now = self._clock()
        with self._change(now, grant, status) as change:
            change.quota = arithmetic.answered(change.quota, headers, now, self._per_minute)

    def refused(self, grant: Grant, retry_after: float | None) -> float:
        """Report a 429; return how long everybody waits now, seconds."""
        now = self._clock()
        with self._change(now, grant, "429") as change:
            change.quota = arithmetic.refused(change.quota, grant.at, retry_after, now)
            return max(0.0, change.quota.blocked_until - now)

    def failed(self, grant: Grant, reason: str) -> None:
        """Report a request that got no answer (reset, timeout)."""
        with self._change(self._clock(), grant, reason) as change:
            change.quota = arithmetic.failed(change.quota)

    def state(self) -> Quota:
        """Return the window as it stands."""
        with self._change(self._clock()) as change:
            return change.quota

    @contextlib.contextmanager
    def _change(self, now: float, grant: Grant | None = None, status: str = "") -> Iterator["_Change"]:
        """Read, let the caller decide, write: one short transaction."""
        with transaction(self._connection) as connection:
            if grant is not None:
                connection.execute("DELETE FROM grants WHERE id = ?", (grant.id,))
                connection.execute(
                    "INSERT INTO requests VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                    (self._process, status),
                )
            before = _load(connection, now, self._per_minute)
            if grant is not None:
                # the grant is gone from the table already; the arithmetic takes it off by itself
                before = dataclasses.replace(before, outstanding=before.outstanding + 1)
            change = _Change(before)
            yield change
            _store(connection, change.quota)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


@dataclass(slots=True)
class _Change:
    quota: Quota


def _prepared(path: Path) -> sqlite3.Connection:
    # a power cut may cost the last counts, no more: no need to wait for the disk at each request
    connection = connect(path, synchronous="OFF", cache_kib=256)
    with transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)
    return connection


def _load(connection: sqlite3.Connection, now: float, per_minute: float) -> Quota:
    expired = connection.execute("DELETE FROM grants WHERE at < ?", (now - GRANT_LIFETIME,)).rowcount
    outstanding = connection.execute("SELECT count(*) FROM grants").fetchone()[0]
    row = connection.execute(f"SELECT {_COLUMNS} FROM quota").fetchone()  # noqa: S608 (constants)
    stored = dict(zip(_FIELDS, row, strict=True)) if row else {"limit": 1.0}
    quota = Quota(**{**stored, "outstanding": outstanding})
    quota = dataclasses.replace(
        quota, used=quota.used + expired, stream_used=int(quota.stream_used), refusals=int(quota.refusals)
    )
    return arithmetic.roll(quota, now, per_minute)


def _store(connection: sqlite3.Connection, quota: Quota) -> None:
    values = [getattr(quota, name) for name in _FIELDS]
    marks = ", ".join("?" for _ in _FIELDS)
    connection.execute(
        f"INSERT OR REPLACE INTO quota (id, {_COLUMNS}) VALUES (1, {marks})",  # noqa: S608 (constants)
        values,
    )


def read_quota(state_dir: Path) -> Quota | None:
    """Return the window as last stored, None when nobody has asked yet; never creates the file."""
    with _reading(state_dir) as connection:
        if connection is None:
            return None
        row = connection.execute(f"SELECT {_COLUMNS} FROM quota").fetchone()  # noqa: S608 (constants)
        outstanding = connection.execute("SELECT count(*) FROM grants").fetchone()[0]
        return Quota(**{**dict(zip(_FIELDS, row, strict=True)), "outstanding": outstanding}) if row else None


def read_requests(state_dir: Path) -> dict[tuple[str, str], int]:
    """Return how many requests each process sent, by status: {(process, status): count}."""
    with _reading(state_dir) as connection:
        if connection is None:
            return {}
        return {(process, status): count for process, status, count in connection.execute("SELECT * FROM requests")}


def read_counters(state_dir: Path) -> dict[str, int]:
    """Return the durable counters of the quota: `rate_limit_hits` (answers 429) and `requests`."""
    requests = read_requests(state_dir)
    return {
        "rate_limit_hits": sum(count for (_, status), count in requests.items() if status == "429"),
        "requests": sum(requests.values()),
    }


@contextlib.contextmanager
def _reading(state_dir: Path) -> Iterator[sqlite3.Connection | None]:
    path = limiter_path(state_dir)
    if not path.exists():
        yield None
        return
    with contextlib.closing(connect_readonly(path)) as connection:
        has_tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'requests'").fetchone()
        yield connection if has_tables else None
