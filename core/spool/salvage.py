"""Copies the readable rows of a broken spool into a new one."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson
import structlog

from core.spool.known_names import NamesCheck, count_names, parse_names_check
from core.spool.model import GapState
from core.spool.schema import upgraded_gap
from core.spool.stream_state import StreamState, entries_of, upgraded_rows
from core.storage.sqlite import error_code, is_unreadable

log = structlog.stdlib.get_logger(__name__)

_Row = tuple[object, ...]

#: Every valid seq is below this; a corrupt one may not be.
_HIGHEST = 2**53

#: Up to version 2 the names are also in an index, a separate tree; later versions have a checksum of them.
_HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE name = 'seen_by_age'"
_INDEXED_NAMES = "SELECT name FROM seen INDEXED BY seen_by_age"

_RECORDS = "SELECT seq, key, value, schema, captured_at FROM records WHERE seq > ?"


@dataclass(slots=True)
class Salvage:
    """The result of salvaging a broken file."""

    records: int = 0
    #: the id of the old file, empty when it could not be read
    spool_id: str = ""
    #: highest seq that the old file had assigned; None when even that was unreadable
    last_seq: int | None = None
    #: number of unsent records that could not be read; None when unknown
    missing: int | None = None
    #: tables with rows that could not be read, or were invalid
    broken: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether the stream can continue unchanged: no record is lost, and neither names nor cursor."""
        return self.missing == 0 and not self.broken & {"seen", "cursor"}


_STATES = frozenset(GapState)


def _is_json(value: object) -> bool:
    try:
        orjson.loads(value)  # type: ignore[arg-type]  # any value: its error is the answer
    except ValueError:
        return isinstance(value, bytes) and _has_large_numbers(value)
    return True


def _has_large_numbers(value: bytes) -> bool:
    """Return whether it is JSON that orjson refuses for a number beyond a double: `reddit` holds what was served."""
    try:
        json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def is_record(row: _Row) -> bool:
    """Return whether the row of `records` has the form that a writer writes."""
    seq, key, value, schema, at = row
    if not (isinstance(seq, int) and isinstance(at, float) and isinstance(value, bytes)):
        return False
    if not (isinstance(key, bytes) and isinstance(schema, str)):
        return False
    # the rest of a page that was cut off reads as zeros
    return b"\0" not in key and "\0" not in schema and _is_json(value)


def _is_seen_row(row: _Row) -> bool:
    name, bucket, created, epoch = row
    return isinstance(name, str) and isinstance(bucket, str) and isinstance(created, float) and isinstance(epoch, int)


def _is_gap(row: _Row) -> bool:
    identity, subreddits, _start, end, reason, _at, epoch, pending, unproven, found, state, *_moments = upgraded_gap(
        row
    )
    numbers = all(isinstance(number, int) for number in (identity, epoch, found)) and isinstance(end, float | None)
    return (
        numbers
        and state in _STATES
        and isinstance(reason, str)
        and all(_is_json(names) for names in (subreddits, pending, unproven))
    )


#: Checks of rows, by table: SQLite detects a torn page, not a wrong letter in one.
ROW_CHECKS: dict[str, Callable[[_Row], bool]] = {
    "meta": lambda row: isinstance(row[1], str),
    "cursor": lambda row: isinstance(row[0], str) and _is_json(row[1]),
    "gaps": _is_gap,
    "counters": lambda row: isinstance(row[0], str) and isinstance(row[1], int),
    "seen": _is_seen_row,
    "rejects": lambda row: isinstance(row[0], int),
}


def salvage(source: sqlite3.Connection, target: sqlite3.Connection, positions: dict[str, int]) -> Salvage:
    """Copy the readable content of `source` into the empty `target`, inside the caller's transaction.

    Copies the records beyond the publisher's position. Copies names and cursor only when no record is lost: names
    of lost records would prevent their capture from the listing.
    """
    found = Salvage()
    meta = {str(key): value for key, value in _valid_rows(source, found, "meta")}
    found.spool_id = str(meta.get("spool_id", ""))
    position = positions.get(found.spool_id, 0)
    for (seq,) in _readable(source, found, "sequence", "SELECT seq FROM sqlite_sequence WHERE name = 'records'"):
        found.last_seq = seq if isinstance(seq, int) else None
    reached, first = _copy_records(source, target, found, position)
    _copy_tables(source, target, found)
    _check_emptied(source, target, found, parse_names_check(meta.get("names")))
    base = max(position, _number(meta.get("base_seq")))
    if found.last_seq is not None:
        found.last_seq = max(found.last_seq, reached)
        if "meta" not in found.broken:
            found.missing = max(0, found.last_seq - base - found.records)
    last_seq = found.last_seq if found.last_seq is not None else reached
    target.execute("INSERT OR REPLACE INTO meta VALUES ('base_seq', ?)", (str((first or last_seq + 1) - 1),))
    target.execute("DELETE FROM sqlite_sequence WHERE name = 'records'")
    target.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (last_seq,))
    return found


def _copy_records(
    source: sqlite3.Connection, target: sqlite3.Connection, found: Salvage, position: int
) -> tuple[int, int | None]:
    """Copy unsent rows upwards to the first broken page, then from the high end down to it; return last and first."""
    reached, first = position, None
    ceiling = _HIGHEST if found.last_seq is None else found.last_seq
    for direction in ("ASC", "DESC"):
        limit = reached
        for row in _readable(source, found, "records", f"{_RECORDS} ORDER BY seq {direction}", limit):
            seq = row[0]
            if not is_record(row) or not isinstance(seq, int) or not limit < seq <= ceiling:
                found.broken.add("records")
                continue
            if target.execute("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)", row).rowcount:
                found.records += 1
                reached = max(reached, seq)
                first = seq if first is None else min(first, seq)
        if "records" not in found.broken:
            break
    return reached, first


def _copy_tables(source: sqlite3.Connection, target: sqlite3.Connection, found: Salvage) -> None:
    for table in ("gaps", "counters", "rejects", "seen", "cursor"):
        rows: Iterable[_Row] = _valid_rows(source, found, table)
        if table == "cursor":
            rows = upgraded_rows({str(key): str(value) for key, value in rows}).items()
        for row in rows:
            if table == "gaps":
                row = upgraded_gap(row)  # noqa: PLW2901
            marks = ", ".join("?" for _ in row)
            target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608 (names from above)

    for row in _readable(source, found, "old_names", "SELECT * FROM old_names") if _has_old_names(source) else ():
        if _is_seen_row(row):
            target.execute("INSERT OR IGNORE INTO old_names VALUES (?, ?, ?, ?)", row)


def _has_old_names(source: sqlite3.Connection) -> bool:
    try:
        return source.execute("SELECT 1 FROM sqlite_master WHERE name = 'old_names'").fetchone() is not None
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        return False


def _check_emptied(
    source: sqlite3.Connection, target: sqlite3.Connection, found: Salvage, check: NamesCheck | None
) -> None:
    """Mark tables that can be read and yet lack rows: a page of another table may have replaced one of theirs."""
    if check is not None:
        whole = check == count_names(target)
    elif any(_readable(source, found, "schema", _HAS_INDEX)):
        indexed = {name for (name,) in _readable(source, found, "index of seen", _INDEXED_NAMES)}
        whole = indexed <= {name for (name,) in target.execute("SELECT name FROM seen")}
    else:
        whole = False
    if not whole:
        found.broken.add("seen")
    names, entries = (target.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("seen", "cursor"))  # noqa: S608
    if names and not entries:
        found.broken.add("cursor")


def store_inherited_counts(target: sqlite3.Connection) -> None:
    """Store which counts were copied: readers that counted them in the old file must not count them again."""
    inherited = dict(target.execute("SELECT name, value FROM counters"))
    inherited["gaps"] = target.execute("SELECT count(*) FROM gaps").fetchone()[0]
    target.execute("INSERT OR REPLACE INTO meta VALUES ('inherited', ?)", (json.dumps(inherited),))


def _valid_rows(source: sqlite3.Connection, found: Salvage, table: str) -> Iterator[_Row]:
    """Yield the readable and valid rows of a table."""
    for row in _readable(source, found, table, f"SELECT * FROM {table}"):  # noqa: S608 (names from this file)
        if ROW_CHECKS[table](row):
            yield row
        else:
            found.broken.add(table)


def _readable(
    source: sqlite3.Connection, found: Salvage, table: str, query: str, *parameters: object
) -> Iterator[_Row]:
    """Yield the rows that can be read before the first error."""
    rows = 0
    try:
        for row in source.execute(query, parameters):
            yield row
            rows += 1
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        found.broken.add(table)
        log.warning("spool_partly_unreadable", table=table, rows_read=rows, error=str(error))


def is_broken(error: sqlite3.DatabaseError) -> bool:
    """Return whether the file is the cause: unreadable, or without its table (SQLITE_ERROR)."""
    return is_unreadable(error) or error_code(error) == sqlite3.SQLITE_ERROR


def _number(value: object) -> int:
    return int(value) if isinstance(value, str) and value.isdecimal() else 0


def subreddits_of(connection: sqlite3.Connection) -> list[str]:
    """Return the subreddits that the cursor covers, `*` when it names none."""
    state = StreamState.read(entries_of(connection.execute("SELECT key, value FROM cursor")))
    return sorted(state.proven_at) or ["*"]
