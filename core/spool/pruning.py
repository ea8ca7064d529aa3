"""Deletes rows that a spool no longer needs: delivered records by age and number, and the oldest rejects."""

import sqlite3
from typing import NamedTuple

from core.spool.batch_tables import add_counters

#: Acknowledged rows are kept for inspection for this time (seconds), and up to this number; then they are deleted.
KEEP_SECONDS = 3600.0
KEEP_ROWS = 10_000

#: Acknowledged rows that the process `changes` has not read are kept for this time, and up to this number.
KEEP_UNFOLLOWED_SECONDS = 3 * 86_400.0
KEEP_UNFOLLOWED_ROWS = 1_000_000

#: Entries of listings that were not items are kept for inspection: the newest, up to this number and these bytes.
KEEP_REJECTS = 10_000
KEEP_REJECT_BYTES = 16_000_000

#: Most rows of one transaction.
_CHUNK = 5_000

#: Deletes rows above a seq and up to another one, if they are beyond a number or an age.
_DELETE = (
    "DELETE FROM records WHERE seq IN (SELECT seq FROM records"
    " WHERE seq > ? AND seq <= ? AND (seq <= ? OR captured_at < ?) ORDER BY seq LIMIT ?)"
)


class Deleted(NamedTuple):
    """How many records were deleted, and how many of them the process `changes` had not read."""

    records: int
    unfollowed: int


def delete_records(connection: sqlite3.Connection, *, delivered: int, followed: int, now: float) -> Deleted:
    """Delete delivered records, inside the caller's transaction.

    Args:
        connection: in a transaction.
        delivered: the seq up to which every record is delivered.
        followed: the seq up to which the process `changes` has read them; at most `delivered`.
        now: epoch seconds.
    """
    limits = (0, followed, followed - KEEP_ROWS, now - KEEP_SECONDS, _CHUNK)
    deleted = connection.execute(_DELETE, limits).rowcount
    if followed >= delivered:
        return Deleted(deleted, 0)
    limits = (followed, delivered, delivered - KEEP_UNFOLLOWED_ROWS, now - KEEP_UNFOLLOWED_SECONDS, _CHUNK)
    unfollowed = connection.execute(_DELETE, limits).rowcount
    if unfollowed:
        add_counters(connection, {"changes_unfollowed": unfollowed})
    return Deleted(deleted + unfollowed, unfollowed)


def delete_rejects(connection: sqlite3.Connection) -> int:
    """Delete the oldest rejects beyond the limits and count them, inside the caller's transaction."""
    dropped = connection.execute(
        "DELETE FROM rejects WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER newest AS place,"
        " sum(length(raw)) OVER newest AS bytes FROM rejects WINDOW newest AS (ORDER BY id DESC))"
        " WHERE place > ? OR bytes > ?)",
        (KEEP_REJECTS, KEEP_REJECT_BYTES),
    ).rowcount
    if dropped:
        add_counters(connection, {"rejects_dropped": dropped})
    return dropped
