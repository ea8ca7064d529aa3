"""Before a new spool of which no file tells is sent: what the topic holds is found out, and put on disk."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from structlog.testing import capture_logs

from core.spool import Batch, Record, SpoolWriter
from core.spool.predecessor import TopicEnds, read_ends
from streams.publisher.topic_survey import Survey
from streams.sinks.base import Retries
from streams.sinks.kafka.destinations import Destinations
from streams.sinks.kafka.kafka_errors import cause, is_passing
from streams.sinks.kafka.producer import KafkaSettings, combine_settings
from streams.sinks.kafka.topic_tail import TailReader, TopicItem
from tests.streams.publisher.deployment import new_topic
from tests.streams.publisher.stage import LOG, Stage
from tests.support.brokers import TansuBroker
from tests.support.waiting import wait_until

NOW = 1_700_000_000.0
ITEM = TopicItem("comments", "bitcoin", NOW - 9, NOW - 5)


@dataclass
class Script:
    """A reader of the topic that answers as the test tells it, one answer a step."""

    answers: list[bool | KafkaError]
    items: list[TopicItem] = field(default_factory=list)
    reached: bool = True
    incomplete: bool = False
    streams: frozenset[str] = frozenset({"comments"})
    unseen: frozenset[str] = frozenset()
    closed: int = 0
    waits: list[float] = field(default_factory=list)

    def read(self, seconds: float) -> bool:
        self.waits.append(seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, KafkaError):
            raise KafkaException(answer)
        return answer

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SpoolWriter]:
    with SpoolWriter(tmp_path, "comments") as writer:
        writer.commit(Batch(records=[Record(b"t1_1", b"{}", "reddit.comment.v1")]))
        yield writer


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def survey(
    stage: Stage,
    script: Script,
    make_reader: Callable[[KafkaSettings, str, Collection[str]], Script] | None = None,
    destinations: Destinations | None = None,
) -> Survey:
    return Survey(
        combine_settings("broker:9092", "posts", {}, None, destinations),
        stage.senders,
        stage.writer,
        LOG,
        retries=Retries(0.2, 10.0, lambda: 0.5),
        clock=lambda: stage.now,
        wall=lambda: NOW,
        make_reader=make_reader or (lambda _settings, _topic, _streams: script),
    )


def steps(stage: Stage, asked: Survey, times: int) -> None:
    for _ in range(times):
        asked.step()
        stage.step()


def test_nothing_is_sent_before_the_answer_is_on_disk(tmp_path: Path, stage: Stage, spool: SpoolWriter) -> None:
    script = Script([False, False, True], [ITEM])
    asked = survey(stage, script)
    steps(stage, asked, 3)
    assert stage.producer.keys == []
    assert read_ends(tmp_path, spool.spool_id) is None
    steps(stage, asked, 3)
    assert stage.producer.keys == ["t1_1"]
    found = read_ends(tmp_path, spool.spool_id)
    assert found is not None
    assert found.starts({"Bitcoin": False}) == {"Bitcoin": NOW - 9}
    assert script.closed == 1
    assert asked.step() is False, "asked once"


def test_a_spool_that_is_known_is_not_asked_for(stage: Stage, spool: SpoolWriter) -> None:
    spool.commit(Batch(cursor={"origin": "settled"}))
    stage.step()
    assert survey(stage, Script([])).step() is False
    stage.step()
    assert stage.producer.keys == ["t1_1"]


def test_after_a_restart_the_answer_stands(tmp_path: Path, stage: Stage, spool: SpoolWriter) -> None:
    steps(stage, survey(stage, Script([True])), 3)
    stage.writer.save(now=True)
    again = Stage(tmp_path)
    again.step()
    assert survey(again, Script([])).step() is False, spool.spool_id
    assert again.producer.keys == ["t1_1"]
    again.close()


def test_while_the_broker_is_away_it_is_asked_again_and_nothing_is_decided(stage: Stage, spool: SpoolWriter) -> None:
    away = KafkaError(KafkaError._TRANSPORT)
    script = Script([away] * 40 + [True], [ITEM], reached=False)
    asked = survey(stage, script)
    steps(stage, asked, 100)
    assert script.answers, "with pauses between"
    assert stage.producer.keys == [], spool.stream
    steps(stage, asked, 400)
    assert stage.producer.keys == ["t1_1"]


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN])
def test_a_topic_that_may_not_be_read_holds_nobody_up(
    tmp_path: Path, stage: Stage, spool: SpoolWriter, code: int
) -> None:
    with capture_logs() as logs:
        steps(stage, survey(stage, Script([KafkaError(code)] * 10)), 60)
    assert stage.producer.keys == ["t1_1"]
    assert [entry["event"] for entry in logs].count("topic_not_surveyed") == 1
    found = read_ends(tmp_path, spool.spool_id)
    assert found is not None
    assert found.unread
    assert found.starts({"Bitcoin": False}) == {}


def test_records_that_do_not_arrive_in_time(tmp_path: Path, stage: Stage, spool: SpoolWriter) -> None:
    steps(stage, survey(stage, Script([True], incomplete=True, unseen=frozenset({"comments"}))), 4)
    found = read_ends(tmp_path, spool.spool_id)
    assert found is not None
    assert found.unread
    assert stage.producer.keys == ["t1_1"]


def test_an_answer_survives_the_loss_of_the_file_that_was_to_take_it(
    tmp_path: Path, stage: Stage, spool: SpoolWriter
) -> None:
    stage.step()
    stage.writer.keep_ends(spool.spool_id, TopicEnds().to_json())
    for path in tmp_path.glob("publisher.db*"):
        path.unlink()
    stage.step(3)
    assert read_ends(tmp_path, spool.spool_id) == TopicEnds()


class TestTail:
    """The reader of the topic, on a real broker."""

    @staticmethod
    def read(tansu: TansuBroker, topic: str) -> TailReader:
        reader = TailReader(combine_settings(tansu.bootstrap_servers, topic, {}), topic)

        def is_read() -> bool:
            try:
                return reader.read(0.2)
            except KafkaException as exception:  # on a busy machine the first connection takes longer
                if not is_passing(cause(exception)):
                    raise
                return False

        wait_until(is_read, what="the topic to be read")
        reader.close()
        return reader

    @staticmethod
    def fill(tansu: TansuBroker, topic: str, write: Callable[[Producer], None]) -> None:
        producer = Producer({"bootstrap.servers": tansu.bootstrap_servers, "allow.auto.create.topics": True})
        write(producer)
        assert producer.flush(20) == 0
        assert topic

    def test_a_topic_that_is_not_there_holds_nothing(self, tansu: TansuBroker) -> None:
        reader = self.read(tansu, new_topic())
        assert (reader.items, reader.incomplete, reader.reached) == ([], False, True)

    def test_it_reads_the_last_records_and_leaves_foreign_ones(
        self, tansu: TansuBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        topic = new_topic()
        record = {"subreddit": "Bitcoin", "created_utc": 0, "timestamp": "2026-01-01T00:00:00.000+00:00"}
        headers: list[tuple[str, str | bytes | None]] = [("schema", "reddit.comment.v1"), ("stream", "comments")]

        def write(producer: Producer) -> None:
            for number in range(20):
                value = orjson.dumps({**record, "created_utc": number})
                producer.produce(topic, value, b"t1_1", 0, headers=headers)
                assert producer.flush(20) == 0  # a batch of its own
            producer.produce(topic, b"someone else's", b"k", 0)

        self.fill(tansu, topic, write)
        monkeypatch.setattr("streams.sinks.kafka.topic_tail._MIN_PER_PARTITION", 10)
        monkeypatch.setattr("streams.sinks.kafka.topic_tail._MOST_RECORDS", 10)
        reader = self.read(tansu, topic)
        assert [item.created for item in reader.items] == [float(number) for number in range(11, 20)]

    def test_a_stream_without_a_newest_record_is_looked_for_further_back(
        self, tansu: TansuBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        topic = new_topic()
        record = {"subreddit": "Bitcoin", "created_utc": 1, "timestamp": "2026-01-01T00:00:00.000+00:00"}

        def write(producer: Producer) -> None:
            for stream, count in (("comments", 3), ("submissions", 1), ("comments", 30)):
                schema = f"reddit.{stream.removesuffix('s')}.v1"
                for _ in range(count):
                    headers: list[tuple[str, str | bytes | None]] = [("schema", schema), ("stream", stream)]
                    producer.produce(topic, orjson.dumps(record), b"k", 0, headers=headers)
                    assert producer.flush(20) == 0

        self.fill(tansu, topic, write)
        monkeypatch.setattr("streams.sinks.kafka.topic_tail._MIN_PER_PARTITION", 5)
        monkeypatch.setattr("streams.sinks.kafka.topic_tail._MOST_RECORDS", 5)
        reader = self.read(tansu, topic)
        assert Counter(item.stream for item in reader.items) == {"comments": 5, "submissions": 1}
        assert reader.unseen == frozenset()
        monkeypatch.setattr("streams.sinks.kafka.topic_tail._DEEPER", 4)
        reader = self.read(tansu, topic)
        assert Counter(item.stream for item in reader.items) == {"comments": 5}
        assert not reader.incomplete
        assert reader.unseen == {"submissions"}


def test_a_publisher_that_stops_bounds_the_wait(stage: Stage, spool: SpoolWriter) -> None:
    """Else the last request to a Kafka that is away outlasts the time to stop, and the process is killed."""
    del spool
    away = KafkaError(KafkaError._TIMED_OUT)
    script = Script([away] * 20, reached=False)
    asked = survey(stage, script)
    for _ in range(8):
        asked.step()
        stage.senders.refresh()
        stage.now += 20.0
    assert max(script.waits) == 1.0
    asked.step(0.2)
    asked.step(-1.0)
    stage.now += 20.0
    asked.step(-1.0)
    assert script.waits[-2:] == [0.2, 0.01]


def test_each_stream_is_looked_for_in_its_own_topic(tmp_path: Path, spool: SpoolWriter) -> None:
    destinations = Destinations({"comments": "c", "submissions": "s"}, "posts", "latest")
    stage, asked = Stage(tmp_path, destinations=destinations), list[tuple[str, list[str]]]()

    def reader(_settings: KafkaSettings, topic: str, streams: Collection[str]) -> Script:
        asked.append((topic, list(streams)))
        return Script([True], streams=frozenset(streams))

    other = SpoolWriter(tmp_path, "submissions")
    changes = SpoolWriter(tmp_path, "changes")
    changes.commit(Batch(records=[Record(b"t1_9", b"{}", "reddit.change.v1")]))
    both = survey(stage, Script([]), reader, destinations)
    stage.step()
    assert stage.producer.keys == ["t1_9"], "what no listing shows waits for no answer"
    steps(stage, both, 6)
    assert sorted(asked) == [("c", ["comments"]), ("s", ["submissions"])]
    assert [read_ends(tmp_path, one.spool_id) for one in (spool, other)] == [TopicEnds(), TopicEnds()]
    assert read_ends(tmp_path, changes.spool_id) is None
    for each in (other, changes, stage):
        each.close()
