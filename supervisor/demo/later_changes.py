"""The later changes of the demo: what the simulator makes, when items are looked at, and how far the looks are."""

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.spool.followed_positions import changes_path
from core.status.changes_status import read_changes_status
from core.storage.sqlite import connect_readonly
from core.stream_kinds import stream_names

#: Ages of the looks, seconds. The last one is after the last change, and the demo ends when it is over.
AGES_S = (5.0, 10.0, 15.0)

#: Ages at which items change, seconds.
CHANGE_AGES_S = (3.0, 12.0)

#: Options of the simulator: what is edited, and what is removed, deleted or gone.
SIMULATOR_OPTIONS = {"edited-share": 0.03, "lost-posts-share": 0.15, "lost-comments-share": 0.05}

#: An item that was shown this long ago is captured, seconds.
_CAPTURED_AFTER_S = 1.5

LATEST = "reddit-posts.latest"


def fresh_item(truth: Iterable[Mapping[str, Any]], now: float) -> str | None:
    """Return the name of an item that was captured, most probably, and has looks left; None: there is none."""
    fresh = [
        item["fullname"]
        for item in truth
        if item["removed_at"] is None
        and item["shown_at"] is not None
        and now - item["shown_at"] > _CAPTURED_AFTER_S
        and now - item["created"] < AGES_S[1]
    ]
    return max(fresh, default=None)


def changes_line(state_dir: Path) -> str:
    """Return the line below the status: looks and changes so far."""
    status = read_changes_status(state_dir, stream_names())
    if status is None:
        return "starting …"
    found = " · ".join(f"{number:,} {op}" for op, number in status.changes.items() if number)
    return f"{status.checked_total:,} looks at delivered items · {found or 'no change yet'}"


def is_settled(state_dir: Path) -> bool:
    """Return whether no item waits for a look, and no event for Kafka."""
    status = read_changes_status(state_dir, stream_names())
    if status is None or status.spooled:
        return False
    try:
        with contextlib.closing(connect_readonly(changes_path(state_dir))) as connection:
            return connection.execute("SELECT 1 FROM blocks LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False  # not there yet, or just being written
