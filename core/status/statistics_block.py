"""The statistics of a run, read from durable files, so that a killed process loses no count."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from core.reddit.limiter import read_counters
from core.spool import SpoolReader
from core.spool.committed_positions import read_positions, read_publisher_counters
from core.stream_kinds import stream_names

_RULE = "=" * 60

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers since the start of a run; the queue is captured and not yet acknowledged items, of any run."""

    processed: Counter[str] = field(default_factory=Counter)  #: items captured, by stream
    kafka_published: int = 0
    kafka_errors: int = 0
    rate_limit_hits: int = 0
    queue_size: int = 0

    @property
    def total_items(self) -> int:
        """Return the number of items that all streams captured."""
        return self.processed.total()

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name, the total among them."""
        numbers = asdict(self)
        del numbers["processed"]
        captured = {f"{stream}_processed": self.processed[stream] for stream in stream_names()}
        return {**captured, **numbers, "total_items": self.total_items}


class Meter:
    """Counts from its creation. The files that it reads may be absent, replaced or broken at any time."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._captured: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._latest: dict[tuple[str, str], int] = {}
        self._queue_size = 0
        self._reported: set[str] = set()
        self.read()
        self._captured.clear()
        self._counted.clear()

    def read(self) -> Statistics:
        """Read the files and return the numbers since this meter was created."""
        self._attempt("spool", self._read_spools)
        self._attempt("publisher", self._read_publisher)
        self._attempt("quota", self._read_quota)
        return Statistics(
            processed=self._captured.copy(),
            kafka_published=self._counted["published"],
            kafka_errors=self._counted["errors"],
            rate_limit_hits=self._counted["rate_limit_hits"],
            queue_size=self._queue_size,
        )

    def _attempt(self, what: str, read: Callable[[], None]) -> None:
        """Read; if a file cannot be read now, keep its last numbers, and log it once."""
        try:
            read()
        except (sqlite3.Error, OSError) as error:
            if what not in self._reported:
                log.warning("statistics_incomplete", file=what, error=str(error))
                self._reported.add(what)
        else:
            self._reported.discard(what)

    def _read_spools(self) -> None:
        positions = read_positions(self._state_dir)
        waiting = 0
        for stream in stream_names():
            reader = SpoolReader.open(self._state_dir, stream)
            if reader is None:
                continue
            with contextlib.closing(reader):
                captured, inherited = (each.get("captured", 0) for each in (reader.counters(), reader.inherited()))
                self._captured[stream] += self._growth(stream, reader.spool_id, captured, inherited)
                waiting += reader.waiting_after(positions.get(reader.spool_id, 0))
        self._queue_size = waiting

    def _read_publisher(self) -> None:
        counters = read_publisher_counters(self._state_dir)
        for name in ("published", "errors"):
            self._counted[name] += self._growth(name, "", counters.get(name, 0))

    def _read_quota(self) -> None:
        hits = read_counters(self._state_dir)["rate_limit_hits"]
        self._counted["rate_limit_hits"] += self._growth("rate_limit_hits", "", hits)

    def _growth(self, name: str, source: str, value: int, inherited: int = 0) -> int:
        """Return the increase of a durable counter; one that decreased belongs to a new file, which began at zero.

        Counts that a new source has `inherited` from a broken one were counted there, or before this meter's start.
        """
        latest = self._latest.get((name, source), inherited)
        self._latest[name, source] = value
        return value - latest if value >= latest else value


def render(statistics: Statistics) -> str:
    """Format the numbers as the known text block."""
    lines = [
        *((f"{stream.capitalize()} processed:", statistics.processed[stream]) for stream in stream_names()),
        ("Total items:", statistics.total_items),
        ("Kafka published:", statistics.kafka_published),
        ("Kafka errors:", statistics.kafka_errors),
        ("Rate limit hits:", statistics.rate_limit_hits),
        ("Queue size:", statistics.queue_size),
    ]
    body = [f"{label:<23}{value:,}" for label, value in lines]
    return "\n".join([_RULE, "STREAMING STATISTICS", _RULE, *body, _RULE])
