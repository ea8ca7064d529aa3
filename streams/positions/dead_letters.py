"""The dead letters in publisher.db: stored, resent, dropped. Each function is one step inside a transaction.

The publisher writes them. `python -m supervisor dead-letters` resends or drops them: two short transactions of another
process, which SQLite's own lock separates from the publisher's.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that Kafka refuses, stored whole with the reason."""

    stream: str
    spool_id: str
    seq: int
    key: bytes
    value: bytes
    schema: str
    reason: str


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as the user sees it."""

    id: int
    stream: str
    seq: int
    key: str
    schema: str
    size: int
    reason: str
    at: float
    resending: bool


def store(connection: sqlite3.Connection, letter: DeadLetter, now: float) -> None:
    """Write a dead letter; one written before (the process died before its position passed it) stays."""
    fields = (letter.stream, letter.spool_id, letter.seq, letter.key, letter.value, letter.schema, letter.reason, now)
    connection.execute(
        "INSERT OR IGNORE INTO dead_letters (stream, spool_id, seq, key, value, schema, reason, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        fields,
    )


def finalize(connection: sqlite3.Connection, spool_id: str, seq: int) -> int:
    """Record that a spool's position is `seq`; return how many more of its records are now final dead letters."""
    return connection.execute(
        "UPDATE dead_letters SET passed = 1 WHERE passed = 0 AND spool_id = ? AND seq <= ?", (spool_id, seq)
    ).rowcount


def withdraw(connection: sqlite3.Connection, spool_id: str, seq: int) -> None:
    """Delete the dead letters beyond the position: these records are sent again, and classified again."""
    connection.execute("DELETE FROM dead_letters WHERE passed = 0 AND spool_id = ? AND seq > ?", (spool_id, seq))


def count_between(connection: sqlite3.Connection, spool_id: str, after: int, until: int) -> int:
    """Return the number of dead letters with `after` < seq <= `until`."""
    query = "SELECT count(*) FROM dead_letters WHERE spool_id = ? AND seq > ? AND seq <= ?"
    return int(connection.execute(query, (spool_id, after, until)).fetchone()[0])


def record_refusal(connection: sqlite3.Connection, seq: int, reason: str, now: float) -> None:
    """Record that a dead letter was refused again: it stays, and its request to resend is removed."""
    connection.execute(
        "UPDATE dead_letters SET reason = ?, at = ? WHERE id = (SELECT letter FROM resends WHERE seq = ?)",
        (reason, now, seq),
    )
    connection.execute("DELETE FROM resends WHERE seq = ?", (seq,))


def remove_resent(connection: sqlite3.Connection, seq: int) -> int:
    """Remove the dead letters that arrived, those requested up to `seq`; return their number."""
    arrived = connection.execute(
        "DELETE FROM dead_letters WHERE id IN (SELECT letter FROM resends WHERE seq <= ?)", (seq,)
    ).rowcount
    connection.execute("DELETE FROM resends WHERE seq <= ?", (seq,))
    return arrived


def list_letters(connection: sqlite3.Connection) -> list[StoredLetter]:
    """Return the dead letters, oldest first."""
    rows = connection.execute(
        "SELECT id, stream, seq, key, schema, length(value), reason, at, id IN (SELECT letter FROM resends)"
        " FROM dead_letters WHERE passed ORDER BY id"
    )
    return [
        StoredLetter(
            number, stream, seq, bytes(key).decode(errors="replace"), schema, size, reason, at, bool(resending)
        )
        for number, stream, seq, key, schema, size, reason, at, resending in rows
    ]


def request_resend(connection: sqlite3.Connection, letters: Sequence[StoredLetter]) -> None:
    """Have the publisher resend these; those already in the queue keep their place."""
    connection.executemany(
        "INSERT OR IGNORE INTO resends (letter) VALUES (?)",
        [(letter.id,) for letter in letters if not letter.resending],
    )


def drop(connection: sqlite3.Connection, letters: Sequence[StoredLetter]) -> None:
    """Delete these permanently, and count them, also by spool: otherwise they would look like delivered records."""
    for letter in letters:
        connection.execute(
            "INSERT INTO dropped_letters SELECT spool_id, 1 FROM dead_letters WHERE id = ?"
            " ON CONFLICT (spool_id) DO UPDATE SET number = number + 1",
            (letter.id,),
        )
        connection.execute("DELETE FROM dead_letters WHERE id = ?", (letter.id,))
    if letters:
        connection.execute(COUNT, ("dead_letters_dropped", len(letters)))
