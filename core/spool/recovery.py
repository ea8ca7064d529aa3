"""When a spool is broken: build a new one from what can be read, move the old one aside, and say what is lost."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import structlog

from core.positions import read_positions
from core.spool.files import is_headless, move_aside, remove_database, spool_path, suspect_path, sync_directory
from core.spool.salvage import (
    SENSE,
    Salvage,
    is_broken,
    is_record,
    note_inheritance,
    salvage,
    subreddits_of,
)
from core.spool.schema import ensure_schema
from core.sqlite import connect, connect_readonly, is_sound, transaction

log = structlog.stdlib.get_logger(__name__)


def open_database(state_dir: Path, stream: str) -> tuple[sqlite3.Connection, str]:
    """Open (or make) the stream's spool for writing; return the connection and the spool_id."""
    path = spool_path(state_dir, stream)
    if not path.exists():
        _build(path, stream)
        _put_in_place(path)
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_size_limit = 67108864")
        return connection, ensure_schema(connection, stream)
    except BaseException:
        connection.close()
        raise


def _build(path: Path, stream: str, fill: Callable[[sqlite3.Connection], None] = lambda _: None) -> None:
    """Make a new spool beside `path`, whole and on disk, under the name that says so.

    Under its own name a spool is never half made: one without its tables has lost them, and must not pass for new.
    """
    building = path.with_name(path.name + ".building")
    remove_database(building)
    with contextlib.closing(sqlite3.connect(building)) as first:
        # must stand before the first table: a spool that was large for a day gives the disk back
        first.execute("PRAGMA auto_vacuum = INCREMENTAL")
        first.execute("VACUUM")
    with contextlib.closing(connect(building)) as connection:
        ensure_schema(connection, stream)
        fill(connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    building.rename(_rebuilt(path))
    remove_database(building)


def examine(state_dir: Path, stream: str, now: float) -> None:
    """Move the spool aside if it is broken, and start a new one with what could be salvaged."""
    path = spool_path(state_dir, stream)
    marker = suspect_path(state_dir, stream)
    if _rebuilt(path).exists():
        _put_in_place(path)  # a predecessor was killed before it got so far
    elif path.exists():
        suspected = marker.exists()
        if is_headless(path) or not _makes_sense(path, records=suspected) or (suspected and not is_sound(path)):
            _replace(path, state_dir, stream, now)
        elif suspected:
            log.warning("spool_reads_well", path=str(path), hint="it was reported broken, but it is not")
    marker.unlink(missing_ok=True)


def _makes_sense(path: Path, *, records: bool) -> bool:
    """Read everything, the records only if asked, and tell whether a writer left it so. Changes nothing in the file."""
    try:
        with contextlib.closing(connect_readonly(path)) as connection:
            rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in SENSE}  # noqa: S608
            connection.execute("SELECT seq FROM sqlite_sequence").fetchone()
            if records and not all(map(is_record, connection.execute("SELECT * FROM records"))):
                return False
    except sqlite3.DatabaseError as error:
        if is_broken(error):
            return False
        raise
    whole = all(SENSE[table](row) for table, found in rows.items() for row in found)
    return whole and "spool_id" in dict(rows["meta"])


def _rebuilt(path: Path) -> Path:
    return path.with_name(path.name + ".rebuilt")


def _replace(path: Path, state_dir: Path, stream: str, now: float) -> None:
    """Build the successor beside the broken file, then exchange them; whenever we are killed, nothing is forgotten."""
    positions = read_positions(state_dir)
    _build(path, stream, lambda connection: _fill(path, connection, positions, now))
    _put_in_place(path)


def _put_in_place(path: Path) -> None:
    if path.exists():
        log.error("spool_moved_aside", moved_to=str(move_aside(path)))
    elif path.with_name(path.name + "-wal").exists():
        move_aside(path)  # killed in the middle of moving: SQLite must not find a foreign WAL beside the new file
    _rebuilt(path).rename(path)
    # a record that was promised to be on disk needs a file that still has its name after a power cut
    sync_directory(path.parent)
    sync_directory(path.parent.resolve().parent)


def _fill(path: Path, target: sqlite3.Connection, positions: dict[str, int], now: float) -> None:
    found = Salvage(broken={"file"})
    with transaction(target):
        if not is_headless(path):
            with contextlib.closing(connect_readonly(path)) as source:
                found = salvage(source, target, positions)
        note_inheritance(target)
        _record_loss(target, found, now)
    log.error(
        "spool_rebuilt",
        path=str(path),
        hint="it was broken: a new one begins with what could be read",
        records_saved=found.records,
        records_unreadable=found.missing if found.missing is not None else "unknown",
        unreadable=sorted(found.broken),
    )


def _record_loss(target: sqlite3.Connection, found: Salvage, now: float) -> None:
    """Enter into the ledger what could not be brought over; forget names and cursor where a record is lost."""
    subreddits = json.dumps(subreddits_of(target))
    if not found.complete:
        target.execute("DELETE FROM seen")
        target.execute("DELETE FROM cursor")
        # an empty cursor would mean a first start, and `start = "now"` would then skip what stands in the listing
        target.execute("INSERT INTO cursor VALUES ('recovered', 'true')")
    for reason in _losses(found):
        target.execute(
            'INSERT INTO gaps (subreddits, start, "end", reason, recorded_at, epoch, pending, unproven, found, state,'
            " closed_at) VALUES (?, NULL, ?, ?, ?, 1, '[]', ?, 0, 'lost', ?)",
            (subreddits, now, reason, now, subreddits, now),
        )


def _losses(found: Salvage) -> list[str]:
    losses = []
    if found.missing is None:
        losses.append("the spool was broken")
    elif found.missing:
        losses.append(f"the spool was broken: {found.missing} captured records could not be read back")
    elif not found.complete:
        losses.append("the spool was broken: the place in the stream could not be read back")
    if "gaps" in found.broken:
        losses.append("the spool was broken: earlier entries of this ledger could not be read back")
    return losses
