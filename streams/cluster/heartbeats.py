"""Reads the heartbeats of all machines from partition 0 of the state topic, without owning that shard."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import time
from collections import deque
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from core.cluster.view import Machine
from core.periodic import Timer
from streams.cluster.state_records import Heartbeat
from streams.sinks.kafka.kafka_errors import cause, error_text, is_passing
from streams.sinks.kafka.partition_reader import reader_settings
from streams.sinks.kafka.producer import Properties

#: Entries before the end of the log in which the newest heartbeat of each machine alive is surely found.
_TAIL = 5_000
_PORTION = 1_000
_READ_EVERY_S = 0.25
_CALL_S = 0.25


class Heartbeats:
    """The newest heartbeat of each machine, and how long ago it was sent.

    Args:
        topic: the state topic.
        connection: properties to reach the brokers.
        log: the logger.
        clock: monotonic seconds.
        wall: epoch seconds; compared with other machines' clocks only for heartbeats older than this process.
    """

    def __init__(
        self,
        topic: str,
        connection: Properties,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        make_consumer: Callable[[Properties], Consumer] = Consumer,
    ) -> None:
        self._topic = topic
        self._log = log
        self._clock = clock
        self._wall = wall
        self._reads = Timer(_READ_EVERY_S)
        self._end: int | None = None
        #: whether the heartbeats that were there at the start are read
        self.caught_up = False
        #: by instance: the newest heartbeat, and when it was sent, by `clock`
        self._newest: dict[str, tuple[Heartbeat, float]] = {}
        self._arrived: deque[Machine] = deque(maxlen=_TAIL)
        # read_uncommitted: an open transaction must not hide the others' heartbeats
        self._consumer = make_consumer(reader_settings(connection, "heartbeats", "read_uncommitted"))

    def read(self) -> None:
        """Take the heartbeats that arrived; does not wait, except once at the start."""
        if not self._reads.elapsed(self._clock()):
            return
        if self._end is None and not self._begin():
            return
        try:
            for message in self._consumer.consume(_PORTION, timeout=0.0):
                self._take(message)
        except KafkaException as exception:
            self._log.debug("heartbeats_unreadable", error=error_text(cause(exception)))

    def _begin(self) -> bool:
        place = TopicPartition(self._topic, 0)
        try:
            first, self._end = self._consumer.get_watermark_offsets(place, _CALL_S, cached=False)
        except KafkaException as exception:
            if not is_passing(cause(exception)):
                self._log.debug("heartbeats_unreadable", error=error_text(cause(exception)))
            return False
        self.caught_up = first == self._end
        self._consumer.assign([TopicPartition(self._topic, 0, max(first, self._end - _TAIL))])
        return True

    def _take(self, message: Message) -> None:
        error, offset = message.error(), message.offset() or 0
        if error is not None:
            self.caught_up |= error.code() == KafkaError._PARTITION_EOF
            return
        now = self._clock()
        beat = Heartbeat.parse(message.key() or b"", message.value() or b"")
        if beat is not None:
            age = 0.0 if self.caught_up else max(0.0, self._wall() - beat.machine.at)
            self._newest[beat.machine.instance] = (beat, now - age)
            self._arrived.append(beat.machine)
        self.caught_up |= offset + 1 >= (self._end or 0)

    def ages(self) -> dict[str, tuple[Heartbeat, float]]:
        """Return by instance its newest heartbeat, and its age in seconds."""
        now = self._clock()
        return {instance: (beat, now - sent) for instance, (beat, sent) in self._newest.items()}

    def take(self) -> list[Machine]:
        """Return the machines of the heartbeats that were read since the last call, in their order in the topic."""
        arrived = list(self._arrived)
        self._arrived.clear()
        return arrived

    def close(self) -> None:
        """Disconnect from the brokers."""
        self._consumer.close()
