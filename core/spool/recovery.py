"""When a spool is broken: move it aside, bring back what can be read, and say what cannot."""

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.positions import read_positions
from core.spool.files import move_aside, spool_path, suspect_path
from core.spool.schema import ensure_schema
from core.sqlite import connect, connect_readonly, is_corrupt, is_sound, transaction

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Salvage:
    """What could be read out of a broken file."""

    records: list[tuple[object, ...]] = field(default_factory=list)
    seen: list[tuple[object, ...]] = field(default_factory=list)
    cursor: list[tuple[object, ...]] = field(default_factory=list)
    gaps: list[tuple[object, ...]] = field(default_factory=list)
    counters: list[tuple[object, ...]] = field(default_factory=list)
    #: highest seq the old file had given; None when even that was unreadable
    last_seq: int | None = None
    #: how many unsent records could not be read; None when unknown
    missing: int | None = None
    complete: bool = False


def open_database(state_dir: Path, stream: str) -> tuple[sqlite3.Connection, str]:
    """Open (or make) the stream's spool for writing; return the connection and the spool_id."""
    path = spool_path(state_dir, stream)
    fresh = not path.exists()
    connection = _connect(path, vacuum=fresh)
    return connection, ensure_schema(connection, stream)


def _connect(path: Path, *, vacuum: bool) -> sqlite3.Connection:
    if vacuum:
        # must stand before the first table: a spool that was large for a day gives the disk back
        with contextlib.closing(sqlite3.connect(path)) as first:
            first.execute("PRAGMA auto_vacuum = INCREMENTAL")
            first.execute("VACUUM")
    connection = connect(path)
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def examine(state_dir: Path, stream: str, now: float) -> None:
    """Move the spool aside if it is broken, and start a new one with what could be salvaged."""
    path = spool_path(state_dir, stream)
    marker = suspect_path(state_dir, stream)
    if path.exists() and (marker.exists() or not _opens(path)):
        if is_sound(path):
            log.warning("spool was reported broken, but reads well", path=str(path))
        else:
            _replace(path, state_dir, stream, now)
    marker.unlink(missing_ok=True)


def _opens(path: Path) -> bool:
    try:
        with contextlib.closing(connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            for table in ("meta", "cursor", "gaps", "counters"):
                if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                    connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 (names from the line above)
    except sqlite3.DatabaseError as error:
        if is_corrupt(error):
            return False
        raise
    return True


def _replace(path: Path, state_dir: Path, stream: str, now: float) -> None:
    salvage = _salvage(path, read_positions(state_dir))
    aside = move_aside(path)
    connection, _ = open_database(state_dir, stream)
    with contextlib.closing(connection):
        with transaction(connection):
            _refill(connection, salvage, now)
    log.error(
        "spool was broken: moved aside, started a new one",
        moved_to=str(aside),
        records_saved=len(salvage.records),
        records_unreadable=salvage.missing if salvage.missing is not None else "unknown",
        names_saved=len(salvage.seen) if salvage.complete else 0,
    )


def _salvage(path: Path, positions: dict[str, int]) -> Salvage:
    found = Salvage()
    try:
        connection = connect_readonly(path)
    except sqlite3.DatabaseError:
        return found
    with contextlib.closing(connection):
        meta = {str(key): value for key, value in _rows(connection, "SELECT key, value FROM meta")}
        position = positions.get(str(meta.get("spool_id", "")), 0)
        for (last_seq,) in _rows(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'records'"):
            found.last_seq = int(str(last_seq))
        found.records = _salvage_records(connection, position)
        base = max(position, int(str(meta.get("base_seq", 0))))
        if found.last_seq is not None:
            found.missing = max(0, found.last_seq - base - len(found.records))
        for name in ("seen", "cursor", "gaps", "counters"):
            setattr(found, name, _rows(connection, f"SELECT * FROM {name}"))  # noqa: S608 (names from the line above)
        # names of records that are gone must not keep the listing from giving them again
        found.complete = found.missing == 0 and bool(found.cursor)
    return found


def _salvage_records(connection: sqlite3.Connection, position: int) -> list[tuple[object, ...]]:
    """Read unsent rows from the low end up to the first broken page, then from the high end down to it."""
    columns = "SELECT seq, key, value, schema, captured_at FROM records WHERE seq > ?"
    upwards = _rows(connection, f"{columns} ORDER BY seq", position)
    reached = int(str(upwards[-1][0])) if upwards else position
    downwards = _rows(connection, f"{columns} ORDER BY seq DESC", reached)
    return upwards + downwards[::-1]


def _rows(connection: sqlite3.Connection, query: str, *parameters: object) -> list[tuple[object, ...]]:
    """Return the rows that can be read before the first error."""
    rows: list[tuple[object, ...]] = []
    try:
        for row in connection.execute(query, parameters):
            rows.append(row)  # noqa: PERF402 (what came before an error must be kept)
    except sqlite3.DatabaseError as error:
        log.error("part of the broken spool is unreadable", query=query, rows_read=len(rows), error=str(error))
    return rows


def _refill(connection: sqlite3.Connection, salvage: Salvage, now: float) -> None:
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", salvage.records)
    first = int(str(salvage.records[0][0])) if salvage.records else (salvage.last_seq or 0) + 1
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('base_seq', ?)", (str(first - 1),))
    if salvage.last_seq is not None:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'records'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (salvage.last_seq,))
    connection.executemany("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", salvage.gaps)
    connection.executemany("INSERT OR IGNORE INTO counters VALUES (?, ?)", salvage.counters)
    if salvage.complete:
        connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", salvage.seen)
        connection.executemany("INSERT OR IGNORE INTO cursor VALUES (?, ?)", salvage.cursor)
        return
    reason = (
        "the spool was broken"
        if salvage.missing is None
        else f"the spool was broken: {salvage.missing} captured records could not be read back"
    )
    # an empty cursor would mean a first start, and `start = "now"` would then skip what stands in the listing
    connection.execute("INSERT OR REPLACE INTO cursor VALUES ('recovered', 'true')")
    subreddits = _subreddits(salvage)
    connection.execute(
        'INSERT INTO gaps (subreddits, start, "end", reason, recorded_at, epoch, pending, unproven, found)'
        " VALUES (?, NULL, ?, ?, ?, 1, '[]', ?, 0)",
        (json.dumps(subreddits), now, reason, now, json.dumps(subreddits)),
    )


def _subreddits(salvage: Salvage) -> list[str]:
    """Name the subreddits the old cursor covered, `*` when that is unreadable."""
    proven = {str(key): value for key, value in salvage.cursor}.get("proven_at")
    try:
        return sorted(json.loads(str(proven))) if proven else ["*"]
    except ValueError:
        return ["*"]
