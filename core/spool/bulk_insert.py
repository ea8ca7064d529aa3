"""Writes the rows of a batch efficiently: many in one statement. A page has up to a hundred records."""

import sqlite3
from collections.abc import Sequence
from itertools import chain

from core.spool.model import Record, Seen

#: Rows per statement: half the cost of a row is that of its statement.
_ROWS = 50

_INSERT = "INSERT INTO records (captured_at, key, value, schema) VALUES (?, ?, ?, ?)"
_INSERT_MANY = _INSERT + ", (?, ?, ?, ?)" * (_ROWS - 1)

_ADD = "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)"
_ADD_MANY = _ADD + ", (?, ?, ?, ?)" * (_ROWS - 1)


def insert_records(connection: sqlite3.Connection, records: list[Record], now: float) -> None:
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


def add_names(connection: sqlite3.Connection, seen: Sequence[Seen]) -> int:
    """Store the names that are not stored yet; return their number."""
    many = len(seen) - len(seen) % _ROWS
    added = 0
    for start in range(0, many, _ROWS):
        added += connection.execute(_ADD_MANY, list(chain.from_iterable(seen[start : start + _ROWS]))).rowcount
    if many < len(seen):
        added += connection.executemany(_ADD, map(tuple, seen[many:])).rowcount  # plain tuples are faster
    return added
