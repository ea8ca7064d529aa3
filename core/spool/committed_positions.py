"""Reads the delivered positions that the publisher recorded, for pruning, recovery and statistics.

The publisher writes the file (see streams.positions.publisher_store, which owns its tables), and so does the command
`dead-letters` in short transactions; this module reads it.
"""

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from core.storage.sqlite import connect_readonly, is_corrupt

_FILE = "publisher.db"

#: Dead letters that the position has passed; a record beyond the position is still to be sent, and counts as waiting.
_PASSED = (
    "SELECT {} FROM dead_letters"
    " WHERE seq <= (SELECT seq FROM positions WHERE positions.spool_id = dead_letters.spool_id)"
)

#: The file is missing or has no tables: there is nothing to read.
_ABSENT = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_ERROR}


def publisher_path(state_dir: Path) -> Path:
    """Return the file that holds the publisher's positions."""
    return state_dir / _FILE


def read_positions(state_dir: Path) -> dict[str, int]:
    """Return spool_id → last seq up to which everything is delivered (or dead-lettered).

    Empty when the file is missing or broken, which its owner will report and replace: "nothing is delivered" is the
    answer that loses nothing. Raises sqlite3.OperationalError when the file exists but cannot be read now.
    """
    return _read(state_dir, "SELECT spool_id, seq FROM positions")


def read_deliveries(state_dir: Path) -> dict[str, tuple[int, float]]:
    """Return spool_id → last delivered seq, and when it was recorded; same errors as read_positions."""
    return {
        str(name): (int(seq), float(at))
        for name, seq, at in _rows(state_dir, "SELECT spool_id, seq, at FROM positions")
    }


def read_known_streams(state_dir: Path) -> set[str]:
    """Return the streams of which the publisher has read a spool; same errors as read_positions."""
    return {str(stream) for (stream,) in _rows(state_dir, "SELECT DISTINCT stream FROM positions")}


def read_spool_states(state_dir: Path, stream: str) -> list[tuple[float, str]]:
    """Return the copies of the states of this stream's spools (see core.spool.spool_state), each with its time.

    Same errors as read_positions.
    """
    rows = _rows(state_dir, "SELECT stream, at, state FROM spool_states ORDER BY at")
    return [(float(at), str(state)) for name, at, state in rows if name == stream]


def read_topic_ends(state_dir: Path, spool_id: str) -> str | None:
    """Return the topic's content before any record of this spool (see core.spool.predecessor), None until known.

    Same errors as read_positions.
    """
    rows = _rows(state_dir, "SELECT spool_id, ends FROM topic_ends")
    return next((str(ends) for name, ends in rows if name == spool_id), None)


def read_publisher_counters(state_dir: Path) -> dict[str, int]:
    """Return the publisher's durable counters (`published`, `errors`, …); same errors as read_positions."""
    return _read(state_dir, "SELECT name, value FROM counters")


def read_dead_letters(state_dir: Path) -> dict[str, int]:
    """Return spool_id → number of its dead letters, dropped ones too; same errors as read_positions."""
    kept = Counter(_read(state_dir, _PASSED.format("spool_id, count(*)") + " GROUP BY spool_id"))
    return dict(kept + Counter(_read(state_dir, "SELECT spool_id, number FROM dropped_letters")))


def read_newest_dead_letter(state_dir: Path) -> float | None:
    """Return when the newest kept dead letter was refused, epoch seconds; same errors as read_positions."""
    found = _rows(state_dir, _PASSED.format("max(at)"))
    return None if not found or found[0][0] is None else float(found[0][0])


def _read(state_dir: Path, query: str) -> dict[str, int]:
    return {str(name): int(value) for name, value in _rows(state_dir, query)}


def _rows(state_dir: Path, query: str) -> list[tuple[Any, ...]]:
    path = publisher_path(state_dir)
    if not path.exists():
        return []
    try:
        with contextlib.closing(connect_readonly(path)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.DatabaseError as error:
        if is_corrupt(error) or error.sqlite_errorcode & 0xFF in _ABSENT:
            return []
        raise
