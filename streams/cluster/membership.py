"""This machine's membership of the consumer group: which shards it owns, and the proof for the broker that it does.

The partitions of the control topic are the shards. The member is static (its name survives restarts) and cooperative:
shards that stay with a machine are not interrupted while others move.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence, Set

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from core.config.slices import ClusterConfig
from core.errors import InstanceTakenError, PermanentError
from core.masking.external import outside
from streams.sinks.kafka.kafka_errors import ErrorClass, cause, classify, error_text
from streams.sinks.kafka.producer import Properties

#: Messages per call of the control topic.
_PORTION = 500
#: Seconds without a change after which the assignment counts as complete.
_CALM_S = 3.0
_CALL_S = 0.25
#: Seconds that a departing member waits until the group knows.
_LEAVE_S = 1.0

_TWICE = (
    "another machine of the group {group!r} has the name {instance!r} too: give each machine a cluster.instance of its"
    " own, and each its own state_dir"
)


class _Lines:
    """Receives librdkafka's lines instead of standard error: even its fatal ones come as errors too (`_take_error`)."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log

    def log(self, level: int, template: str, *arguments: object) -> None:
        """Handle a line; librdkafka calls this like `logging.Logger.log`."""
        text = outside(template % arguments if arguments else template)
        self._log.debug("membership_line", level=level, text=text)


class Membership:
    """The consumer in the group.

    Args:
        config: the names of group and machine, the session's timeout.
        topic: the control topic, which exists.
        connection: properties to reach the brokers.
        log: the logger.
        moving: called with shards before they leave this machine, and after it lost them: the open transaction is void.
        check_partitions: called with the number of the topic's partitions.
        missing: called when the topic no longer exists.
        clock: monotonic seconds.
        wall: epoch seconds.
    """

    def __init__(
        self,
        config: ClusterConfig,
        topic: str,
        connection: Properties,
        log: structlog.stdlib.BoundLogger,
        *,
        moving: Callable[[Set[int]], None],
        check_partitions: Callable[[int], None],
        missing: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        make_consumer: Callable[..., Consumer] = Consumer,
    ) -> None:
        self._config = config
        self._topic = topic
        self._log = log
        self._moving = moving
        self._missing = missing
        self._check_partitions: Callable[[int], None] | None = check_partitions
        #: up to where the control topic was read, by shard
        self._read: dict[int, int] = {}
        self._clock = clock
        self._wall = wall
        #: the shards that the group assigns to this machine
        self.shards: set[int] = set()
        #: shards that the group took from this machine: another one owns them, or will in a moment
        self._given_up: set[int] = set()
        self._changed_at = clock()
        #: since when it is a member, epoch seconds; None while it is not
        self.member_since: float | None = None
        #: since when shards have been moving, epoch seconds; None: the assignment is settled
        self.rebalancing_since: float | None = wall()
        self._consumer: Consumer | None = make_consumer(
            {
                **connection,
                "group.id": config.group,
                "group.instance.id": config.instance,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": int(config.session_timeout * 1000),
                "heartbeat.interval.ms": max(500, int(config.session_timeout * 1000 / 6)),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "log_level": 0,  # the publisher's producer logs the same errors
            },
            logger=_Lines(log),
        )
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    # -- the group's calls, all inside `poll`

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        gained = [TopicPartition(self._topic, one.partition, OFFSET_BEGINNING) for one in partitions]
        consumer.incremental_assign(gained)
        if gained:
            consumer.pause(gained)  # until it is known from where on the leftovers are to be read
        self.shards |= {one.partition for one in partitions}
        self._given_up -= self.shards
        self._changed_at = self._clock()
        if self.member_since is None:
            self.member_since = self._wall()
        self.rebalancing_since = None
        log = self._log.info if partitions else self._log.debug  # a member that keeps what it has is asked too
        log("shards_assigned", gained=sorted(one.partition for one in partitions), owned=len(self.shards))

    def _revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._leave(consumer, partitions)
        self._given_up |= {one.partition for one in partitions}
        self._log.info("shards_revoked", lost=sorted(one.partition for one in partitions), owned=len(self.shards))
        self.rebalancing_since = self._wall()

    def _lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Kafka no longer counts this machine as a member: it was silent for too long, or Kafka is away."""
        self._leave(consumer, partitions)
        self._given_up.clear()
        self.member_since, self.rebalancing_since = None, self._wall()
        hint = "the capture continues; records wait until this machine is a member again"
        self._log.warning("membership_lost", shards=sorted(one.partition for one in partitions), hint=hint)

    def _leave(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        leaving = {one.partition for one in partitions}
        self._moving(leaving)
        self.shards -= leaving
        consumer.incremental_unassign(list(partitions))

    # -- for the coordinator

    def is_elsewhere(self, shard: int) -> bool:
        """Return whether the group gave, or gives in a moment, the shard to another machine.

        A new member gets its shards in several steps: only after some calm does a missing one mean anything.
        """
        if self.member_since is None or shard in self.shards:
            return False
        calm = self.rebalancing_since is None and self._clock() - self._changed_at >= _CALM_S
        return calm or shard in self._given_up

    def poll(self) -> list[Message]:
        """Let the group's changes happen, and return the messages of the control topic that arrived; does not wait.

        Raises PermanentError when another machine has the same name.
        """
        if self._consumer is None:
            return []
        self._count_partitions(self._consumer)
        try:
            messages = self._consumer.consume(_PORTION, timeout=0.0)
        except KafkaException as exception:
            self._take_error(cause(exception))
            return []
        arrived = []
        for message in messages:
            error = message.error()
            if error is None:
                arrived.append(message)
                self._read[message.partition() or 0] = (message.offset() or 0) + 1
            else:
                self._take_error(error)
        return arrived

    def _count_partitions(self, consumer: Consumer) -> None:
        check, self._check_partitions = self._check_partitions, None
        if check is None:
            return
        try:
            found = consumer.list_topics(self._topic, timeout=_CALL_S).topics.get(self._topic)
        except KafkaException:
            found = None
        if found is None or found.error is not None or not found.partitions:
            self._check_partitions = check  # no answer yet, or a broker that does not know the new topic yet
        else:
            check(len(found.partitions))

    def _take_error(self, error: KafkaError) -> None:
        fatal = error.fatal() or error.code() == KafkaError._FATAL  # a consumer's message has the code alone
        if error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED) or (
            fatal and "group.instance.id" in error.str()
        ):
            raise InstanceTakenError(_TWICE.format(group=self._config.group, instance=self._config.instance))
        if error.code() in (KafkaError.INVALID_SESSION_TIMEOUT, KafkaError.INCONSISTENT_GROUP_PROTOCOL):
            raise PermanentError(f"Kafka refuses this member of the group {self._config.group}: {error_text(error)}")
        if classify(error) is ErrorClass.TOPIC:
            self._missing()
        self._log.debug("membership_error", error=error_text(error))

    def read_from(self, offsets: Mapping[int, int]) -> None:
        """Read the control topic of these shards from these offsets on."""
        if self._consumer is None:
            return
        for shard, offset in offsets.items():
            place = TopicPartition(self._topic, shard, offset)
            self._read[shard] = offset
            self._consumer.seek(place)
            self._consumer.resume([place])

    def metadata(self) -> bytes:
        """Return what a transaction needs to prove the membership (KIP-447)."""
        if self._consumer is None:
            raise RuntimeError("this machine has left the group")
        return bytes(self._consumer.consumer_group_metadata())

    def leave(self, *, for_good: bool) -> None:
        """End the membership. `for_good`: the shards go to the others at once; otherwise they wait for the successor.

        A static member leaves when it unsubscribes, not when it closes (librdkafka, KIP-345).
        """
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        with contextlib.suppress(KafkaException):  # shut out by another machine with this name: nothing to leave
            if for_good and self.member_since is not None:
                deadline = self._clock() + _LEAVE_S
                consumer.unsubscribe()
                while self.shards and self._clock() < deadline:
                    consumer.poll(0.02)
                consumer.poll(0.05)  # the request to leave follows the callback
        with contextlib.suppress(KafkaException):
            consumer.close()

    def offsets(self) -> list[TopicPartition]:
        """Return the offsets that a transaction commits as the proof of the membership."""
        return [TopicPartition(self._topic, shard, self._read.get(shard, 0)) for shard in sorted(self.shards)]
