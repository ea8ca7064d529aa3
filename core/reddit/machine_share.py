"""The share of a machine in the client's quota, where several machines use one client id; kept in the quota's file.

The publisher stores the share and reads what the processes of its machine wish for; the limiter of each process applies
the share to the next request.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from core.reddit.bounds import number
from core.reddit.limiter import WISHES_LAST_S, Limiter, Wishes, reading

#: Requests per second that all scrapers of a machine wish for while they fetch: as much as a stream for freshness.
_CRAWL_WISH = 0.6

#: The name under which the publisher opens the file; it sends no requests.
_PROCESS = "publisher"


class StoredShare(NamedTuple):
    """A share in requests per minute, and when it was stored, epoch seconds."""

    per_minute: float
    at: float


def open_share(state_dir: Path, requests_per_minute: float) -> Limiter:
    """Open the file for `Limiter.store_share`, made if necessary; for a process that stores often."""
    return Limiter(state_dir, _PROCESS, requests_per_minute)


def write_share(state_dir: Path, per_minute: float) -> None:
    """Limit all processes of this machine to this share; the file is made if necessary. Raises QuotaFileError."""
    with contextlib.closing(open_share(state_dir, per_minute)) as limiter:
        limiter.store_share(per_minute)


def clear_share(state_dir: Path) -> None:
    """Give this machine the whole quota again: it shares it with no other any more. Raises QuotaFileError."""
    with contextlib.suppress(sqlite3.Error):
        if read_share(state_dir) is None:
            return  # no lock, no file
    with contextlib.closing(open_share(state_dir, 1.0)) as limiter:
        limiter.store_share(None)


def read_share(state_dir: Path) -> StoredShare | None:
    """Return the share as last stored, None if there is none. Raises sqlite3.Error."""
    with reading(state_dir) as connection:
        if connection is None or not _has_table(connection, "share"):
            return None
        row = connection.execute("SELECT per_minute, at FROM share").fetchone()
    per_minute, at = (number(value) for value in row or (None, None))
    return None if per_minute is None or at is None else StoredShare(per_minute, at)


def read_wishes(state_dir: Path, now: float) -> Wishes:
    """Return what all processes of this machine together need and wish for at `now` (epoch seconds).

    Raises sqlite3.Error.
    """
    with reading(state_dir) as connection:
        if connection is None or not _has_table(connection, "crawlers"):
            return Wishes(0.0, 0.0)
        recent = (now - WISHES_LAST_S, now + WISHES_LAST_S)
        streams = connection.execute("SELECT needed, wished FROM wishes WHERE at BETWEEN ? AND ?", recent).fetchall()
        crawls = connection.execute("SELECT 1 FROM crawlers WHERE at BETWEEN ? AND ?", recent).fetchone()
    needed = sum((max(0.0, number(one) or 0.0) for one, _ in streams), 0.0)
    wished = sum((max(0.0, number(one) or 0.0, number(two) or 0.0) for one, two in streams), 0.0)
    return Wishes(needed, wished + (_CRAWL_WISH if crawls else 0.0))


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether the file is of a version with this table."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None
