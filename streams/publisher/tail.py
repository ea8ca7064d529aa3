"""Reading the newest records of a topic: the last ones of each partition, within a bounded time.

Where these hold none of a stream (others write to the topic as well, or the stream is a quiet one), a deeper look
follows, for such streams only.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import time
from collections.abc import Callable, Collection, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from core.kinds import stream_names
from streams.publisher.ends import Item, read_item
from streams.publisher.settings import Settings
from streams.publisher.verdict import Verdict, is_passing, judge

#: Records that are read at most, of all partitions together, and of each one at least.
_RECORDS = 10_000
_OF_EACH = 500
#: The deeper look reads so many times as many.
_DEEPER = 20

#: Once the broker has answered, reading ends after so long, seconds: the older records of each partition come first.
_PATIENCE = 10.0

_PORTION = 1000


class TailReader:
    """Reads what is committed, up to the ends of the partitions.

    `read` returns after a moment, until it is done; `items` holds what was found.
    """

    def __init__(
        self,
        settings: Settings,
        streams: Collection[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.items: list[Item] = []
        #: whether the broker has answered
        self.reached = False
        #: whether there are records that could not be read in time
        self.incomplete = False
        #: the streams that are looked for
        self.streams = frozenset(stream_names() if streams is None else streams)
        #: those of which the topic may hold records below what was read
        self.unseen: frozenset[str] = frozenset()
        self._topic = settings.topic
        self._clock = clock
        self._deadline = 0.0
        self._partitions: list[int] | None = None
        #: by partition, the offset to begin with; None for one that holds nothing
        self._starts: dict[int, int | None] = {}
        #: by partition, its first offset
        self._lows: dict[int, int] = {}
        self._unread: set[int] | None = None
        #: by partition, the offset before which the deeper look ends; None before there is one
        self._until: dict[int, int] | None = None
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
            self.unseen = self._missing()
            return True
        for message in self._consumer.consume(_PORTION, timeout=seconds):
            self._take(message)
        return not self._unread and not self._looks_deeper()

    def _missing(self) -> frozenset[str]:
        return self.streams - {item.stream for item in self.items}

    def _looks_deeper(self) -> bool:
        """Begin the deeper look if there is something to look for; tell whether it begins."""
        cut = {number: at for number, at in self._starts.items() if at is not None and at > self._lows[number]}
        self.unseen = self._missing() if cut else frozenset()
        if not self.unseen or self._until is not None:
            return False
        self._until = cut
        share = _DEEPER * max(_OF_EACH, _RECORDS // len(cut))
        starts = {number: max(self._lows[number], at - share) for number, at in cut.items()}
        self._starts |= starts
        self._begin(starts)
        return True

    def _begin(self, starts: Mapping[int, int]) -> None:
        self._unread = set(starts)
        self._consumer.assign([TopicPartition(self._topic, number, at) for number, at in starts.items()])

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
            self._lows[rest[0]] = low
        if len(self._starts) < len(partitions):
            return
        starts = {number: at for number, at in self._starts.items() if at is not None}
        self._deadline = self._clock() + _PATIENCE
        self._begin(starts)

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            if self._is_beyond(message):
                return
            item = read_item(message.headers() or [], message.value())
            if item is not None and (self._until is None or item.stream in self.unseen):
                self.items.append(item)
        elif error.code() == KafkaError._PARTITION_EOF:
            (self._unread or set()).discard(message.partition() or 0)
        elif not is_passing(error):
            raise KafkaException(error)

    def _is_beyond(self, message: Message) -> bool:
        """Tell whether the deeper look has come to what was read before."""
        number, offset = message.partition() or 0, message.offset() or 0
        if self._until is None or offset < self._until.get(number, 0):
            return False
        (self._unread or set()).discard(number)
        return True

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
