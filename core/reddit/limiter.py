"""The quota shared between processes: a SQLite file whose locks die with their holder.

Each request needs a grant from here before it is sent, and its answer is reported here. A process killed in between
leaves nothing locked: SQLite's locks are the kernel's, and its grant counts as spent after a while.
"""

import contextlib
import operator
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog

from core.errors import TransientError
from core.reddit import quota as arithmetic
from core.reddit import quota_answers
from core.reddit.bounds import number
from core.reddit.quota import GRANT_LIFETIME, STORED, Priority, Quota, RateHeaders
from core.storage.file_guard import FileChange, FileGuard
from core.storage.lock_file import LockHeld, describe, holders, take_lock
from core.storage.private_files import make_directory
from core.storage.sqlite import connect, connect_readonly, error_code, is_corrupt, transaction

log = structlog.stdlib.get_logger(__name__)

_COLUMNS = ", ".join(f'"{name}"' for name in STORED)

# qualified: SQLite reads a bare "name" of a missing column as a text
_SELECT = "SELECT " + ", ".join(f'quota."{name}"' for name in STORED) + " FROM quota"  # noqa: S608 (constants)

_SELECT_GRANTS_AND_SHARE = "SELECT count(*), (SELECT per_minute FROM share WHERE at > ?) FROM grants"

_SELECT_OTHERS = (
    "SELECT coalesce(sum(count), 0) FROM requests WHERE process != ? AND process IN (SELECT process FROM wishes)"
)

_TABLES = (
    "CREATE TABLE IF NOT EXISTS quota (id INTEGER PRIMARY KEY CHECK (id = 1), "
    + ", ".join(f'"{name}" REAL' for name in STORED)
    + ")",
    "CREATE TABLE IF NOT EXISTS grants (id INTEGER PRIMARY KEY AUTOINCREMENT, process TEXT, at REAL)",
    "CREATE TABLE IF NOT EXISTS requests (process TEXT, status TEXT, count INTEGER, PRIMARY KEY (process, status))",
    "CREATE TABLE IF NOT EXISTS wishes (process TEXT PRIMARY KEY, needed REAL, wished REAL, at REAL)",
    # several machines: this one's share of the client's quota, and when a scraper last asked for a request
    "CREATE TABLE IF NOT EXISTS share (id INTEGER PRIMARY KEY CHECK (id = 1), per_minute REAL, at REAL)",
    "CREATE TABLE IF NOT EXISTS crawlers (process TEXT PRIMARY KEY, at REAL)",
)


_STORE = (
    f"INSERT OR REPLACE INTO quota (id, {_COLUMNS}) VALUES (1, " + ", ".join("?" for _ in STORED) + ")"  # noqa: S608
)

_values = operator.attrgetter(*STORED)

#: Status codes that do not show whether Reddit would serve a request: the token was refused, or a timeout.
_SAYS_NOTHING = {"401", "408"}


#: Opening takes milliseconds. A lock held for longer belongs to a stopped process, or to a foreign one.
_LOCK_TIMEOUT_S = 3.0


#: A process that has not repeated its wishes for this time no longer has any, seconds.
WISHES_LAST_S = 60.0

#: The publisher repeats a share every few seconds. After this time without it, this machine is no longer in a cluster.
_SHARE_LASTS_S = 86_400.0

#: Seconds between two notes that a scraper asks for requests.
_NOTE_CRAWLER_EVERY_S = 10.0


class Wishes(NamedTuple):
    """Requests per second that a process needs to lose nothing in time, and that it would use with spare quota."""

    needed: float
    wished: float


class QuotaFileError(TransientError):
    """The shared quota cannot be read or written now (disk full, locked): nothing was granted or counted."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission to send one request now."""

    id: int
    at: float


@dataclass(frozen=True, slots=True)
class Wait:
    """No permission yet: retry after `seconds`."""

    seconds: float


def limiter_path(state_dir: Path) -> Path:
    """Return the file that holds the shared quota."""
    return state_dir / "quota.db"


class Limiter:
    """One process's access to the shared quota. Never sleeps: `ask` returns a Grant or a Wait at once."""

    def __init__(
        self,
        state_dir: Path,
        process: str,
        requests_per_minute: float,
        *,
        clock: Callable[[], float] = time.time,
        crawls: bool = True,
    ) -> None:
        # `crawls`: requests of the scraper's priority are a crawl's, for which a machine wishes a part of the quota
        make_directory(state_dir)
        self._path = limiter_path(state_dir)
        self._process = process
        self._per_minute = requests_per_minute
        self._clock = clock
        self._crawls = crawls
        #: last stored by this process: a file that is lost, or restored from a copy, must not lift a limit
        self._latest: Quota | None = None
        self._latest_grant = 0
        self._crawler_noted_at = float("-inf")
        self._guard = FileGuard(self._path, sole_writer=False)
        self._connection: sqlite3.Connection | None = None
        with self._explained():
            self._open()

    def _open(self) -> sqlite3.Connection:
        """Open the file, replacing a broken one; one process at a time, so that none deletes another's new file.

        While another process keeps the lock, the file is opened anyway, but nothing is deleted or replaced.
        """
        make_directory(self._path.parent)
        with self._turn() as held:
            if held is None and self._connection is not None and self._is_lost():
                self._copy_back(self._connection)  # no other process has done it yet
            self.close()
            try:
                self._connection = _prepared(self._path)
            except sqlite3.DatabaseError as error:
                if not _is_useless(error):
                    raise
                if held is not None:
                    raise QuotaFileError(f"{self._path} is broken ({error}) and cannot be replaced: {held}") from error
                broken = {"path": str(self._path), "error": str(error)}
                log.error("quota_file_broken", **broken, hint="a new file replaces it")  # noqa: TRY400 (understood)
                _remove(self._path)
                self._connection = _prepared(self._path)
            self._guard.learn()
            self._bring_up_to_date(self._connection)
        return self._connection

    @contextlib.contextmanager
    def _turn(self) -> Iterator[LockHeld | None]:
        """Wait for the lock on opening the file; yield the reason when another process keeps it."""
        path = self._path.with_suffix(".lock")
        try:
            lock = take_lock(path, _LOCK_TIMEOUT_S)  # the kernel releases it when its holder ends, for any reason
        except LockHeld as error:
            log.error("lock_held", path=str(path), error=str(error), hint="the quota is used without this lock")  # noqa: TRY400
            yield error
            return
        try:
            yield None
        finally:
            os.close(lock)

    def _is_lost(self) -> bool:
        return self._guard.change() in {FileChange.GONE, FileChange.COMPANION}

    def _copy_back(self, connection: sqlite3.Connection) -> None:
        """Rebuild the file from the open one, with the counts of all processes."""
        building = self._path.with_name(self._path.name + ".building")
        _remove(building)
        try:
            with contextlib.closing(sqlite3.connect(building)) as target:
                connection.backup(target)
        except sqlite3.Error as error:
            log.warning("quota_not_saved", error=str(error), hint="counting continues with the numbers of this process")
            return
        _remove(self._path)
        building.rename(self._path)

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        """Update a file that lacks what this process has stored: it is new, or an older copy."""
        if self._latest is None:
            return
        now = self._clock()
        with transaction(connection):
            if self._latest.part < 1.0:
                stored = (self._latest.part * self._per_minute, now)
                connection.execute("INSERT OR IGNORE INTO share VALUES (1, ?, ?)", stored)
            known = _load(connection, now, self._per_minute)
            ours = arithmetic.advance(self._latest, now, self._per_minute)
            connection.execute(_STORE, _values(arithmetic.stricter(known, ours)))
            _raise_grants(connection, self._latest_grant)

    def _current(self) -> sqlite3.Connection:
        """Return the connection to the file at the path: it may have been replaced, or restored from a copy."""
        if self._connection is None:
            return self._open()
        fault = self._guard.change()
        if fault is not None:
            log.error(
                "quota_file_lost", path=str(self._path), fault=fault.value, hint="counting continues in a new file"
            )
            return self._open()
        if _newest_grant(self._connection) < self._latest_grant:
            log.error("quota_file_older", path=str(self._path), hint="it was restored from a copy; counting continues")
            self._bring_up_to_date(self._connection)
        return self._connection

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, OSError) or _is_useless(error):
                self.close()  # the next call opens and checks it again
            raise QuotaFileError(f"{self._path} cannot be used ({error}): {self._advice(error)}") from error

    def _advice(self, error: Exception) -> str:
        if error_code(error) & 0xFF != sqlite3.SQLITE_BUSY:
            return "free disk space, or end the process that locks it"
        who = [holder for name in ("", "-wal", "-shm") for holder in holders(f"{self._path}{name}")]
        return f"end the process that locks it, {describe(list(dict.fromkeys(who)))}"

    def ask(self, priority: Priority) -> Grant | Wait:
        """Return a grant for one request, or the time to wait."""
        now = self._clock()
        with self._change(now) as change:
            crawls = self._crawls and priority is Priority.SCRAPER
            if crawls and not 0.0 <= now - self._crawler_noted_at < _NOTE_CRAWLER_EVERY_S:
                change.connection.execute("INSERT OR REPLACE INTO crawlers VALUES (?, ?)", (self._process, now))
                self._crawler_noted_at = now
            seconds = arithmetic.wait_for(change.quota, priority, now)
            if seconds > 0:
                return Wait(seconds)
            change.quota = arithmetic.granted(change.quota, priority, now)
            insert = "INSERT INTO grants (process, at) VALUES (?, ?)"
            row = change.connection.execute(insert, (self._process, now))
            self._latest_grant = int(row.lastrowid or 0)
            return Grant(self._latest_grant, now)

    def answered(self, grant: Grant, status: str, headers: RateHeaders | None) -> None:
        """Report an answer other than 429, with its rate headers if it had any."""
        now = self._clock()
        with self._change(now, grant, status) as change:
            success = not status.startswith("5") and status not in _SAYS_NOTHING
            change.quota = quota_answers.answered(
                change.quota, headers, grant.at, now, self._per_minute, success=success
            )

    def refused(self, grant: Grant, retry_after: float | None, headers: RateHeaders | None = None) -> float:
        """Report a 429, with its rate headers if it had any; return how long all processes wait now, seconds.

        A single request may be granted earlier, to test whether Reddit still refuses.
        """
        now = self._clock()
        with self._change(now, grant, "429") as change:
            change.quota = quota_answers.refused(change.quota, grant.at, retry_after, now, headers)
            return max(0.0, change.quota.blocked_until - now)

    def failed(self, grant: Grant, reason: str) -> None:
        """Report a request that got no answer (reset, timeout)."""
        now = self._clock()
        with self._change(now, grant, reason) as change:
            change.quota = quota_answers.failed(change.quota, grant.at, now)

    def exchange_wishes(self, own: Wishes) -> list[Wishes]:
        """Publish the wishes of this process; return those of the other processes."""
        now = self._clock()
        with self._explained(), transaction(self._current()) as connection:
            connection.execute("INSERT OR REPLACE INTO wishes VALUES (?, ?, ?, ?)", (self._process, *own, now))
            rows = connection.execute(
                "SELECT needed, wished FROM wishes WHERE process != ? AND at BETWEEN ? AND ?",
                (self._process, now - WISHES_LAST_S, now + WISHES_LAST_S),
            )
            return [Wishes(max(0.0, needed), max(0.0, needed, wished)) for needed, wished in rows]

    def requests_of_others(self) -> int:
        """Return the number of requests that the other processes with wishes have ever sent."""
        with self._explained():
            row = self._current().execute(_SELECT_OTHERS, (self._process,)).fetchone()
        return int(row[0])

    def store_share(self, per_minute: float | None) -> None:
        """Limit all processes of this machine to this share of the client's quota; None: it has all of it."""
        with self._explained(), transaction(self._current()) as connection:
            if per_minute is None:
                connection.execute("DELETE FROM share")
            else:
                row = (per_minute, self._clock())
                connection.execute("INSERT OR REPLACE INTO share VALUES (1, ?, ?)", row)

    def state(self) -> Quota:
        """Return the current window."""
        with self._change(self._clock()) as change:
            return change.quota

    @contextlib.contextmanager
    def _change(self, now: float, grant: Grant | None = None, status: str = "") -> Iterator["_Change"]:
        """Read, yield to the caller, write: one short transaction."""
        with self._explained(), transaction(self._current()) as connection:
            held = True
            if grant is not None:
                held = (
                    connection.execute("DELETE FROM grants WHERE id = ? AND at = ?", (grant.id, grant.at)).rowcount > 0
                )
                connection.execute(
                    "INSERT INTO requests VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                    (self._process, status),
                )
            # the grant is already deleted from the table; the arithmetic subtracts it itself
            before = _load(connection, now, self._per_minute, own=int(grant is not None))
            if grant is not None and not held and grant.at >= before.window_start:
                before = arithmetic.counted_late(before)
            change = _Change(before, connection)
            yield change
            connection.execute(_STORE, _values(change.quota))
            self._latest = change.quota

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@dataclass(slots=True)
class _Change:
    quota: Quota
    connection: sqlite3.Connection


def _remove(path: Path) -> None:
    for companion in ("", "-wal", "-shm"):
        path.with_name(path.name + companion).unlink(missing_ok=True)


def _newest_grant(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'grants'").fetchone()
    return int(row[0]) if row else 0


def _raise_grants(connection: sqlite3.Connection, newest: int) -> None:
    """Never reuse a number that this process saw."""
    if _newest_grant(connection) < newest:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'grants'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('grants', ?)", (newest,))


def _is_useless(error: sqlite3.Error) -> bool:
    """Return whether only a new file helps: this one is broken, or (SQLITE_ERROR) its tables are not ours."""
    return is_corrupt(error) or error_code(error) == sqlite3.SQLITE_ERROR


def _prepared(path: Path) -> sqlite3.Connection:
    # a power cut loses only the last counts: no need to wait for the disk at each request
    connection = connect(path, synchronous="OFF", cache_kib=256)
    try:
        with transaction(connection):
            for statement in _TABLES:
                connection.execute(statement)
            _add_columns(connection)
            # a file that opens may still be broken in later pages, or have another version
            connection.execute(_SELECT).fetchall()
            connection.execute("SELECT id, process, at FROM grants").fetchall()
            connection.execute("SELECT process, status, count FROM requests").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _add_columns(connection: sqlite3.Connection) -> None:
    """Migrate the table of an older version; its counts stay."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(quota)")}
    if "window_start" not in there:
        return  # not ours at all
    for name in STORED:
        if name not in there:
            connection.execute(f'ALTER TABLE quota ADD COLUMN "{name}" REAL')


def _load(connection: sqlite3.Connection, now: float, per_minute: float, own: int = 0) -> Quota:
    # a grant from the future: the clock was set back
    limits = (now - GRANT_LIFETIME, now + GRANT_LIFETIME)
    expired = connection.execute("DELETE FROM grants WHERE at < ? OR at > ?", limits).rowcount
    outstanding, share = connection.execute(_SELECT_GRANTS_AND_SHARE, (now - _SHARE_LASTS_S,)).fetchone()
    row = connection.execute(_SELECT).fetchone()
    stored = dict(zip(STORED, row, strict=True)) if row else {}
    quota = arithmetic.restored(stored, own + outstanding, arithmetic.allowance(per_minute))
    part = arithmetic.part_of(number(share), per_minute)
    return arithmetic.advance(arithmetic.expired(quota, expired), now, per_minute, part)


def read_quota(state_dir: Path) -> Quota | None:
    """Return the window as last stored, None before the first request; never creates the file."""
    with reading(state_dir) as connection:
        if connection is None:
            return None
        # only existing columns: the file may be of an older version and not opened since
        cursor = connection.execute("SELECT * FROM quota")
        row = cursor.fetchone()
        if row is None:
            return None
        outstanding = connection.execute("SELECT count(*) FROM grants").fetchone()[0]
        stored = dict(zip((name for name, *_ in cursor.description), row, strict=True))
        stored.pop("id", None)
        return arithmetic.restored(stored, outstanding)


def read_requests(state_dir: Path) -> dict[tuple[str, str], int]:
    """Return the number of requests of each process, by status: {(process, status): count}."""
    with reading(state_dir) as connection:
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
def reading(state_dir: Path) -> Iterator[sqlite3.Connection | None]:
    """Yield a connection that only reads the file; None while there is none."""
    path = limiter_path(state_dir)
    if not path.exists():
        yield None
        return
    with contextlib.closing(connect_readonly(path)) as connection:
        has_tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'requests'").fetchone()
        yield connection if has_tables else None
