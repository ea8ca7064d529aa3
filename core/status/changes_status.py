"""Reads what the process `changes` has done and what waits: counters of its spool, and its small status file."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.spool import SpoolReader

_STREAM = "changes"
_OPS = ("edit", "score", "removed", "deleted", "restored", "gone")


@dataclass(frozen=True, slots=True)
class ChangesStatus:
    """The figures of the process `changes`.

    Attributes:
        checked: looks at items since the first start, by stream.
        changes: reported changes, by kind.
        on_time: looks within the time that counts as on time, since the first start; `late`: the others.
        on_time_1h, late_1h: the same of the last hour.
        skipped: looks that were replaced by a later one, because both were due.
        dropped: items that were given up.
        unfollowed: records that left their spool before they were read.
        duties: items that wait for a look, by stream.
        overdue: items whose look is late now.
        oldest_due: when the first look is or was due, epoch seconds; None: none waits.
        at: when the last five were written, epoch seconds; None: never.
    """

    checked: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    on_time: int = 0
    late: int = 0
    on_time_1h: int = 0
    late_1h: int = 0
    skipped: int = 0
    dropped: int = 0
    unfollowed: int = 0
    duties: Mapping[str, int] = field(default_factory=dict)
    overdue: int = 0
    oldest_due: float | None = None
    at: float | None = None

    @property
    def checked_total(self) -> int:
        """Return the looks of all streams."""
        return sum(self.checked.values())

    @property
    def share_on_time(self) -> float | None:
        """Return the share of looks that were on time, since the first start; None before the first look."""
        return _share(self.on_time, self.late + self.overdue)

    @property
    def share_on_time_1h(self) -> float | None:
        """Return the same of the last hour; None: there was none. Looks that are late now count as late."""
        return _share(self.on_time_1h, self.late_1h + self.overdue)

    def oldest_overdue_s(self, now: float) -> float:
        """Return for how long the oldest look has been due, seconds; 0: none is due."""
        return 0.0 if self.oldest_due is None else max(0.0, now - self.oldest_due)


def status_path(state_dir: Path) -> Path:
    """Return the file that the process `changes` replaces every few seconds."""
    return state_dir / "changes-status.json"


def read_changes_status(state_dir: Path, streams: tuple[str, ...]) -> ChangesStatus | None:
    """Return the figures; None where the process has never run. `streams` are those whose items are looked at."""
    counters = _counters(state_dir)
    stored = _stored(state_dir)
    if counters is None and not stored:
        return None
    count = counters or {}
    duties = stored.get("duties")
    return ChangesStatus(
        checked={stream: count.get(f"checked_{stream}", 0) for stream in streams},
        changes={op: count.get(f"op_{op}", 0) for op in _OPS},
        on_time=count.get("looks_on_time", 0),
        late=count.get("looks_late", 0),
        on_time_1h=_whole(stored.get("on_time_1h")),
        late_1h=_whole(stored.get("late_1h")),
        skipped=count.get("looks_skipped", 0),
        dropped=count.get("looks_dropped", 0),
        unfollowed=sum(_unfollowed(state_dir, stream) for stream in streams),
        duties={stream: _whole(duties.get(stream)) for stream in streams} if isinstance(duties, dict) else {},
        overdue=_whole(stored.get("overdue")),
        oldest_due=_moment(stored.get("oldest_due")),
        at=_moment(stored.get("at")),
    )


def _counters(state_dir: Path, stream: str = _STREAM) -> dict[str, int] | None:
    try:
        reader = SpoolReader.open(state_dir, stream)
        if reader is None:
            return None
        with contextlib.closing(reader):
            return reader.counters()
    except sqlite3.Error:
        return None


def _unfollowed(state_dir: Path, stream: str) -> int:
    return (_counters(state_dir, stream) or {}).get("changes_unfollowed", 0)


def _stored(state_dir: Path) -> dict[str, Any]:
    try:
        found = json.loads(status_path(state_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _share(good: int, bad: int) -> float | None:
    return good / (good + bad) if good + bad else None


def _whole(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _moment(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
