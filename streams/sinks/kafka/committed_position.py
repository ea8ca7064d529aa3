"""The positions that exactly-once stores in Kafka, in the same transaction as the records they cover.

One compacted topic, one partition. For each source, the last committed record holds the delivered position and the key
of the record there, which distinguishes it from a position in another history of the same file.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import time
from collections.abc import Callable
from typing import NamedTuple

import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from streams.sinks.kafka.kafka_errors import cause, is_passing
from streams.sinks.kafka.partition_reader import reader_settings
from streams.sinks.kafka.producer import KafkaSettings

#: The wanted positions are nearly always among this number of last records.
_TAIL = 10_000
_PORTION = 1000


class CommittedPosition(NamedTuple):
    """Everything of a spool up to `seq` is in the topic; `key` is the Kafka key of that last record."""

    seq: int
    key: str

    def to_json(self) -> bytes:
        """Return the value of the record that stores the position; its key is the source's id."""
        return orjson.dumps(self._asdict())

    @classmethod
    def from_json(cls, value: bytes) -> "CommittedPosition":
        """Read the value of a record."""
        fields = orjson.loads(value)
        return cls(int(fields["seq"]), str(fields["key"]))


class CommittedPositionReader:
    """Reads the committed positions of some sources, in short calls of `read` until all are found.

    A committed record is visible only after every transaction that began before it has ended, those of other publishers
    too. So the reader continues to the current end of the log, not to the end of what is visible now.
    """

    def __init__(
        self, settings: KafkaSettings, source_ids: set[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source_ids = frozenset(source_ids)
        self._clock = clock
        self._topic = settings.positions_topic
        self._found: dict[str, CommittedPosition] = {}
        self._from_the_start = False
        self._end: int | None = None
        # two consumers: a client sees either the committed records or the real end of the log
        self._consumer = Consumer(reader_settings(settings.connection, "positions", "read_committed"))
        self._measure = Consumer(reader_settings(settings.connection, "positions", "read_uncommitted"))

    def read(self, seconds: float) -> dict[str, CommittedPosition] | None:
        """Read for about `seconds`; return the positions when everything is read, None until then.

        Raises KafkaException for a lasting error.
        """
        if self._end is None:
            self._find_log_end(seconds)
            return None
        if self._end == 0:
            return {}
        deadline = self._clock() + seconds
        while self._clock() < deadline:
            for message in self._consumer.consume(_PORTION, timeout=0.05):
                if self._take(message):
                    return self._finish()
        return None

    def _find_log_end(self, seconds: float) -> None:
        try:
            # returns the partition's leader at once; the first fetch would wait half a second for it
            self._consumer.list_topics(self._topic, timeout=seconds)
            _, self._end = self._measure.get_watermark_offsets(TopicPartition(self._topic, 0), seconds, cached=False)
        except KafkaException as exception:
            if not is_passing(cause(exception)):
                raise
        else:
            self._begin(max(0, self._end - _TAIL))

    def _begin(self, offset: int) -> None:
        self._from_the_start = offset == 0
        self._consumer.assign([TopicPartition(self._topic, 0, offset or OFFSET_BEGINNING)])

    def _take(self, message: Message) -> bool:
        """Process a message; return whether it marks the end."""
        error = message.error()
        if error is None:
            source_id = (message.key() or b"").decode(errors="replace")
            if source_id in self.source_ids:
                self._found[source_id] = CommittedPosition.from_json(message.value() or b"")
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            return (message.offset() or 0) >= (self._end or 0)
        if not is_passing(error):
            raise KafkaException(error)
        return False

    def _finish(self) -> dict[str, CommittedPosition] | None:
        if self._from_the_start or self.source_ids <= self._found.keys():
            return self._found
        self._begin(0)
        return None

    def close(self) -> None:
        """Disconnect from the broker."""
        self._consumer.close()
        self._measure.close()
