"""Recovers a broken spool: builds a new one from its readable content, moves the old one aside, records the loss."""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.spool.committed_positions import read_positions
from core.spool.known_names import count_names, read_names_check, write_names_check
from core.spool.loss import Loss, record_loss, record_lost, record_rescue
from core.spool.model import SPOOL_BROKEN
from core.spool.salvage import (
    ROW_CHECKS,
    Salvage,
    is_broken,
    is_record,
    salvage,
    store_inherited_counts,
    subreddits_of,
)
from core.spool.schema import ensure_schema
from core.spool.spool_files import (
    has_no_header,
    move_aside,
    put_in_place,
    remove_database,
    spool_path,
    suspect_path,
    sync_directory,
)
from core.spool.spool_state import SpoolState, read_spool_state, remembered_states, write_commits
from core.storage.file_guard import FileChange
from core.storage.sqlite import connect, connect_readonly, is_sound, transaction

log = structlog.stdlib.get_logger(__name__)

States = Mapping[str, SpoolState]


def open_database(state_dir: Path, stream: str) -> tuple[sqlite3.Connection, str]:
    """Open the stream's spool for writing; return the connection and the spool_id. `make_database` creates it."""
    connection = connect(spool_path(state_dir, stream))
    try:
        connection.execute("PRAGMA journal_size_limit = 67108864")
        return connection, ensure_schema(connection, stream)
    except BaseException:
        connection.close()
        raise


@dataclass(frozen=True, slots=True)
class Expected:
    """The writer's knowledge of its spool's content."""

    stream: str
    spool_id: str
    commits: int
    last_seq: int


def make_database(state_dir: Path, stream: str, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Create the stream's spool if there is none; `fill` writes its initial content."""
    path = spool_path(state_dir, stream)
    _build(path, stream, fill)
    _put_in_place(path)


def rescue(
    source: sqlite3.Connection, state_dir: Path, expected: Expected, fault: FileChange, clock: Callable[[], float]
) -> bool:
    """Build a new spool from one that lost its file but is still open, and put it in place.

    Args:
        source: the open connection; only read.
        state_dir: the folder of the new file.
        expected: the content that the source must hold to be trusted.
        fault: what happened to the file.
        clock: epoch seconds.

    Returns:
        True when everything is saved, under the same id. False: the readable part is saved, and the ledger records what
        is missing. Raises sqlite3.Error or OSError when no new file can be created now.
    """
    stream, now = expected.stream, clock()
    path = spool_path(state_dir, stream)
    whole = fault is not FileChange.CHANGED and _copy_whole(source, path, expected, fault, now)
    if not whole:
        positions = read_positions(state_dir)
        states = remembered_states(state_dir, stream)

        def fill(target: sqlite3.Connection) -> None:
            with transaction(target):
                found = salvage(source, target, positions)
                if fault is FileChange.CHANGED:  # old pages among new ones: the stream's state cannot be trusted
                    found.broken |= {"seen", "cursor"}
                found.spool_id = expected.spool_id
                if found.last_seq is not None and found.missing is not None and found.last_seq < expected.last_seq:
                    found.missing += expected.last_seq - found.last_seq
                _finish(target, found, states, now)
            _log_rebuilt(path, found, f"{fault}: a new file holds the readable content")

        _build(path, stream, fill)
    _put_in_place(path)
    return whole


def _copy_whole(source: sqlite3.Connection, path: Path, expected: Expected, fault: FileChange, now: float) -> bool:
    """Copy the database page by page to a file beside it; return whether the copy is consistent and as expected."""
    building = path.with_name(path.name + ".building")
    remove_database(building)
    try:
        with contextlib.closing(sqlite3.connect(building)) as target:
            source.backup(target)
        if not is_sound(building):
            return False
        with contextlib.closing(connect(building)) as target:
            found = read_spool_state(target)
            if (found.spool_id, found.commits) != (expected.spool_id, expected.commits):
                return False
            with transaction(target):
                record_rescue(target, fault, now)
                write_commits(target, expected.commits + 1)
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        return False
    building.rename(_rebuilt(path))
    remove_database(building)
    return True


def _build(path: Path, stream: str, fill: Callable[[sqlite3.Connection], None] = lambda _: None) -> None:
    """Create a new spool beside `path`, complete and on disk, under the name that marks a complete one.

    Under its final name a spool is always complete: one without its tables has lost them, and must not count as new.
    """
    building = path.with_name(path.name + ".building")
    remove_database(building)
    with contextlib.closing(sqlite3.connect(building)) as first:
        # must precede the first table: a spool that was large for a day returns the disk space
        first.execute("PRAGMA auto_vacuum = INCREMENTAL")
        first.execute("VACUUM")
    with contextlib.closing(connect(building)) as connection:
        ensure_schema(connection, stream)
        fill(connection)
        write_names_check(connection, count_names(connection))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    building.rename(_rebuilt(path))
    remove_database(building)


def examine(state_dir: Path, stream: str, now: float) -> None:
    """Move the spool aside if it is broken, and start a new one with the salvaged content."""
    path = spool_path(state_dir, stream)
    marker = suspect_path(state_dir, stream)
    if _rebuilt(path).exists():
        _put_in_place(path)  # a predecessor was killed before this step
    elif path.exists() and not path.is_file():
        log.error("spool_moved_aside", moved_to=str(move_aside(path)), hint="it is not a regular file")
    elif path.exists():
        suspected = marker.exists()
        if has_no_header(path) or not _is_valid(path, records=suspected) or (suspected and not is_sound(path)):
            _replace(path, state_dir, stream, now)
        elif suspected:
            log.warning("spool_reads_well", path=str(path), hint="a reader reported it as broken; it is intact")
    marker.unlink(missing_ok=True)


def _is_valid(path: Path, *, records: bool) -> bool:
    """Read everything, the records only on request; return whether a writer left it so. Changes nothing in the file."""
    try:
        with contextlib.closing(connect_readonly(path)) as connection:
            rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in ROW_CHECKS}  # noqa: S608
            connection.execute("SELECT seq FROM sqlite_sequence").fetchone()
            if records and not all(map(is_record, connection.execute("SELECT * FROM records"))):
                return False
            if records and read_names_check(connection) not in {None, count_names(connection)}:
                return False  # an empty or an older page replaces one with names
    except sqlite3.DatabaseError as error:
        if is_broken(error):
            return False
        raise
    if records and rows["seen"] and not rows["cursor"]:
        return False  # an empty page replaces the cursor's
    whole = all(ROW_CHECKS[table](row) for table, found in rows.items() for row in found)
    return whole and "spool_id" in dict(rows["meta"])


def _rebuilt(path: Path) -> Path:
    return path.with_name(path.name + ".rebuilt")


def _replace(path: Path, state_dir: Path, stream: str, now: float) -> None:
    """Build the successor beside the broken file, then exchange them; a kill at any moment loses nothing."""
    positions = read_positions(state_dir)
    states = remembered_states(state_dir, stream)
    _build(path, stream, lambda connection: _fill(path, connection, positions, states, now))
    _put_in_place(path)


def _put_in_place(path: Path) -> None:
    moved = put_in_place(_rebuilt(path), path)
    if moved is not None:
        log.error("spool_moved_aside", moved_to=str(moved))
    # a durable record needs a file that still has its name after a power cut
    sync_directory(path.parent)
    sync_directory(path.parent.resolve().parent)


def _fill(path: Path, target: sqlite3.Connection, positions: dict[str, int], states: States, now: float) -> None:
    found = Salvage(broken={"file"})
    with transaction(target):
        if not has_no_header(path):
            with contextlib.closing(connect_readonly(path)) as source:
                found = salvage(source, target, positions)
        _finish(target, found, states, now)
    _log_rebuilt(path, found, "it was broken: a new file holds the readable content")


def _finish(target: sqlite3.Connection, found: Salvage, states: States, now: float) -> None:
    store_inherited_counts(target)
    _record_unreadable(target, found, states, now)
    if found.spool_id:
        target.execute("INSERT OR REPLACE INTO meta VALUES ('predecessor', ?)", (found.spool_id,))


def _log_rebuilt(path: Path, found: Salvage, hint: str) -> None:
    log.error(
        "spool_rebuilt",
        path=str(path),
        hint=hint,
        records_saved=found.records,
        records_unreadable=found.missing if found.missing is not None else "unknown",
        unreadable=sorted(found.broken),
    )


def _record_unreadable(target: sqlite3.Connection, found: Salvage, states: States, now: float) -> None:
    """Record in the ledger what could not be salvaged; delete names and cursor if a record is lost."""
    subreddits = subreddits_of(target)
    if not found.complete:
        target.execute("DELETE FROM seen")
        target.execute("DELETE FROM old_names")
        target.execute("DELETE FROM cursor")
        record_loss(target, Loss(_reason(found), states.get(found.spool_id)), subreddits, now)
    if "gaps" in found.broken:
        reason = f"{SPOOL_BROKEN}: earlier entries of this ledger could not be read back"
        record_lost(target, subreddits, reason, now)


def _reason(found: Salvage) -> str:
    if found.missing is None:
        return SPOOL_BROKEN
    if found.missing:
        return f"{SPOOL_BROKEN}: {found.missing} captured records could not be read back"
    return f"{SPOOL_BROKEN}: the place in the stream could not be read back"
