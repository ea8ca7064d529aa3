"""Ensures that a topic exists: checks it, and creates it where the broker allows that."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from core.errors import PermanentError
from streams.sinks.base import Retries
from streams.sinks.kafka.kafka_errors import Cause, ErrorClass, cause, classify, error_text
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.producer import Properties

_REQUEST_TIMEOUT_S = 10.0
_BROKERS = "check the brokers that are missing; delivery then resumes automatically"
_MANUALLY = "create the topic manually (kafka-topics.sh --create)"
#: The broker's default number of partitions or replicas.
BROKERS_CHOICE = -1


class Topic:
    """One topic. `ensure` never waits longer than its argument; a later call returns the answer to its request.

    `essential` returns whether nothing can be sent while the topic is missing: then Kafka counts as refusing.
    """

    def __init__(
        self,
        name: str,
        connection: Properties,
        *,
        health: KafkaHealth,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        random: Callable[[], float],
        partitions: int = BROKERS_CHOICE,
        settings: Mapping[str, str] | None = None,
        essential: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self._essential = essential
        #: whether Kafka answered the last request about it with a refusal
        self.refused = False
        self.exists = False
        self._connection = connection
        self._health = health
        self._log = log
        self._clock = clock
        self._new = NewTopic(
            name, num_partitions=partitions, replication_factor=BROKERS_CHOICE, config=dict(settings or {})
        )
        self._retries = Retries(0.5, 30.0, random)
        self._admin: AdminClient | None = None
        self._answer: Future[object] | None = None
        self._creating = False
        self._next_try = 0.0
        self._doubtful = False
        #: its identity, as long as it is known; None before, and after we made it
        self._id: str | None = None
        self._was_there = False
        #: whether another topic of this name is there now than at first: what the first one held is lost
        self.remade = False

    @property
    def request_pending(self) -> bool:
        """Whether a request about the topic waits for its answer."""
        return self._answer is not None

    def missing(self) -> None:
        """Record that the topic does not exist (or no longer exists)."""
        self.exists = False

    def recheck(self) -> None:
        """Check it again, with the next calls of `ensure`; until the answer, it counts as existing if it did."""
        self._doubtful = True

    def ensure(self, seconds: float) -> bool:
        """Return whether the topic exists; check it, create it and wait at most `seconds` seconds."""
        if self.exists and not self._doubtful:
            return True
        if self._answer is None:
            if self._clock() < self._next_try:
                return self.exists
            self._describe()
        answer = self._answer
        if answer is not None and answer in wait([answer], seconds).done:
            self._answer = None
            self._take(answer)
        return self.exists

    def _describe(self) -> None:
        if self._admin is None:
            # log_level 0: the producer logs the same errors as this client
            self._admin = AdminClient({**self._connection, "log_level": 0})
        self._answer = self._admin.describe_topics(TopicCollection([self.name]), request_timeout=_REQUEST_TIMEOUT_S)[
            self.name
        ]
        self._creating = False

    def _create(self) -> None:
        if self._admin is not None:
            self._answer = self._admin.create_topics([self._new], request_timeout=_REQUEST_TIMEOUT_S)[self.name]
            self._creating = True

    def _take(self, answer: "Future[object]") -> None:
        try:
            description = answer.result()
        except KafkaException as exception:
            self._take_error(cause(exception))
            return
        found = None if self._creating else str(getattr(description, "topic_id", ""))
        self.remade |= self._was_there and (self._creating or (self._id is not None and found != self._id))
        self._id = found
        if self._creating:
            self._log.info("topic_created", topic=self.name)
        elif self._health.away and (short := shortfall(description)):
            # records may wait in the producer for missing replicas: nothing else shows that
            text = f"{short} of the topic {self.name}; min.insync.replicas may require more"
            self._health.hold(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS), cause=Cause(text, _BROKERS))
        self._found()

    def _take_error(self, error: KafkaError) -> None:
        if classify(error) is ErrorClass.TOPIC and not self._creating:
            self.exists = False
            self._create()
            return
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            self._found()
            return
        if error.code() == KafkaError.TOPIC_EXCEPTION:
            raise PermanentError(f"Kafka rejects the topic name {self.name!r}: change kafka.topic or kafka.topics")
        self._next_try = self._clock() + self._retries.fail()
        if error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):
            return  # the broker is unreachable: KafkaHealth logs that
        self.refused = classify(error) is ErrorClass.HOLD
        if self.refused and self._essential():
            missing = Cause(
                f"the topic {self.name} does not exist and cannot be created: {error_text(error)}", _MANUALLY
            )
            self._health.hold(error, cause=missing if self._creating else None)
        hint = _MANUALLY if self._creating else "allow the publisher to describe the topic"
        self._health.log_error(
            "topic_not_created" if self._creating else "topic_not_described", error, topic=self.name, hint=hint
        )

    def _found(self) -> None:
        self.exists = self._was_there = True
        self._doubtful = self.refused = False
        self._retries.succeed()
        self._admin = None  # its threads and connections are no longer needed


def shortfall(description: object) -> str:
    """Return which partition of a described topic lacks its leader or a replica; empty if all are in sync."""
    for partition in getattr(description, "partitions", ()):
        if partition.leader is None:
            return f"partition {partition.id} has no leader"
        if len(partition.isr) < len(partition.replicas):
            return f"{len(partition.isr)} of {len(partition.replicas)} replicas are in sync in partition {partition.id}"
    return ""
