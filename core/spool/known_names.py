"""The names that a stream has met: their table, and a checksum that detects missing rows.

A page of the table may be lost without a read error: an empty or an older page replaces it. So each
transaction that changes the table stores the number of names, and the sum of their CRC-32, in `meta`.
"""

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from zlib import crc32

from core.spool.model import Seen

#: Name → (epoch, bucket). Names with the same pair share one object.
SeenNames = dict[str, tuple[int, str]]

#: Its key in `meta`.
NAMES_KEY = "names"
_STORED = re.compile(r"([0-9]{1,12}) ([0-9]{1,20})")

#: Rows per statement: half the cost of a row is that of its statement.
_ROWS = 50

#: Names per search.
_SEARCHED = 10_000

_ADD = "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)"
_ADD_MANY = _ADD + ", (?, ?, ?, ?)" * (_ROWS - 1)


@dataclass(frozen=True, slots=True)
class NamesCheck:
    """The number of names, and the sum of their CRC-32."""

    count: int = 0
    total: int = 0

    @classmethod
    def of(cls, names: Iterable[str]) -> "NamesCheck":
        """Compute it for different names."""
        sums = [crc32(name.encode()) for name in names]
        return cls(len(sums), sum(sums))

    def __str__(self) -> str:
        """Return it as the stored text."""
        return f"{self.count} {self.total}"

    def __add__(self, other: "NamesCheck") -> "NamesCheck":
        return NamesCheck(self.count + other.count, self.total + other.total)

    def __sub__(self, other: "NamesCheck") -> "NamesCheck":
        return NamesCheck(self.count - other.count, self.total - other.total)


def insert_names(connection: sqlite3.Connection, seen: Sequence[Seen], before: NamesCheck) -> NamesCheck:
    """Store the names, replacing existing ones; return the new check of all; `before` is the previous one."""
    if _add_names(connection, seen) == len(seen):
        return before + NamesCheck.of([one[0] for one in seen])
    connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", map(tuple, seen))
    return count_names(connection)


def _add_names(connection: sqlite3.Connection, seen: Sequence[Seen]) -> int:
    """Store the names that are not stored yet; return their number."""
    many = len(seen) - len(seen) % _ROWS
    added = 0
    for start in range(0, many, _ROWS):
        added += connection.execute(_ADD_MANY, list(chain.from_iterable(seen[start : start + _ROWS]))).rowcount
    if many < len(seen):
        added += connection.executemany(_ADD, map(tuple, seen[many:])).rowcount  # plain tuples are faster
    return added


def select_unknown(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    """Return those of the names that are not stored, in their order."""
    query = "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM seen WHERE name = value)"
    query += " AND NOT EXISTS (SELECT 1 FROM old_names WHERE name = value)"
    unknown: list[str] = []
    for start in range(0, len(names), _SEARCHED):
        part = json.dumps(names[start : start + _SEARCHED])
        unknown += [name for (name,) in connection.execute(query, (part,))]
    return unknown


def unprove_names(connection: sqlite3.Connection, buckets: Collection[str]) -> None:
    """Make all names of these buckets unproven."""
    condition = "WHERE epoch > 0 AND bucket IN (SELECT value FROM json_each(?))"
    for table in ("seen", "old_names"):
        connection.execute(f"UPDATE {table} SET epoch = 0 {condition}", (json.dumps(list(buckets)),))  # noqa: S608


def delete_names(connection: sqlite3.Connection, names: Collection[str], before: NamesCheck) -> NamesCheck:
    """Delete these names, each given once; return the new check of the rest; `before` is the previous one."""
    deleted = connection.executemany("DELETE FROM seen WHERE name = ?", [(name,) for name in names]).rowcount
    after = before - NamesCheck.of(names) if deleted == len(names) else count_names(connection)
    write_names_check(connection, after)
    return after


def load_seen_names(connection: sqlite3.Connection) -> SeenNames:
    """Return every name with its epoch and bucket, in the order of meeting."""
    shared: dict[tuple[int, str], tuple[int, str]] = {}
    names: SeenNames = {}
    for name, epoch, bucket in connection.execute("SELECT name, epoch, bucket FROM seen ORDER BY created"):
        mark = (epoch, bucket)
        names[name] = shared.setdefault(mark, mark)
    return names


def count_names(connection: sqlite3.Connection) -> NamesCheck:
    """Read the whole table and return its check."""
    count = total = 0
    for (name,) in connection.execute("SELECT CAST(name AS BLOB) FROM seen"):
        count, total = count + 1, total + crc32(name or b"")
    return NamesCheck(count, total)


def read_names_check(connection: sqlite3.Connection) -> NamesCheck | None:
    """Return the check as the last writer stored it, None when it is missing or invalid."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (NAMES_KEY,)).fetchone()
    return parse_names_check(row[0] if row else None)


def parse_names_check(stored: object) -> NamesCheck | None:
    """Parse the stored text; None for anything else."""
    match = _STORED.fullmatch(stored) if isinstance(stored, str) else None
    return NamesCheck(int(match[1]), int(match[2])) if match else None


def write_names_check(connection: sqlite3.Connection, check: NamesCheck) -> None:
    """Store it, inside the transaction that changes the table."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (NAMES_KEY, str(check)))
