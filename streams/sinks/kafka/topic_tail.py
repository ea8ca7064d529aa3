"""Reads the newest records of the topic within a bounded time, and derives what its streams had captured.

The last records of each partition are read. If these hold none of a stream (others also write to the topic, or the
stream is quiet), a second pass reads older records, for such streams only.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from core.record_value import own_fields
from core.spool.predecessor import DeliveredSpan, TopicEnds
from core.stream_kinds import kind_of, stream_names
from streams.sinks.kafka.kafka_errors import ErrorClass, classify, is_passing
from streams.sinks.kafka.partition_reader import reader_settings
from streams.sinks.kafka.producer import KafkaSettings

#: Any page may be the upper part of an unfinished walk: pages may be as small as one item, and a walk may be slow.
#: Walks take less than this time (seconds), in which pages are captured: a thousand pages of one item.
_LONGEST_WALK_S = 3600.0

#: A time without any capture counts at most this much (seconds): a walk waits during an outage.
_LONGEST_PAUSE_S = 60.0


class TopicItem(NamedTuple):
    """The needed part of a record: its stream, its subreddit, when it was created and captured (epoch seconds)."""

    stream: str
    subreddit: str
    created: float | None
    captured: float


def read_item(headers: Iterable[Any], value: bytes | None) -> TopicItem | None:
    """Parse a record; None for one that none of these streams captured: a foreign one, or one from an archive."""
    named = {str(name): content.decode(errors="replace") for name, content in headers if isinstance(content, bytes)}
    stream = named.get("stream", "")
    if stream not in stream_names() or not named.get("schema", "").startswith(kind_of(stream).schema_family):
        return None
    try:
        record = own_fields(value or b"")
        captured = datetime.fromisoformat(record["timestamp"]).timestamp()
        subreddit, created, source = record["subreddit"], record["created_utc"], record.get("source", "reddit")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    if source != "reddit" or not isinstance(subreddit, str):
        return None
    known = isinstance(created, int | float) and not isinstance(created, bool)
    return TopicItem(stream, subreddit.lower(), float(created) if known else None, captured)


def ends(items: Iterable[TopicItem], now: float) -> dict[str, TopicEnds]:
    """Return per stream what these items show about its subreddits; `now`: epoch seconds.

    A date later than now is ignored. The newest date of a subreddit is taken from walks that were certainly finished.
    """
    streams: dict[str, list[TopicItem]] = {stream: [] for stream in stream_names()}
    moments: set[float] = set()
    for item in items:
        streams[item.stream].append(item)
        moments.add(item.captured)
    return {stream: TopicEnds(dict(_spans(found, moments, now))) for stream, found in streams.items()}


def _spans(items: list[TopicItem], moments: set[float], now: float) -> Iterator[tuple[str, DeliveredSpan]]:
    until = _finished_before(max((item.captured for item in items), default=0.0), moments)
    dates: dict[str, list[float]] = defaultdict(list)
    sure: dict[str, list[float]] = defaultdict(list)
    for item in items:
        dates.setdefault(item.subreddit, [])
        if item.created is not None and item.created <= now:
            dates[item.subreddit].append(item.created)
            if item.captured < until:
                sure[item.subreddit].append(item.created)
    for subreddit, created in dates.items():
        yield subreddit, DeliveredSpan(max(sure[subreddit], default=None), min(created, default=None))


def _finished_before(last: float, moments: set[float]) -> float:
    """Return the capture time before which each walk was certainly finished; `last`: the stream's last capture.

    `moments`: when any stream captured something. Where they do not reach back far enough, nothing is certain.
    """
    later, active = last, 0.0
    for moment in sorted((moment for moment in moments if moment < last), reverse=True):
        active += min(later - moment, _LONGEST_PAUSE_S)
        later = moment
        if active >= _LONGEST_WALK_S:
            return moment
    return float("-inf")


#: Most records to read of all partitions together, and the minimum of each one.
_MOST_RECORDS = 10_000
_MIN_PER_PARTITION = 500
#: The second pass reads this multiple.
_DEEPER = 20

#: Seconds until reading ends after the broker's first answer: the older records of each partition come first.
_READ_WITHIN_S = 10.0

_PORTION = 1000


class TailReader:
    """Reads the committed records of one topic, up to the ends of its partitions.

    `read` works in short calls until it is done; `items` holds the result.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        streams: Collection[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.items: list[TopicItem] = []
        #: whether the broker has answered
        self.reached = False
        #: whether some records could not be read in time
        self.incomplete = False
        #: the streams to find
        self.streams = frozenset(stream_names() if streams is None else streams)
        #: the streams that may have records below what was read
        self.unseen: frozenset[str] = frozenset()
        self._topic = topic
        self._clock = clock
        self._deadline = 0.0
        self._partitions: list[int] | None = None
        #: by partition, the first offset to read; None for an empty partition
        self._starts: dict[int, int | None] = {}
        #: by partition, its first offset
        self._lows: dict[int, int] = {}
        self._unread: set[int] | None = None
        #: by partition, the offset before which the second pass ends; None before it begins
        self._until: dict[int, int] | None = None
        self._consumer = Consumer(
            reader_settings(settings.connection, "tail", "read_committed") | {"queued.max.messages.kbytes": 8_192}
        )

    def read(self, seconds: float) -> bool:
        """Read for about `seconds`; return whether all is read. Raises KafkaException for a lasting error."""
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
        return not self._unread and not self._begins_second_pass()

    def _missing(self) -> frozenset[str]:
        return self.streams - {item.stream for item in self.items}

    def _begins_second_pass(self) -> bool:
        """Begin the second pass if a stream is still to be found; return whether it begins."""
        cut = {number: at for number, at in self._starts.items() if at is not None and at > self._lows[number]}
        self.unseen = self._missing() if cut else frozenset()
        if not self.unseen or self._until is not None:
            return False
        self._until = cut
        share = _DEEPER * max(_MIN_PER_PARTITION, _MOST_RECORDS // len(cut))
        starts = {number: max(self._lows[number], at - share) for number, at in cut.items()}
        self._starts |= starts
        self._begin(starts)
        return True

    def _begin(self, starts: Mapping[int, int]) -> None:
        self._unread = set(starts)
        self._consumer.assign([TopicPartition(self._topic, number, at) for number, at in starts.items()])

    def _find_partitions(self, seconds: float) -> list[int] | None:
        """Return the partitions, none if there is no such topic; None: not known yet."""
        found = self._consumer.list_topics(self._topic, timeout=seconds).topics[self._topic]
        self.reached = True
        if found.error is None:
            return sorted(found.partitions)
        if classify(found.error) is ErrorClass.TOPIC:
            return []
        if not is_passing(found.error):
            raise KafkaException(found.error)
        return None

    def _measure(self, partitions: list[int], seconds: float) -> None:
        """Query the begin and end of one more partition; begin to read when all are known."""
        rest = [partition for partition in partitions if partition not in self._starts]
        share = max(_MIN_PER_PARTITION, _MOST_RECORDS // len(partitions))
        if rest:
            place = TopicPartition(self._topic, rest[0])
            low, high = self._consumer.get_watermark_offsets(place, seconds, cached=False)
            # the broker's `high` may lag by a batch: it bounds what is read, and does not end the read
            self._starts[rest[0]] = max(low, high - share) if low < high else None
            self._lows[rest[0]] = low
        if len(self._starts) < len(partitions):
            return
        starts = {number: at for number, at in self._starts.items() if at is not None}
        self._deadline = self._clock() + _READ_WITHIN_S
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
        """Return whether the second pass has reached what was read before."""
        number, offset = message.partition() or 0, message.offset() or 0
        if self._until is None or offset < self._until.get(number, 0):
            return False
        (self._unread or set()).discard(number)
        return True

    def close(self) -> None:
        """Disconnect from the broker."""
        self._consumer.close()
