"""Records that Kafka refuses for their size, and that are sent without the object `reddit` instead.

The row in the spool stays whole. Nothing about this is stored: after a restart, and when a dead letter is sent again,
the whole record is tried first. A record that is refused without `reddit` too is a dead letter, and kept whole.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog

from core.record_value import REDDIT, without_reddit
from streams.positions.position_writer import PositionWriter
from streams.sources.base import PlainRow

#: The header of a record that was sent without `reddit`.
DROPPED: tuple[str, str | bytes | None] = ("dropped", REDDIT)

#: The publisher's counter of such records that have arrived.
COUNTER = "payloads_dropped"


class ReducedRecord(NamedTuple):
    """A record that goes without `reddit`: its value without it, and what the log says of it."""

    value: bytes
    stream: str
    key: bytes
    size: int


class ReducedRecords:
    """The records of one sender that go without `reddit`."""

    def __init__(self) -> None:
        #: these records, by seq
        self.records: dict[int, ReducedRecord] = {}

    def add(self, row: PlainRow, stream: str) -> ReducedRecord | None:
        """Let a record that Kafka refuses go without `reddit`; None if it has none, or goes without it already."""
        seq, key, whole, _schema = row
        value = without_reddit(whole) if seq not in self.records else None
        if value is None:
            return None
        self.records[seq] = ReducedRecord(value, stream, key, len(whole))
        return self.records[seq]

    def discard(self, seq: int) -> None:
        """Forget a record: it is a dead letter."""
        self.records.pop(seq, None)

    def settled(self, position: int) -> list[ReducedRecord]:
        """Remove and return the records up to a position: they have arrived."""
        if not self.records:
            return []
        return [self.records.pop(seq) for seq in sorted(self.records) if seq <= position]


class DroppedPayloads:
    """Counts and logs the records that arrived without `reddit`.

    Args:
        writer: keeps the counter, written with the positions.
        log: the logger.
        due: whether a line of this event may be logged now.
        limit: message.max.bytes of the producer.
    """

    def __init__(
        self, writer: PositionWriter, log: structlog.stdlib.BoundLogger, due: Callable[[str], int], limit: int
    ) -> None:
        self._writer = writer
        self._log = log
        self._due = due
        self._limit = limit
        self._unlogged = 0
        self._last: ReducedRecord | None = None

    def note(self, arrived: list[ReducedRecord]) -> None:
        """Count these; log them, or add them to the next line."""
        if arrived:
            self._writer.count(COUNTER, len(arrived))
            self._unlogged += len(arrived)
            self._last = arrived[-1]
        if self._last is not None and self._due("payload_dropped"):
            self._write(self._last)

    def flush(self) -> None:
        """Log those that are in no line yet."""
        if self._last is not None:
            self._write(self._last)

    def _write(self, last: ReducedRecord) -> None:
        self._log.warning(
            "payload_dropped",
            count=self._unlogged,
            stream=last.stream,
            key=last.key.decode(errors="replace"),
            size=last.size,
            limit=self._limit,
            hint="too large for Kafka with `reddit`: sent without it; raise max.message.bytes of the topic, and"
            " message.max.bytes in [kafka.producer], or set streams.payload",
        )
        self._unlogged, self._last = 0, None
