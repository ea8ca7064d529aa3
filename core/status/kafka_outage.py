"""The file that records a Kafka outage, for processes without a connection: it exists while the outage lasts.

It also holds Kafka's last answer if Kafka is reachable and refuses records.

Only the publisher writes and removes it. A publisher killed during an outage leaves it, and its successor removes it
with the first delivered record: readers use the file only while records wait.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from core.storage.private_files import replace_json

log = structlog.stdlib.get_logger(__name__)

#: Seconds for which Kafka's answer is valid: the publisher checks again at least every half minute.
REFUSED_FOR = 90.0

_WRITE_EVERY = 10.0


def outage_path(state_dir: Path) -> Path:
    """Return the file."""
    return state_dir / "kafka-away.json"


def read_outage(state_dir: Path) -> float | None:
    """Return when the outage began (epoch seconds), None without one."""
    since = _read(state_dir).get("since")
    return float(since) if isinstance(since, int | float) else None


def read_refusal(state_dir: Path, now: float) -> str:
    """Return Kafka's error text when it refuses records; empty when it does not answer at all."""
    known = _read(state_dir)
    at, why = known.get("refused_at"), known.get("refusal")
    fresh = isinstance(at, int | float) and now - at < REFUSED_FOR
    return why if fresh and isinstance(why, str) else ""


def _read(state_dir: Path) -> dict[str, object]:
    try:
        known = json.loads(outage_path(state_dir).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("outage_unreadable", error=str(error), hint="treated as no outage")
        return {}
    return known if isinstance(known, dict) else {}


class OutageMark:
    """The writer of the file. A failed write affects only the readers."""

    def __init__(self, state_dir: Path, wall: Callable[[], float] = time.time) -> None:
        self._path = outage_path(state_dir)
        self._wall = wall
        self._there = self._path.exists()
        self._since = read_outage(state_dir) or wall()
        self._refusal, self._refused_at = "", 0.0

    def begins(self, seconds_ago: float) -> None:
        """Record that Kafka is unavailable; an outage that began under a previous publisher keeps its start."""
        if self._there:
            return
        self._since = round(self._wall() - seconds_ago, 3)
        self._there = self._write({"since": self._since})

    def refused(self, why: str) -> None:
        """Record Kafka's answer: it is reachable and refuses records. Costs nothing if recorded just before."""
        now = self._wall()
        if not self._there or (why == self._refusal and 0 <= now - self._refused_at < _WRITE_EVERY):
            return
        self._refusal, self._refused_at = why, now
        self._write({"since": self._since, "refusal": why, "refused_at": round(now, 3)})

    def _write(self, known: dict[str, object]) -> bool:
        try:
            replace_json(self._path, known)
        except OSError as error:
            log.warning(
                "outage_not_marked",
                error=str(error),
                hint="free disk space; until then the monitor does not show the outage",
            )
            return False
        return True

    def ends(self) -> None:
        """Record that Kafka accepts records; called at each delivery, so it costs nothing without an outage."""
        if not self._there:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("outage_not_unmarked", error=str(error), hint=f"make {self._path.parent} writable")
        else:
            self._there = False
