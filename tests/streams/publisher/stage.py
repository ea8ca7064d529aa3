"""A publisher with everything real but the broker: a producer that does as the test tells it, and a clock by hand."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException

from core.status.kafka_outage import OutageMark
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import KAFKA, PublisherStore
from streams.sinks.base import Retries, RoundResult, drive
from streams.sinks.kafka.at_least_once import AtLeastOnce
from streams.sinks.kafka.destinations import Destinations
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.kafka_senders import KafkaSpoolSenders
from streams.sinks.kafka.producer import KafkaSettings, combine_settings

LOG = structlog.stdlib.get_logger("test")


@dataclass
class Sent:
    """A record that the producer was given."""

    key: str
    value: bytes  # b"" for a tombstone
    headers: dict[str, str]
    topic: str
    tombstone: bool
    report: Callable[[KafkaError | None, Any], None]


class StagedProducer:
    """Takes records; the test says when, and with what, their reports come."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.sent: list[Sent] = []
        self.flying: list[Sent] = []
        self.capacity = capacity
        #: keys that the client itself refuses, with the reason
        self.refuses: dict[str, KafkaError] = {}
        #: the size from which on the client itself refuses a value
        self.too_large = sys.maxsize
        #: the bytes of values that fit the queue
        self.queue_bytes = sys.maxsize
        #: what the next poll raises, as librdkafka's client does when it met a fatal error
        self.fatal: KafkaError | None = None
        self._reports: list[tuple[Sent, KafkaError | None]] = []

    def produce(self, topic: str, value: bytes | None, key: bytes, *rest: Any) -> None:
        _partition, report, _callback, _timestamp, headers = rest
        if error := self.refuses.get(key.decode()):
            raise KafkaException(error)
        size = len(value or b"")
        if size >= self.too_large:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        queued = sum(len(record.value) for record in self.flying)
        if len(self.flying) >= self.capacity or queued + size > self.queue_bytes:
            raise BufferError("queue full")
        record = Sent(key.decode(), value or b"", dict(headers), topic, value is None, report)
        self.sent.append(record)
        self.flying.append(record)

    def report(self, keys: list[str], error: KafkaError | None = None, topic: str = "") -> None:
        """Have the reports of these records (in a topic) come with the next poll."""
        for key in keys:
            record = next(record for record in self.flying if record.key == key and topic in ("", record.topic))
            self.flying.remove(record)
            self._reports.append((record, error))

    def poll(self, _timeout: float) -> int:
        if self.fatal is not None:
            fatal, self.fatal = self.fatal, None
            raise KafkaException(fatal)
        reports, self._reports = self._reports, []
        for record, error in reports:
            record.report(error, None)
        return len(reports)

    def flush(self, _timeout: float) -> int:
        self.poll(0.0)
        return len(self)

    def purge(self) -> None:
        self.flying.clear()

    def __len__(self) -> int:
        return len(self.flying) + len(self._reports)

    @property
    def keys(self) -> list[str]:
        """All keys that were sent, in order, repeated ones too."""
        return [record.key for record in self.sent]


class PresentTopic:
    """A topic that is there until someone says otherwise; then it is made again at once."""

    request_pending = False

    def __init__(self) -> None:
        self.losses = 0
        self.exists = True

    def ensure(self, _patience: float) -> bool:
        return True

    def missing(self) -> None:
        self.losses += 1


class PresentTopics:
    """The topics of the records: all are there but those that the test takes away."""

    request_pending = False

    def __init__(self) -> None:
        self.losses = 0
        self.gone: set[str] = set()
        self.refuses = False
        #: whether Kafka answers questions about them
        self.any_exists = True
        #: every topic that was asked for
        self.wanted: set[str] = set()

    def ensure(self, groups: Sequence[tuple[str, ...]], _patience: float) -> None:
        self.wanted.update(name for group in groups for name in group)

    def absent(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(self.gone.intersection(names))

    def refused(self, names: Iterable[str]) -> bool:
        return self.refuses and bool(self.absent(names))

    def missing(self) -> None:
        self.losses += 1


class Stage:
    """An at-least-once sink on `state_dir`, with one staged producer after the other."""

    def __init__(
        self, state_dir: Path, sinks: tuple[str, ...] = (KAFKA,), destinations: Destinations | None = None
    ) -> None:
        destinations = destinations or Destinations({}, "posts")
        self.now = 1000.0
        self.producers: list[StagedProducer] = []
        self.topics = PresentTopics()
        self.capacity = 10_000
        clock = lambda: self.now  # noqa: E731
        self.writer = PositionWriter(
            lambda known: PublisherStore.open(state_dir, LOG, deployment_id=known, sinks=sinks), LOG, clock
        )
        self.health = KafkaHealth(LOG, self.writer, "broker:9092", clock, OutageMark(state_dir))
        self.senders = KafkaSpoolSenders(
            state_dir=state_dir,
            writer=self.writer,
            log=LOG,
            clock=clock,
            health=self.health,
            message_max_bytes=1000,
            destinations=destinations,
        )
        self.sink = AtLeastOnce(
            topics=self.topics,  # type: ignore[arg-type]
            settings=combine_settings("broker:9092", "posts", {}),
            senders=self.senders,
            writer=self.writer,
            health=self.health,
            retries=Retries(0.2, 10.0, lambda: 0.5),
            log=LOG,
            clock=clock,
            make_producer=self._make,  # type: ignore[arg-type]
        )

    def _make(self, _settings: KafkaSettings, _watch: KafkaHealth) -> StagedProducer:
        self.producers.append(StagedProducer(self.capacity))
        return self.producers[-1]

    @property
    def producer(self) -> StagedProducer:
        return self.producers[-1]

    def step(self, times: int = 1) -> RoundResult:
        """Do rounds of work, a second apart."""
        for _ in range(times):
            pace = drive(self.sink)
            self.now += 1.0
        return pace

    def close(self) -> None:
        self.sink.close(0.0)
        self.writer.close()
        self.senders.close()
