"""Reading the newest records of a topic: the last ones of each partition, within a bounded time."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.publisher.ends import Item, read_item
from streams.publisher.settings import Settings
from streams.publisher.verdict import Verdict, is_passing, judge

#: Records that are read at most, of all partitions together, and of each one at least.
_RECORDS = 10_000
_OF_EACH = 500

#: Once the broker has answered, reading ends after so long, seconds: the older records of each partition come first.
_PATIENCE = 10.0

_PORTION = 1000


class TailReader:
    """Reads what is committed, up to the ends of the partitions.

    `read` returns after a moment, until it is done; `items` holds what was found.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.items: list[Item] = []
        #: whether the broker has answered
        self.reached = False
        #: whether there are records that could not be read in time
        self.incomplete = False
        self._topic = settings.topic
        self._clock = clock
        self._deadline = 0.0
        self._partitions: list[int] | None = None
        #: by partition, the offset to begin with; None for one that holds nothing
        self._starts: dict[int, int | None] = {}
        self._unread: set[int] | None = None
        self._consumer = Consumer(
            {
                **settings.connection,
                "log_level": 0,
                "group.id": "gapless-tail",  # never joined: the partitions are assigned by hand
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 8_192,
            }
        )

    def read(self, seconds: float) -> bool:
        """Read on for about so long; tell whether all is read. Raises KafkaException for what does not pass."""
        if self._partitions is None:
            self._partitions = self._find_partitions(seconds)
            return self._partitions == []
        if self._unread is None:
            self._measure(self._partitions, seconds)
            return self._unread is not None and not self._unread
        if self._clock() > self._deadline:
            self.incomplete = True
            return True
        for message in self._consumer.consume(_PORTION, timeout=seconds):
            self._take(message)
        return not self._unread

    def _find_partitions(self, seconds: float) -> list[int] | None:
        """List the partitions, none where there is no such topic; None: not known yet."""
        found = self._consumer.list_topics(self._topic, timeout=seconds).topics[self._topic]
        self.reached = True
        if found.error is None:
            return sorted(found.partitions)
        if judge(found.error) is Verdict.TOPIC:
            return []
        if not is_passing(found.error):
            raise KafkaException(found.error)
        return None

    def _measure(self, partitions: list[int], seconds: float) -> None:
        """Find out where one more partition begins and ends; begin to read when all are known."""
        rest = [partition for partition in partitions if partition not in self._starts]
        share = max(_OF_EACH, _RECORDS // len(partitions))
        if rest:
            place = TopicPartition(self._topic, rest[0])
            low, high = self._consumer.get_watermark_offsets(place, seconds, cached=False)
            # the broker's `high` may lag by a batch: it bounds what is read, and does not end it
            self._starts[rest[0]] = max(low, high - share) if low < high else None
        if len(self._starts) < len(partitions):
            return
        starts = {number: at for number, at in self._starts.items() if at is not None}
        self._unread = set(starts)
        self._deadline = self._clock() + _PATIENCE
        self._consumer.assign([TopicPartition(self._topic, number, at) for number, at in starts.items()])

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            item = read_item(message.headers() or [], message.value())
            if item is not None:
                self.items.append(item)
        elif error.code() == KafkaError._PARTITION_EOF:
            (self._unread or set()).discard(message.partition() or 0)
        elif not is_passing(error):
            raise KafkaException(error)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
