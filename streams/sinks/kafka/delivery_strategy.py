"""The base of both Kafka delivery strategies: the producer, the senders, the health of Kafka."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NotRequired, TypedDict

import structlog
from confluent_kafka import Producer

from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import KAFKA
from streams.sinks.base import Retries, RoundResult, Sink
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.kafka_senders import KafkaSpoolSenders
from streams.sinks.kafka.producer import KafkaSettings
from streams.sinks.kafka.routing import Routing
from streams.sinks.kafka.topic_set import TopicSet


class StrategyParts(TypedDict):
    """The parts that every delivery strategy uses."""

    settings: KafkaSettings
    topics: TopicSet
    senders: KafkaSpoolSenders
    writer: PositionWriter
    health: KafkaHealth
    retries: Retries
    log: structlog.stdlib.BoundLogger
    clock: Callable[[], float]
    make_producer: Callable[[KafkaSettings, KafkaHealth], Producer]
    routing: NotRequired[Routing | None]


class DeliveryStrategy(Sink, ABC):
    """The Kafka sink. Its two strategies, at least once and exactly once, differ in when a position counts."""

    name = KAFKA

    def __init__(
        self,
        *,
        settings: KafkaSettings,
        topics: TopicSet,
        senders: KafkaSpoolSenders,
        writer: PositionWriter,
        health: KafkaHealth,
        retries: Retries,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        make_producer: Callable[[KafkaSettings, KafkaHealth], Producer],
        routing: Routing | None = None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._senders = senders
        self._writer = writer
        self._health = health
        self._retries = retries
        self._log = log
        self._clock = clock
        self._make_producer = make_producer
        self._routing = routing
        self._producer: Producer | None = None
        #: no request to Kafka before this time
        self._resume_at = 0.0

    @abstractmethod
    def open(self) -> bool:
        """Connect as far as needed; return whether Kafka accepts records now."""

    @abstractmethod
    def send(self) -> int:
        """Send a batch from each source; return the number of records."""

    @abstractmethod
    def flush(self) -> bool:
        """Process the reports that arrived; return whether nothing is in flight."""

    @abstractmethod
    def commit(self) -> RoundResult:
        """Make the positions durable; return when the next round is due."""

    def close(self, seconds: float) -> None:
        """Wait at most `seconds` for records in flight, then release the broker and the sources."""
        try:
            self._disconnect(seconds)
        finally:
            self._senders.close()

    @abstractmethod
    def _disconnect(self, seconds: float) -> None: ...

    def _ensure_topics(self, seconds: float) -> bool:
        """Check the topics that something goes to, at most `seconds` for each; return whether records can be sent."""
        self._topics.ensure(self._senders.topic_groups(), seconds)
        return self._topics_ready()

    def _topics_ready(self) -> bool:
        """Have the senders whose topics are missing wait; return whether the others, if there are any, can send."""
        groups = self._senders.topic_groups()
        self._senders.absent = absent = self._topics.absent({name for group in groups for name in group})
        return not groups or any(absent.isdisjoint(group) for group in groups)

    def backlog(self) -> int:
        """Return the number of records that are captured and not yet in Kafka."""
        return self._senders.backlog()

    @property
    def held(self) -> bool:
        """Whether Kafka is reachable and currently refuses records, or the topics of all that wait for delivery."""
        if self._health.held:
            return True
        senders = self._senders
        return not self._health.away and self._topics.refused(senders.absent) and not senders.can_deliver()

    @property
    def _active_producer(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("there is no producer in this phase")
        return self._producer
