"""Reads the state of shards when this machine gains them, in short calls, up to the end measured after the assignment.

Whatever a former owner got past the fence lies below that end; what it writes later is refused. A transaction that a
dead owner left open would hold the reader until the broker's timeout, so it is ended under the owner's own name.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import time
from collections.abc import Callable, Collection, Sequence

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from core.errors import PermanentError
from streams.cluster.state_records import StoredShard
from streams.sinks.kafka.kafka_errors import cause, error_text, is_passing
from streams.sinks.kafka.partition_reader import reader_settings
from streams.sinks.kafka.producer import Properties, discard

_PORTION = 2000
#: Seconds without progress after which an open transaction is the likely cause: live owners commit faster.
_BLOCKED_S = 0.8
#: The longest call, seconds.
_CALL_S = 0.25


class StateReader:
    """Reads the partitions of some shards in the state topic from their beginnings to their ends.

    Raises KafkaException for lasting errors, and PermanentError for a topic with too few partitions.
    """

    def __init__(
        self,
        topic: str,
        shards: Collection[int],
        connection: Properties,
        *,
        clock: Callable[[], float] = time.monotonic,
        make_consumer: Callable[[Properties], Consumer] = Consumer,
    ) -> None:
        self.shards = frozenset(shards)
        self._topic = topic
        self._clock = clock
        self._stored = {shard: StoredShard() for shard in shards}
        #: the offset after the last record to read, of each shard
        self._ends: dict[int, int] = {}
        self._positions: dict[int, int] = {}
        self._progress_at = clock()
        # two consumers: a client sees either the committed records or the real end of the log
        self._consumer = make_consumer(reader_settings(connection, "state", "read_committed"))
        self._measure = make_consumer(reader_settings(connection, "state", "read_uncommitted"))

    def read(self, seconds: float = _CALL_S) -> bool:
        """Read for about `seconds`; return whether everything up to the ends is read."""
        if len(self._ends) < len(self.shards):
            self._measure_ends(seconds)
            return False
        deadline = self._clock() + seconds
        while self.unfinished and self._clock() < deadline:
            for message in self._consumer.consume(_PORTION, timeout=0.05):
                self._take(message)
        return not self.unfinished

    @property
    def unfinished(self) -> frozenset[int]:
        """The shards that are not read to their end."""
        return frozenset(
            shard for shard in self.shards if shard not in self._ends or self._positions[shard] < self._ends[shard]
        )

    def stored(self, shard: int) -> StoredShard:
        """Return what was read of a shard."""
        return self._stored[shard]

    def _measure_ends(self, seconds: float) -> None:
        try:
            # returns the partitions' leaders at once; the first fetch would wait half a second for them
            found = self._consumer.list_topics(self._topic, timeout=seconds).topics.get(self._topic)
            self._check_partitions(0 if found is None or found.error is not None else len(found.partitions))
            for shard in sorted(self.shards - self._ends.keys()):
                place = TopicPartition(self._topic, shard)
                first, end = self._measure.get_watermark_offsets(place, seconds, cached=False)
                self._positions[shard], self._ends[shard], self._stored[shard].end = first, end, end
        except KafkaException as exception:
            if not is_passing(cause(exception)):
                raise
            return
        self._consumer.assign([TopicPartition(self._topic, shard, OFFSET_BEGINNING) for shard in self.unfinished])
        self._progress_at = self._clock()

    def _check_partitions(self, partitions: int) -> None:
        """Raise PermanentError if the topic lacks the partitions of these shards; 0: not known yet."""
        if 0 < partitions <= max(self.shards):
            raise PermanentError(
                f"the topic {self._topic} has {partitions} partitions, fewer than cluster.shards: stop all machines and"
                " delete it; it is made again"
            )

    def _take(self, message: Message) -> None:
        error, shard, offset = message.error(), message.partition(), message.offset() or 0
        if shard is None:
            return
        if error is None:
            self._stored[shard].take(message.key() or b"", message.value())
            self._positions[shard], self._progress_at = offset + 1, self._clock()
        elif error.code() == KafkaError._PARTITION_EOF:
            if offset > self._positions[shard]:  # the last entries of the log are no records: ends of transactions
                self._positions[shard], self._progress_at = offset, self._clock()
        elif not is_passing(error):
            raise KafkaException(error)

    @property
    def is_blocked(self) -> bool:
        """Whether nothing has arrived for a while although an end is not reached: a transaction is open."""
        return len(self._ends) == len(self.shards) and self._clock() - self._progress_at > _BLOCKED_S

    def close(self) -> None:
        """Disconnect from the brokers."""
        self._consumer.close()
        self._measure.close()


class TransactionEnder:
    """Ends the open transactions of other machines, one after another, in short calls.

    Opening a producer under a machine's transactional id makes the broker abort its open transaction, and refuse the
    old producer. A machine that is alive starts a new producer, and sends the same records again.
    """

    def __init__(
        self,
        producer: Properties,
        log: structlog.stdlib.BoundLogger,
        make_producer: Callable[[Properties], Producer] = Producer,
    ) -> None:
        self._properties = producer
        self._log = log
        self._make_producer = make_producer
        self._waiting: list[str] = []
        self._done: set[str] = set()
        self._producer: Producer | None = None

    def end(self, transactional_ids: Sequence[str]) -> None:
        """End the transactions of these ids, each once until `forget`."""
        known = {*self._waiting, *self._done}
        self._waiting += [one for one in dict.fromkeys(transactional_ids) if one and one not in known]

    def forget(self) -> None:
        """Allow to end the same ids again: the shards were read."""
        self._done.clear()

    def step(self, seconds: float = _CALL_S) -> bool:
        """Do one short step; return whether more are due."""
        if not self._waiting:
            return False
        transactional_id = self._waiting[0]
        if self._producer is None:
            self._producer = self._make_producer(
                {**self._properties, "transactional.id": transactional_id, "log_level": 0}
            )
        try:
            self._producer.init_transactions(seconds)
        except KafkaException as exception:
            error = cause(exception)
            if is_passing(error):
                return True
            self._log.warning("transaction_not_ended", transactional_id=transactional_id, error=error_text(error))
        else:
            self._log.info("transaction_ended", transactional_id=transactional_id, hint="its owner lost the shards")
        discard(self._producer)
        self._producer = None
        self._waiting.pop(0)
        self._done.add(transactional_id)
        return bool(self._waiting)
