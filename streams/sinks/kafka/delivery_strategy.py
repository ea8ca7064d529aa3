"""What both ways to deliver to Kafka have in common: the producer, the senders, the state of Kafka."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypedDict

import structlog
from confluent_kafka import Producer

from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import KAFKA
from streams.sinks.base import Retries, RoundResult, Sink
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.kafka_senders import KafkaSpoolSenders
from streams.sinks.kafka.producer import Settings


class StrategyParts(TypedDict):
    """The parts that a delivery strategy works with, whichever promise it keeps."""

    settings: Settings
    senders: KafkaSpoolSenders
    writer: PositionWriter
    health: KafkaHealth
    retries: Retries
    log: structlog.stdlib.BoundLogger
    clock: Callable[[], float]
    make_producer: Callable[[Settings, KafkaHealth], Producer]


class DeliveryStrategy(Sink, ABC):
    """The sink Kafka. Its two strategies, at least once and exactly once, differ in when a position counts."""

    name = KAFKA

    def __init__(
        self,
        *,
        settings: Settings,
        senders: KafkaSpoolSenders,
        writer: PositionWriter,
        health: KafkaHealth,
        retries: Retries,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        make_producer: Callable[[Settings, KafkaHealth], Producer],
    ) -> None:
        self._settings = settings
        self._senders = senders
        self._writer = writer
        self._health = health
        self._retries = retries
        self._log = log
        self._clock = clock
        self._make_producer = make_producer
        self._producer: Producer | None = None
        #: before this moment Kafka is not asked again
        self._resume_at = 0.0

    @abstractmethod
    def open(self) -> bool:
        """Work towards taking records; return whether Kafka takes them now."""

    @abstractmethod
    def send(self) -> int:
        """Hand over a portion of each source; return how many records."""

    @abstractmethod
    def flush(self) -> bool:
        """Take in the reports that came; return whether nothing is on its way."""

    @abstractmethod
    def commit(self) -> RoundResult:
        """Make the positions durable; return how soon to go on."""

    def close(self, seconds: float) -> None:
        """Wait at most `seconds` for what is on its way, then let go of the broker and of the sources."""
        try:
            self._let_go(seconds)
        finally:
            self._senders.close()

    @abstractmethod
    def _let_go(self, seconds: float) -> None: ...

    def backlog(self) -> int:
        """Return how many records are captured and not yet in Kafka."""
        return self._senders.backlog()

    @property
    def held(self) -> bool:
        """Whether Kafka is there and takes nothing just now."""
        return self._health.held

    @property
    def _live(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("there is no producer in this phase")
        return self._producer
