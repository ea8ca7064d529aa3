"""Transactions of the exactly-once sink by the clock: large and bounded in time in a backlog, small in calm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from core.spool.committed_positions import read_positions, read_publisher_counters
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import PublisherStore
from streams.sinks.base import Retries, RoundResult, drive
from streams.sinks.kafka.destinations import Destinations
from streams.sinks.kafka.exactly_once import ExactlyOnce
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.kafka_senders import KafkaSpoolSenders
from streams.sinks.kafka.producer import combine_settings
from streams.sinks.kafka.transaction_size import MOST_RECORDS, TARGET_S
from tests.streams.publisher.spools import FilledSpool
from tests.streams.publisher.stage import PresentTopic, PresentTopics

LOG = structlog.stdlib.get_logger("test")
Report = Callable[[KafkaError | None, Any], None]


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Transaction:
    """What the broker saw of one."""

    began: float
    keys: list[str]
    ended: float = 0.0
    committed: bool = False

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class PacedProducer:
    """A transactional producer whose broker takes `rate` records a second; its calls pass the clock's time."""

    def __init__(self, clock: Clock, rate: float) -> None:
        self.rate = rate
        self.transactions: list[Transaction] = []
        self.refuses: KafkaError | None = None
        self._clock = clock
        self._flying: list[Report | None] = []

    def init_transactions(self, _timeout: float) -> None:
        self._flying.clear()

    def begin_transaction(self) -> None:
        self.transactions.append(Transaction(self._clock.now, []))

    def produce(self, topic: str, _value: bytes, key: bytes | str, *rest: Any) -> None:
        self._flying.append(rest[1] if topic == "posts" else None)
        if isinstance(key, bytes):
            self.transactions[-1].keys.append(key.decode())
        self._clock.now += 5e-6

    def poll(self, timeout: float) -> int:
        self._clock.now += timeout
        taken = min(len(self._flying), int(timeout * self.rate))
        for report in self._flying[:taken]:
            if self.refuses is not None and report is not None:
                report(self.refuses, None)  # of reports only errors are asked for
        del self._flying[:taken]
        return taken

    def flush(self, timeout: float) -> int:
        self.poll(min(timeout, (len(self._flying) + 1) / self.rate))
        return len(self)

    def commit_transaction(self, _timeout: float) -> None:
        self._flying.clear()  # the position
        self._end(committed=True)

    def abort_transaction(self, _timeout: float) -> None:
        self._flying.clear()
        self._end(committed=False)

    def _end(self, *, committed: bool) -> None:
        self._clock.now += 0.02
        self.transactions[-1].ended, self.transactions[-1].committed = self._clock.now, committed

    def purge(self) -> None:
        self._flying.clear()

    def __len__(self) -> int:
        return len(self._flying)


class NothingCommitted:
    """The positions' topic is empty."""

    def __init__(self, _settings: object, source_ids: set[str]) -> None:
        self.source_ids = frozenset(source_ids)

    def read(self, _seconds: float) -> dict[str, Any]:
        return {}

    def close(self) -> None: ...


class Stage:
    """An exactly-once sink on `state_dir`."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = Clock()
        self.producer = PacedProducer(self.clock, 50_000)
        self.writer = PositionWriter(
            lambda known: PublisherStore.open(state_dir, LOG, deployment_id=known), LOG, self.clock
        )
        health = KafkaHealth(LOG, self.writer, "broker:9092", self.clock)
        self.sink = ExactlyOnce(
            PresentTopic(),  # type: ignore[arg-type]
            NothingCommitted,  # type: ignore[arg-type]
            settings=combine_settings("broker:9092", "posts", {}, "gapless-test"),
            topics=PresentTopics(),  # type: ignore[arg-type]
            senders=KafkaSpoolSenders(
                state_dir=state_dir,
                writer=self.writer,
                log=LOG,
                clock=self.clock,
                health=health,
                message_max_bytes=1_000_000,
                destinations=Destinations({}, "posts"),
            ),
            writer=self.writer,
            health=health,
            retries=Retries(0.2, 10.0, lambda: 0.5),
            log=LOG,
            clock=self.clock,
            make_producer=lambda _settings, _health: self.producer,  # type: ignore[arg-type, return-value]
        )

    def run(self, done: Callable[[], bool] | None = None) -> None:
        """Do rounds of work until nothing is left, or `done`."""
        for _ in range(20_000):
            result = drive(self.sink)
            if result is RoundResult.BLOCKED:
                self.clock.now += 0.1
            if done is not None and done():
                return
            if result is RoundResult.IDLE:
                self.clock.now += 1.0  # positions are saved from time to time
                drive(self.sink)
                return
        raise AssertionError("it comes to no end")

    @property
    def transactions(self) -> list[Transaction]:
        return self.producer.transactions

    def committed(self) -> list[str]:
        return [key for one in self.transactions if one.committed for key in one.keys]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.sink.close(0.0)
    stage.writer.close()


def test_a_backlog_goes_in_ever_larger_transactions(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    keys = spool.capture(60_000)
    stage.run()
    sizes = [len(one.keys) for one in stage.transactions]
    assert sizes[:5] == [500, 1000, 2000, 4000, 8000]
    assert 15_000 < max(sizes) <= MOST_RECORDS
    assert max(one.seconds for one in stage.transactions) < TARGET_S
    assert stage.committed() == keys
    assert read_positions(tmp_path) == {spool.writer.spool_id: 60_000}
    assert read_publisher_counters(tmp_path) == {"published": 60_000}


def test_in_calm_each_arrival_is_committed_at_once(stage: Stage, spool: FilledSpool) -> None:
    spool.capture(30_000)
    stage.run()
    before = len(stage.transactions)
    for count in (1, 20, 100):
        spool.capture(count)
        stage.run()
    calm = stage.transactions[before:]
    assert [len(one.keys) for one in calm] == [1, 20, 100]
    assert max(one.seconds for one in calm) < 0.1
    spool.capture(3000)
    stage.run()
    assert len(stage.transactions[before + 3].keys) == 500, "the next backlog begins small again"


@pytest.mark.parametrize("rate", [1_000, 4_000, 10_000])
def test_a_slow_broker_holds_no_reader_much_longer_than_the_target(stage: Stage, spool: FilledSpool, rate: int) -> None:
    stage.producer.rate = rate
    keys = spool.capture(6 * rate)
    stage.run()
    assert max(one.seconds for one in stage.transactions) < 1.6 * TARGET_S
    assert stage.committed() == keys


def test_a_broker_that_becomes_slow_has_a_bounded_rest_to_take(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(80_000)
    stage.run(lambda: len(stage.transactions) == 8)
    slow_from, stage.producer.rate = len(stage.transactions), 2_500
    stage.run()
    slow = [one.seconds for one in stage.transactions[slow_from:]]
    assert slow[0] < 3.0, "half a second, and 5,000 records in flight"
    assert max(slow[1:]) < 1.6 * TARGET_S
    assert stage.committed() == keys


def test_a_large_transaction_that_is_aborted_is_repeated_as_a_whole(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    keys = spool.capture(40_000)
    stage.run(lambda: len(stage.transactions) == 6 and len(stage.transactions[-1].keys) > 8_000)
    done = len(stage.committed())
    stage.producer.refuses = KafkaError(KafkaError._MSG_TIMED_OUT)  # noqa: SLF001
    stage.run(lambda: stage.transactions[-1].ended > 0)
    stage.producer.refuses = None
    (aborted,) = [one for one in stage.transactions if one.ended and not one.committed]
    assert len(aborted.keys) > 8_000
    assert stage.writer.position(spool.writer.spool_id) == done, "nothing of it counts"
    stage.run()
    assert len(stage.transactions[6].keys) == 500, "what failed is tried with less"
    assert stage.committed() == keys
    assert read_positions(tmp_path) == {spool.writer.spool_id: 40_000}


def test_a_record_that_fails_ends_the_filling(stage: Stage, spool: FilledSpool) -> None:
    """The rest of the transaction would be sent in vain."""
    spool.capture(40_000)
    stage.run(lambda: len(stage.transactions) == 7 and len(stage.transactions[-1].keys) > 5_000)
    stage.producer.refuses = KafkaError(KafkaError._MSG_TIMED_OUT)  # noqa: SLF001
    stage.run(lambda: stage.transactions[-1].ended > 0)
    assert not stage.transactions[-1].committed
    assert len(stage.transactions[-1].keys) < 8_000


def test_a_transaction_that_the_broker_ends_is_repeated(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(5_000)
    stage.run(lambda: len(stage.transactions) == 3)
    produce = stage.producer.produce

    def refuse(*_arguments: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._STATE))  # noqa: SLF001

    stage.producer.produce = refuse  # type: ignore[method-assign, assignment]
    stage.run(lambda: stage.transactions[-1].ended > 0)
    stage.producer.produce = produce  # type: ignore[method-assign]
    stage.run()
    assert [one.committed for one in stage.transactions[:3]] == [True, True, False]
    assert stage.committed() == keys
