"""Writes a batch into the tables of a spool, inside the caller's transaction: records, cursor, gaps, rejects, counters.

The names of a batch have their own module, core.spool.known_names. A page has up to a hundred records, so many rows
are written in one statement.
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from core.spool.model import Batch, Gap, Record

#: Rows per statement: half the cost of a row is that of its statement.
_ROWS = 50

_INSERT = "INSERT INTO records (captured_at, key, value, schema) VALUES (?, ?, ?, ?)"
_INSERT_MANY = _INSERT + ", (?, ?, ?, ?)" * (_ROWS - 1)

_COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


def write_batch(
    connection: sqlite3.Connection, batch: Batch, cursor: Mapping[str, str | None], now: float
) -> list[int | None]:
    """Write everything of a batch but its new names; return the ids of its gaps.

    Args:
        connection: in a transaction.
        batch: the changes.
        cursor: the rows of the cursor to write; None: the row is deleted.
        now: the time of capture, epoch seconds.
    """
    _insert_records(connection, batch.records, now)
    if batch.prove_epoch is not None and batch.prove_buckets is None:
        connection.execute("UPDATE seen SET epoch = ? WHERE epoch = 0", (batch.prove_epoch,))
    elif batch.prove_epoch is not None:
        connection.execute(
            "UPDATE seen SET epoch = ? WHERE epoch = 0 AND bucket IN (SELECT value FROM json_each(?))"
            " AND name NOT IN (SELECT value FROM json_each(?))",
            (batch.prove_epoch, json.dumps(batch.prove_buckets), json.dumps(batch.prove_except)),
        )
    kept = [(key, text) for key, text in cursor.items() if text is not None]
    connection.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", kept)
    if len(kept) < len(cursor):
        deleted = [(key,) for key, text in cursor.items() if text is None]
        connection.executemany("DELETE FROM cursor WHERE key = ?", deleted)
    if batch.dropped_gaps:
        connection.executemany("DELETE FROM gaps WHERE id = ?", [(gap_id,) for gap_id in batch.dropped_gaps])
    gap_ids = [_store_gap(connection, gap) for gap in batch.gaps]
    if batch.rejects:
        rejected = [(now, reason, raw) for reason, raw in batch.rejects]
        connection.executemany("INSERT INTO rejects (at, reason, raw) VALUES (?, ?, ?)", rejected)
    add_counters(connection, batch.counters)
    return gap_ids


def add_counters(connection: sqlite3.Connection, amounts: Mapping[str, int]) -> None:
    """Add to the durable counters."""
    for name, amount in amounts.items():
        connection.execute(_COUNT, (name, amount))


def _insert_records(connection: sqlite3.Connection, records: list[Record], now: float) -> None:
    """Append the records in their order; `now`: the time of capture, epoch seconds.

    Key and value are passed as bytearrays: for bytes, sqlite3 searches an adapter each time, which takes longer than
    a copy.
    """
    many = len(records) - len(records) % _ROWS
    for start in range(0, many, _ROWS):
        values: list[object] = []
        for key, value, schema in records[start : start + _ROWS]:
            values += (now, bytearray(key), bytearray(value), schema)
        connection.execute(_INSERT_MANY, values)
    if many < len(records):
        rows = [(now, bytearray(key), bytearray(value), schema) for key, value, schema in records[many:]]
        connection.executemany(_INSERT, rows)


def _store_gap(connection: sqlite3.Connection, gap: Gap) -> int | None:
    """Insert or update the ledger's entry, and return its id."""
    values = row_of_gap(gap)
    marks = ", ".join("?" for _ in values)
    return connection.execute(f"INSERT OR REPLACE INTO gaps VALUES ({marks})", values).lastrowid  # noqa: S608


def row_of_gap(gap: Gap) -> tuple[Any, ...]:
    """Return a gap as a row of the table `gaps`; `core.spool.spool_reader.gap_of_row` is the inverse."""
    return (
        gap.id,
        json.dumps(gap.subreddits),
        gap.start,
        gap.end,
        gap.reason,
        gap.recorded_at,
        gap.epoch,
        json.dumps(gap.pending),
        json.dumps(gap.unproven),
        gap.found,
        gap.state.value,
        gap.closed_at,
        gap.late_from,
    )
