"""`changes.db`: the items to look at again, in blocks, and up to where each spool was followed.

The file follows the spool `changes`: a look is decided by the spool's transaction, and applied here after it. Each
transaction of the spool carries the changes of blocks with a number. `apply` does nothing for a number that the file
already has, so it may be repeated after a kill.
"""

import contextlib
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import TransientError
from core.spool.followed_positions import changes_path
from core.spool.spool_files import move_aside, put_in_place, remove_database, sync_directory
from core.storage.file_guard import FileGuard
from core.storage.private_files import make_directory, write_private
from core.storage.sqlite import connect, is_unreadable, transaction
from streams.changes.blocks import Block, BlockChange
from streams.changes.duty_block import MOST, BrokenBlockError, Duty, pack, unpack

#: Five or six packed blocks fit a page: a smaller one leaves more of its space unused.
_PAGE_SIZE = 16_384
_CACHE_KIB = 2048

_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # AUTOINCREMENT: the number of a block that is done never comes back
    (
        "CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,"
        " base REAL NOT NULL, due REAL NOT NULL, version INTEGER NOT NULL, items INTEGER NOT NULL, blob BLOB NOT NULL)"
    ),
    "CREATE INDEX IF NOT EXISTS blocks_due ON blocks (stream, due, items)",
    (
        "CREATE TABLE IF NOT EXISTS positions (spool_id TEXT PRIMARY KEY, stream TEXT NOT NULL, seq INTEGER NOT NULL)"
        " WITHOUT ROWID"
    ),
    "CREATE TABLE IF NOT EXISTS subreddits (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
)

#: Blocks that still take new items, and numbers of subreddits, kept in memory.
_MOST_OPEN = 500
_MOST_NAMES = 20_000

#: Most rows that are counted as overdue.
_MOST_COUNTED = 50_000

log = structlog.stdlib.get_logger(__name__)


class ChangesFileError(TransientError):
    """The file cannot be read or written now (disk full, locked): nothing of the step was written."""


class ChangesFileBroken(TransientError):
    """The file is broken: the process restarts, and the next start moves it aside."""


@dataclass(frozen=True, slots=True)
class NewDuty:
    """An item that was delivered: `subreddit` is its name, `due` the time of its first look."""

    stream: str
    subreddit: str
    due: float
    duty: Duty


@dataclass(frozen=True, slots=True)
class Applied:
    """The changes of one look at `at` (epoch seconds), with their number and the file to which they belong."""

    store_id: str
    number: int
    blocks: tuple[BlockChange, ...]
    at: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return it as plain data."""
        blocks = [one.to_json() for one in self.blocks]
        return {"store": self.store_id, "number": self.number, "blocks": blocks, "at": self.at}

    @classmethod
    def from_json(cls, stored: object) -> "Applied | None":
        """Read it from plain data; None for any other."""
        try:
            assert isinstance(stored, Mapping)  # noqa: S101 (caught below)
            blocks = tuple(map(BlockChange.from_json, stored["blocks"]))
            return cls(str(stored["store"]), int(stored["number"]), blocks, float(stored.get("at", 0.0)))
        except (AssertionError, KeyError, TypeError, ValueError):
            return None


class Duties:
    """The open file. One process writes it."""

    def __init__(
        self, state_dir: Path, connection: sqlite3.Connection, clock: Callable[[], float], bucket_s: float
    ) -> None:
        self._path = changes_path(state_dir)
        self._connection = connection
        self._clock = clock
        self._bucket_s = bucket_s
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        self.store_id = str(meta["store"])
        self.applied = int(meta.get("applied", 0))
        #: when this file took the place of a lost one, epoch seconds
        self.lost_at = float(meta["lost_at"]) if "lost_at" in meta else None
        #: up to this due time, epoch seconds, the file does not know what a look has reported: it is an older copy
        self.forgotten_until = float(meta.get("forgotten_until", 0.0))
        self.items: Counter[str] = Counter()
        #: items of blocks that could not be read
        self.dropped = 0
        self._broken: ChangesFileBroken | None = None
        self._numbers: dict[str, int] = {}
        self._open_blocks: dict[tuple[str, int, float], int] = {}
        self._last_id = _last_id(connection)
        self._guard = FileGuard(self._path, sole_writer=False)
        self._guard.learn()
        self._count()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        *,
        known: str | None,
        positions: Callable[[], Mapping[str, tuple[str, int]]],
        bucket_s: float,
        clock: Callable[[], float] = time.time,
    ) -> tuple["Duties", bool]:
        """Open the file, or create it; return it, and whether the one that was known is lost.

        Args:
            state_dir: its folder.
            known: the id of the file as the spool knows it; None: there was none before.
            positions: returns spool_id → stream and delivered seq. A file in the place of a lost one begins there.
            bucket_s: longest interval of created_utc of the items of a block, seconds.
            clock: epoch seconds.
        """
        make_directory(state_dir)
        path = changes_path(state_dir)
        with _explained(path):
            if suspect_path(state_dir).exists():
                _move_aside(path, "a former process found it broken")
                suspect_path(state_dir).unlink()
            try:
                connection, lost = _prepared(path, known, positions, clock())
            except sqlite3.DatabaseError as error:
                if not is_unreadable(error):
                    raise
                _move_aside(path, str(error))
                connection, lost = _prepared(path, known, positions, clock())
            try:
                return cls(state_dir, connection, clock, bucket_s), lost
            except BaseException:
                connection.close()
                raise

    def check(self) -> None:
        """Check that the file is still at its path; if not, write a copy of the open one there."""
        if self._broken is not None:
            raise self._broken
        with _explained(self._path):
            change = self._guard.change()
            if change is None:
                return
            log.error(
                "changes_file_lost", path=str(self._path), fault=change.value, hint="the open file is written back"
            )
            self._write_back()

    def _write_back(self) -> None:
        make_directory(self._path.parent)
        building = self._path.with_name(self._path.name + ".building")
        remove_database(building)
        with contextlib.closing(connect(building, synchronous="OFF", page_size=_PAGE_SIZE)) as target:
            self._connection.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        moved = put_in_place(building, self._path)
        sync_directory(self._path.parent)
        self._connection.close()
        self._connection = connect(self._path, cache_kib=_CACHE_KIB)
        self._guard = FileGuard(self._path, sole_writer=False)
        self._guard.learn()
        log.warning("changes_file_saved", path=str(self._path), moved_to=str(moved) if moved else None)

    def position(self, spool_id: str) -> int:
        """Return the last seq of the spool that was read, 0 for none."""
        with self._use():
            row = self._connection.execute("SELECT seq FROM positions WHERE spool_id = ?", (spool_id,)).fetchone()
        return int(row[0]) if row else 0

    def add(self, new: Sequence[NewDuty], *, stream: str, spool_id: str, seq: int) -> None:
        """Add items, and the position in their spool, in one transaction."""
        groups: dict[tuple[str, int, float], list[NewDuty]] = {}
        for one in new:
            bucket = int(one.duty.created // self._bucket_s)
            age = one.due - one.duty.created
            groups.setdefault((one.stream, bucket, age), []).append(one)
        try:
            with self._use(), transaction(self._connection) as connection:
                for key, members in groups.items():
                    self._add_group(connection, key, members)
                connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (spool_id, stream, seq))
        except BaseException:
            self._open_blocks.clear()  # numbers of blocks and subreddits of the failed transaction
            self._numbers.clear()
            raise
        self.items.update(one.stream for one in new)

    def _add_group(self, connection: sqlite3.Connection, key: tuple[str, int, float], members: list[NewDuty]) -> None:
        stream, _, age = key
        duties = [
            Duty(one.duty.id, one.duty.created, self._number(connection, one.subreddit), one.duty.known)
            for one in members
        ]
        duties = duties[self._append(connection, key, duties) :]
        for start in range(0, len(duties), MOST):
            part = duties[start : start + MOST]
            base = max(one.created for one in part)
            row = (stream, base, base + age, 1, len(part), pack(part))
            insert = "INSERT INTO blocks (stream, base, due, version, items, blob) VALUES (?, ?, ?, ?, ?, ?)"
            self._last_id = int(connection.execute(insert, row).lastrowid or 0)
            if len(self._open_blocks) >= _MOST_OPEN:
                self._open_blocks.clear()
            self._open_blocks[key] = self._last_id

    def _append(self, connection: sqlite3.Connection, key: tuple[str, int, float], duties: list[Duty]) -> int:
        """Add items to the block that still has room for them; return how many."""
        block_id = self._open_blocks.get(key)
        if block_id is None:
            return 0
        row = connection.execute("SELECT base, due, items FROM blocks WHERE id = ?", (block_id,)).fetchone()
        if row is None or row[1] != row[0] + key[2] or row[1] <= self._clock() or row[2] >= MOST:
            del self._open_blocks[key]  # done, full, or looked at already
            return 0
        part = duties[: MOST - row[2]]
        base = max(row[0], *(one.created for one in part))
        connection.execute(
            "UPDATE blocks SET base = ?, due = ?, version = version + 1, items = items + ?,"
            " blob = CAST(blob || ? AS BLOB) WHERE id = ?",
            (base, base + key[2], len(part), pack(part), block_id),
        )
        return len(part)

    def _number(self, connection: sqlite3.Connection, name: str) -> int:
        number = self._numbers.get(name)
        if number is not None:
            return number
        if len(self._numbers) >= _MOST_NAMES:
            self._numbers.clear()
        connection.execute("INSERT OR IGNORE INTO subreddits (name) VALUES (?)", (name,))
        row = connection.execute("SELECT id FROM subreddits WHERE name = ?", (name,)).fetchone()
        self._numbers[name] = int(row[0])
        return int(row[0])

    def names(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the names of these subreddits."""
        found = {}
        with self._use():
            for number in set(numbers):
                row = self._connection.execute("SELECT name FROM subreddits WHERE id = ?", (number,)).fetchone()
                found[number] = str(row[0]) if row else ""
        return found

    def next_due(self, streams: Sequence[str]) -> float | None:
        """Return when the next block is due, epoch seconds; None without any."""
        query = "SELECT min(due) FROM blocks WHERE stream = ?"
        with self._use():
            found = [self._connection.execute(query, (stream,)).fetchone()[0] for stream in streams]
        return min((due for due in found if due is not None), default=None)

    def pick(self, streams: Sequence[str], now: float, limit: int, *, in_order: bool) -> list[Block]:
        """Return due blocks with about `limit` items together, the oldest due first.

        Args:
            streams: whose blocks.
            now: epoch seconds.
            limit: the last block may go beyond this number of items.
            in_order: blocks of the first stream come before all of the second one.
        """
        query = "SELECT due, items, id FROM blocks WHERE stream = ? AND due <= ? ORDER BY due LIMIT ?"
        with self._use():
            found = [
                (place if in_order else 0, *row)
                for place, stream in enumerate(streams)
                for row in self._connection.execute(query, (stream, now, limit))
            ]
            chosen: list[int] = []
            count = 0
            for _, _, items, block_id in sorted(found):
                if chosen and count + items > limit:
                    break
                chosen.append(block_id)
                count += items
            blocks = [self._read(block_id) for block_id in chosen]
        return [block for block in blocks if block is not None]

    def newest(self, streams: Sequence[str], count: int) -> list[Block]:
        """Return the blocks of these streams among those that were added last."""
        with self._use():
            rows = self._connection.execute("SELECT id, stream FROM blocks ORDER BY id DESC LIMIT ?", (count,))
            blocks = [self._read(block_id) for block_id, stream in rows.fetchall() if stream in streams]
        return [block for block in blocks if block is not None]

    def _read(self, block_id: int) -> Block | None:
        query = "SELECT stream, base, due, version, items, blob FROM blocks WHERE id = ?"
        stream, base, due, version, items, blob = self._connection.execute(query, (block_id,)).fetchone()
        try:
            return Block(block_id, stream, base, due, version, unpack(blob))
        except BrokenBlockError as error:
            log.error("changes_block_broken", block=block_id, items=items, error=str(error), hint="it is dropped")  # noqa: TRY400
            self._connection.execute("DELETE FROM blocks WHERE id = ?", (block_id,))
            self.items[stream] -= items
            self.dropped += items
            return None

    @property
    def next_id(self) -> int:
        """The first unused number of a block."""
        return self._last_id + 1

    def apply(self, change: Applied) -> bool:
        """Write the changes of a look, unless they are written already, or belong to another file."""
        if change.store_id != self.store_id or change.number <= self.applied:
            return False
        counts: Counter[str] = Counter()
        with self._use(), transaction(self._connection) as connection:
            for one in change.blocks:
                counts[one.stream] += _write(connection, one)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('applied', ?)", (str(change.number),))
        self.applied = change.number
        self._last_id = max(self._last_id, *(one.id for one in change.blocks)) if change.blocks else self._last_id
        self.items.update(counts)
        return True

    def forget_until(self, moment: float) -> None:
        """Note that looks which were due until this moment may have been made: their result is not in this file."""
        self.forgotten_until = max(self.forgotten_until, moment)
        with self._use():
            row = ("forgotten_until", str(self.forgotten_until))
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)

    def overdue(self, streams: Sequence[str], before: float) -> tuple[int, float | None]:
        """Return how many items were due before this moment (at most some tens of thousands of blocks are counted).

        Also return since when the oldest of all blocks is due.
        """
        query = "SELECT sum(items), min(due) FROM (SELECT items, due FROM blocks WHERE stream = ? AND due < ? LIMIT ?)"
        with self._use():
            found = [self._connection.execute(query, (one, before, _MOST_COUNTED)).fetchone() for one in streams]
        oldest = [due for _, due in found if due is not None]
        return sum(items or 0 for items, _ in found), min(oldest, default=None)

    def _count(self) -> None:
        rows = self._connection.execute("SELECT stream, sum(items) FROM blocks GROUP BY stream")
        self.items = Counter({str(stream): int(items) for stream, items in rows})

    @contextlib.contextmanager
    def _use(self) -> Iterator[None]:
        with _explained(self._path):
            try:
                yield
            except sqlite3.Error as error:
                if is_unreadable(error):
                    with contextlib.suppress(OSError):
                        write_private(suspect_path(self._path.parent), "")
                    self._broken = ChangesFileBroken(f"{self._path} is broken ({error}): the process restarts")
                    raise self._broken from error
                raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def suspect_path(state_dir: Path) -> Path:
    """Return the marker of a file that was found broken: a check of a large one at each start would take too long."""
    return changes_path(state_dir).with_suffix(".suspect")


def _prepared(
    path: Path, known: str | None, positions: Callable[[], Mapping[str, tuple[str, int]]], now: float
) -> tuple[sqlite3.Connection, bool]:
    """Open the file and make its tables; return also whether another file was known before."""
    connection = connect(path, cache_kib=_CACHE_KIB, page_size=_PAGE_SIZE)
    try:
        with transaction(connection):
            for statement in _TABLES:
                connection.execute(statement)
            row = connection.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()
            lost = known is not None and (row is None or row[0] != known)
            if row is None:
                connection.execute("INSERT INTO meta VALUES ('store', ?)", (uuid.uuid4().hex,))
            if lost:
                _start_at(connection, positions())
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('lost_at', ?)", (str(now),))
    except BaseException:
        connection.close()
        raise
    return connection, lost


def _move_aside(path: Path, reason: str) -> None:
    moved_to = str(move_aside(path))
    log.error("changes_file_broken", path=str(path), error=reason, moved_to=moved_to)


def _write(connection: sqlite3.Connection, change: BlockChange) -> int:
    """Write one block; return by how many items the file grows."""
    row = connection.execute("SELECT version, items FROM blocks WHERE id = ?", (change.id,)).fetchone()
    if row is None and change.version > 1:
        return 0  # it was done before
    if row is not None and row[0] >= change.version:
        return 0
    before = 0 if row is None else int(row[1])
    if not change.items:
        connection.execute("DELETE FROM blocks WHERE id = ?", (change.id,))
        return -before
    values = (change.id, change.stream, change.base, change.due, change.version, change.items, change.blob)
    if row is None:
        connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    else:
        connection.execute(
            "UPDATE blocks SET base = ?, due = ?, version = ?, items = ?, blob = ? WHERE id = ?",
            (*values[2:], change.id),
        )
    return change.items - before


def _start_at(connection: sqlite3.Connection, positions: Mapping[str, tuple[str, int]]) -> None:
    """Skip what is delivered: the lost file had it, and its changes may have been reported."""
    for spool_id, (stream, seq) in positions.items():
        connection.execute(
            "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
            (spool_id, stream, seq),
        )


def _last_id(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'blocks'").fetchone()
    return int(row[0]) if row else 0


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ChangesFileError(f"{path} cannot be used ({error}): free disk space, or end what locks it") from error
