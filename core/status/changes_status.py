"""Reads what the process `changes` has done and what waits: counters of its spool, and its small status file."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from core.spool import SpoolReader
from core.spool.committed_positions import read_deliveries

_STREAM = "changes"

#: Rows that are read to find out how long the oldest one has waited.
_READ = 10

#: The kinds of changes, in display order.
OPS = ("edit", "score", "removed", "deleted", "restored", "gone")


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
        files_lost: how often `changes.db` was lost or broken, since the first start.
        spooled: events and newest states that wait for Kafka.
        stuck_since: since when they wait without a delivery, epoch seconds; None: none waits.
        duties: items that wait for a look, by stream.
        overdue: items whose look is late now.
        oldest_due: when the first look is or was due, epoch seconds; None: none waits.
        lost_at: when the present `changes.db` took the place of a lost one, epoch seconds; None: it did not.
        at: when the figures that are not counters were written, epoch seconds; None: never.
        unreadable: messages about files that cannot be read now.
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
    files_lost: int = 0
    spooled: int = 0
    stuck_since: float | None = None
    duties: Mapping[str, int] = field(default_factory=dict)
    overdue: int = 0
    oldest_due: float | None = None
    lost_at: float | None = None
    at: float | None = None
    unreadable: tuple[str, ...] = ()

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

    @property
    def duties_total(self) -> int:
        """Return the items of all streams that wait for a look."""
        return sum(self.duties.values())

    def oldest_overdue_s(self, now: float) -> float:
        """Return for how long the oldest look has been due, seconds; 0: none is due."""
        return 0.0 if self.oldest_due is None else max(0.0, now - self.oldest_due)

    def document(self, now: float, *, enabled: bool) -> dict[str, Any]:
        """Return the part of `status --json`."""
        return {
            "enabled": enabled,
            "checked": self.checked_total,
            "events": dict(self.changes),
            "on_time": self.share_on_time_1h,
            "oldest_overdue_s": round(self.oldest_overdue_s(now), 1),
            "duties": self.duties_total,
        }


def status_path(state_dir: Path) -> Path:
    """Return the file that the process `changes` replaces every few seconds."""
    return state_dir / "changes-status.json"


def read_changes_status(state_dir: Path, streams: tuple[str, ...]) -> ChangesStatus | None:
    """Return the figures; None where the process has never run. `streams` are those whose items are looked at."""
    unreadable: list[str] = []
    spool = _read_spool(state_dir, unreadable)
    stored = _stored(state_dir)
    if spool is None and not stored and not unreadable:
        return None
    spool = spool or _Spool({})
    count = spool.counters
    duties = stored.get("duties")
    return ChangesStatus(
        checked={stream: count.get(f"checked_{stream}", 0) for stream in streams},
        changes={op: count.get(f"op_{op}", 0) for op in OPS},
        on_time=count.get("looks_on_time", 0),
        late=count.get("looks_late", 0),
        on_time_1h=_whole(stored.get("on_time_1h")),
        late_1h=_whole(stored.get("late_1h")),
        skipped=count.get("looks_skipped", 0),
        dropped=count.get("looks_dropped", 0),
        unfollowed=sum(_unfollowed(state_dir, stream) for stream in streams),
        files_lost=count.get("changes_files_lost", 0),
        spooled=spool.spooled,
        stuck_since=spool.stuck_since,
        duties={stream: _whole(duties.get(stream)) for stream in streams} if isinstance(duties, dict) else {},
        overdue=_whole(stored.get("overdue")),
        oldest_due=_moment(stored.get("oldest_due")),
        lost_at=_moment(stored.get("lost_at")),
        at=_moment(stored.get("at")),
        unreadable=tuple(unreadable),
    )


@dataclass(frozen=True, slots=True)
class _Spool:
    """The spool `changes`; see ChangesStatus."""

    counters: Mapping[str, int]
    spooled: int = 0
    stuck_since: float | None = None


def _read_spool(state_dir: Path, unreadable: list[str]) -> _Spool | None:
    """Read the spool; None where there is none."""
    try:
        reader = SpoolReader.open(state_dir, _STREAM)
        if reader is None:
            return None
        with contextlib.closing(reader):
            seq, delivered_at = read_deliveries(state_dir).get(reader.spool_id, (0, None))
            written = [_written(row.value) for row in reader.read(seq, _READ)]
            oldest = next((moment for moment in written if moment is not None), None)
            stuck = None if oldest is None else max(oldest, delivered_at or 0.0)
            return _Spool(reader.counters(), reader.waiting_after(seq), stuck)
    except (sqlite3.Error, OSError) as error:
        unreadable.append(f"the spool of {_STREAM} cannot be read now: {error}")
        return None


def _written(value: bytes) -> float | None:
    """Return when a row was written, epoch seconds; a tombstone does not say it."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        content = json.loads(value)
        return datetime.fromisoformat(content.get("checked_at") or content["timestamp"]).timestamp()
    return None


def _unfollowed(state_dir: Path, stream: str) -> int:
    with contextlib.suppress(sqlite3.Error, OSError):  # reported with the stream
        reader = SpoolReader.open(state_dir, stream)
        if reader is not None:
            with contextlib.closing(reader):
                return reader.counters().get("changes_unfollowed", 0)
    return 0


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
