"""Since when Kafka is away, for those who do not talk to it: a small file that is there while the publisher misses it.

Only the publisher writes and removes it. One that was killed during an outage leaves it, and its successor removes it
with the first record that arrives: readers believe the file only while records wait.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from core.jsonfile import replace_json

log = structlog.stdlib.get_logger(__name__)


def outage_path(state_dir: Path) -> Path:
    """Return the file."""
    return state_dir / "kafka-away.json"


def read_outage(state_dir: Path) -> float | None:
    """Return since when Kafka is away (seconds since 1970), None where nobody misses it."""
    try:
        since = json.loads(outage_path(state_dir).read_text(encoding="utf-8"))["since"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("outage_unreadable", error=str(error), hint="taken for none")
        return None
    return float(since) if isinstance(since, int | float) else None


class OutageMark:
    """The writer of the file. A disk that does not take it changes nothing but what others can know."""

    def __init__(self, state_dir: Path, wall: Callable[[], float] = time.time) -> None:
        self._path = outage_path(state_dir)
        self._wall = wall
        self._there = self._path.exists()

    def begins(self, seconds_ago: float) -> None:
        """Say that Kafka is away; an outage that outlived our predecessor keeps its beginning."""
        if self._there:
            return
        try:
            replace_json(self._path, {"since": round(self._wall() - seconds_ago, 3)})
        except OSError as error:
            log.warning("outage_not_marked", error=str(error), hint="free the disk; the monitor learns of it later")
        else:
            self._there = True

    def ends(self) -> None:
        """Say that Kafka answers; called at each arrival, so it costs nothing while there is no outage."""
        if not self._there:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("outage_not_unmarked", error=str(error), hint=f"make {self._path.parent} writable")
        else:
            self._there = False
