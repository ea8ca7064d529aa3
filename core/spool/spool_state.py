"""A copy of a spool's state besides its records: the stream's state and the loss ledger.

The publisher keeps one for each stream in publisher.db, and the monitor one in its own file. Each is taken at a
moment up to which everything is delivered. If the spool file is lost, its successor begins with the newest copy.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from core.spool.committed_positions import read_spool_states
from core.spool.known_names import NAMES_KEY, NamesCheck
from core.spool.schema import upgraded_gap
from core.spool.stream_state import STATE_VERSION, upgraded_rows

#: A ledger is usually short; of a long one only the newest entries are copied.
_MOST_GAPS = 1000

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolState:
    """The cursor (key → JSON text) and the ledger (rows of `gaps`) of a spool after `commits` commits."""

    spool_id: str
    commits: int
    last_seq: int
    cursor: dict[str, str]
    gaps: tuple[tuple[Any, ...], ...] = ()

    def to_json(self) -> str:
        """Return it as the stored text."""
        return json.dumps(self.fields())

    def fields(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return {
            "version": STATE_VERSION,
            "spool_id": self.spool_id,
            "commits": self.commits,
            "last_seq": self.last_seq,
            "cursor": self.cursor,
            "gaps": self.gaps,
        }

    @classmethod
    def from_json(cls, text: str) -> "SpoolState":
        """Parse the stored text. Raises ValueError, TypeError, KeyError or AttributeError for any other."""
        return cls.from_fields(json.loads(text))

    @classmethod
    def from_fields(cls, stored: Mapping[str, Any]) -> "SpoolState":
        """Build it from the decoded text; the same errors."""
        if (version := int(stored.get("version", 1))) > STATE_VERSION:
            raise ValueError(f"it has version {version}, this program knows {STATE_VERSION}")
        return cls(
            str(stored["spool_id"]),
            int(stored["commits"]),
            int(stored["last_seq"]),
            upgraded_rows({str(key): str(value) for key, value in stored["cursor"].items()}),
            tuple(upgraded_gap(tuple(row)) for row in stored["gaps"]),
        )


def read_spool_state(connection: sqlite3.Connection) -> SpoolState:
    """Read it from a spool, at one moment."""
    connection.execute("BEGIN")
    try:
        return SpoolState(
            spool_id=str(_meta(connection, "spool_id") or ""),
            commits=read_commits(connection),
            last_seq=read_last_seq(connection),
            cursor=upgraded_rows(dict(connection.execute("SELECT key, value FROM cursor"))),
            gaps=_gaps(connection),
        )
    finally:
        connection.execute("COMMIT")


def _gaps(connection: sqlite3.Connection) -> tuple[tuple[Any, ...], ...]:
    """Read the newest entries of the ledger, oldest first."""
    rows = connection.execute("SELECT * FROM gaps ORDER BY id DESC LIMIT ?", (_MOST_GAPS,)).fetchall()
    return tuple(map(upgraded_gap, reversed(rows)))


def read_last_seq(connection: sqlite3.Connection) -> int:
    """Return the highest seq that the spool ever assigned, 0 for none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    return int(row[0]) if row else 0


def read_commits(connection: sqlite3.Connection) -> int:
    """Return the number of transactions of the spool, 0 before the first count."""
    value = _meta(connection, "commits")
    return int(value) if value is not None and value.isdecimal() else 0


def write_commits(connection: sqlite3.Connection, commits: int) -> None:
    """Store the number of transactions, inside the one that it counts."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('commits', ?)", (str(commits),))


def write_progress(connection: sqlite3.Connection, commits: int, names: NamesCheck) -> None:
    """Store the number of transactions and the check of the names, in one statement: each commit does."""
    connection.execute(
        "INSERT OR REPLACE INTO meta VALUES ('commits', ?), (?, ?)", (str(commits), NAMES_KEY, str(names))
    )


def read_predecessor(connection: sqlite3.Connection) -> str | None:
    """Return the id of the spool that this one was rebuilt from, None for one that was not rebuilt."""
    return _meta(connection, "predecessor")


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def remembered_states(state_dir: Path, stream: str) -> dict[str, SpoolState]:
    """Return the newest copy of each spool of the stream, by spool_id, the newest last."""
    copies = read_monitor_copies(state_dir).get(stream, [])
    for at, text in read_spool_states(state_dir, stream):
        try:
            copies.append((at, SpoolState.from_json(text)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("spool_state_unreadable", stream=stream, error=repr(error), hint="treated as missing")
    found: dict[str, SpoolState] = {}
    for _, state in sorted(copies, key=lambda copy: copy[0]):
        known = found.pop(state.spool_id, state)
        found[state.spool_id] = max(known, state, key=lambda copy: copy.commits)
    return found


def monitor_copies_path(state_dir: Path) -> Path:
    """Return the file in which the monitor keeps its copies (see supervisor.monitor.sampling.proof_copies)."""
    return state_dir / "monitor-proof.json"


def read_monitor_copies(state_dir: Path) -> dict[str, list[tuple[float, SpoolState]]]:
    """Return by stream the copies that the monitor kept, each with its time, epoch seconds.

    Empty when the file is missing or invalid.
    """
    path = monitor_copies_path(state_dir)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))["streams"]
        return {
            str(stream): [(float(one["at"]), SpoolState.from_fields(one["state"])) for one in copies]
            for stream, copies in stored.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("spool_state_unreadable", path=str(path), error=repr(error), hint="treated as missing")
        return {}
