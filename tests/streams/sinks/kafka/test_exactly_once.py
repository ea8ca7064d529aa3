"""Exactly once on Apache Kafka itself: a consumer of committed records sees each one once, whatever happens to us."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from core.spool.committed_positions import publisher_path
from streams.sinks.kafka.committed_position import CommittedPosition, CommittedPositionReader
from streams.sinks.kafka.producer import KafkaSettings, combine_settings
from tests.streams.publisher.deployment import Deployment, new_topic
from tests.support.brokers import ApacheKafka, Broker
from tests.support.waiting import wait_until


@pytest.fixture
def deployment(tmp_path: Path, apache_kafka: ApacheKafka) -> Deployment:
    return Deployment(tmp_path, apache_kafka, delivery="exactly_once")


def test_each_record_once_while_the_publisher_is_killed_again_and_again(deployment: Deployment) -> None:
    with deployment:
        kills = 0
        deployment.start()
        while kills < 6:
            deployment.comments.capture(3_000)
            deployment.submissions.capture(40)
            left = deployment.backlog()
            wait_until(lambda left=left: deployment.backlog() < left, what="some progress")  # type: ignore[misc]
            deployment.kill()
            kills += 1
            deployment.start()
        deployment.wait_delivered(30.0)
        records = deployment.prove()
        assert len(records) == 6 * 3_040
        assert deployment.counters()["published"] == 6 * 3_040, "kills lose no count"


def test_each_record_once_while_the_broker_is_killed_and_comes_back_on_its_data(
    deployment: Deployment, apache_kafka: ApacheKafka
) -> None:
    with deployment:
        deployment.start()
        deployment.comments.capture(200)
        deployment.wait_delivered()
        deployment.comments.capture(20_000)
        deployment.tell()
        left = deployment.backlog()
        wait_until(lambda: deployment.backlog() < left, what="some progress")
        apache_kafka.kill()
        deployment.submissions.capture(100)
        apache_kafka.start()
        deployment.wait_delivered(60.0)
        deployment.prove()


def test_each_record_once_when_the_broker_gives_a_transaction_up(tmp_path: Path, apache_kafka: ApacheKafka) -> None:
    """The broker stands still for longer than a transaction may take."""
    with Deployment(tmp_path, apache_kafka, delivery="exactly_once", transaction_timeout_ms=2000) as deployment:
        deployment.start()
        deployment.comments.capture(10)
        deployment.wait_delivered()
        deployment.comments.capture(20_000)
        left = deployment.backlog()
        wait_until(lambda: deployment.backlog() < left, what="some progress")
        apache_kafka.freeze()
        deployment.wait_said("kafka_away")
        apache_kafka.thaw()
        wait_until(lambda: _delivered_or_restarted(deployment), 150, "the rest")
        deployment.prove()


def _delivered_or_restarted(deployment: Deployment) -> bool:
    """Start the publisher again when it found itself fenced, as the supervisor does."""
    if deployment.publisher.exit_code() is not None:
        deployment.start()
    return deployment.backlog() == 0


def test_a_successor_fences_a_predecessor_that_wakes_up_late(deployment: Deployment) -> None:
    """A publisher frozen in the middle of its work is replaced; when it thaws, it may not write any more."""
    with deployment:
        deployment.comments.capture(10)
        zombie = deployment.start()
        deployment.wait_delivered()
        deployment.comments.capture(20_000)
        left = deployment.backlog()
        wait_until(lambda: deployment.backlog() < left, what="some progress")
        os.kill(zombie.pid, signal.SIGSTOP)
        deployment.start()
        deployment.wait_delivered(30.0)
        os.kill(zombie.pid, signal.SIGCONT)
        deployment.comments.capture(500)
        wait_until(lambda: zombie.exit_code() is not None, what="the predecessor to end")
        assert zombie.exit_code() == 1
        deployment.wait_delivered(30.0)
        deployment.prove()


def test_a_lost_publisher_db_repeats_nothing_since_kafka_knows_the_position(deployment: Deployment) -> None:
    with deployment:
        deployment.start()
        deployment.comments.capture(300)
        deployment.submissions.capture(7)
        deployment.wait_delivered()
        assert deployment.stop()[0] == 0
        for path in deployment.state_dir.glob(f"{publisher_path(deployment.state_dir).name}*"):
            path.unlink()
        deployment.comments.capture(5)
        deployment.start()
        deployment.wait_delivered()
        deployment.prove()


def test_a_state_put_back_from_a_copy_loses_nothing_that_came_after_it(deployment: Deployment, tmp_path: Path) -> None:
    """The position in Kafka is then that of another history: records with the same numbers are other records."""
    with deployment:
        deployment.start()
        deployment.comments.capture(100)
        deployment.wait_delivered()
        deployment.stop()
        _close_spools(deployment)
        shutil.copytree(deployment.state_dir, tmp_path / "copy")
        _reopen_spools(deployment)
        deployment.start()
        deployment.comments.capture(50)
        deployment.wait_delivered()
        deployment.stop()
        _close_spools(deployment)
        shutil.rmtree(deployment.state_dir)
        shutil.move(tmp_path / "copy", deployment.state_dir)
        _reopen_spools(deployment)
        deployment.comments.capture(80)  # numbers 101 to 180, of which Kafka has other records up to 150
        deployment.start()
        deployment.wait_delivered()
        assert {record.key for record in deployment.records()} == set(deployment.comments.keys)
        assert deployment.said("spool_not_of_kafka")


def test_a_record_that_the_broker_refuses_is_given_up_alone(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    """Its batch is refused with it; tried alone, the others go through, and one that is small without `reddit`."""
    with Deployment(tmp_path, apache_kafka, delivery=delivery, message_max_bytes=5_000_000) as deployment:
        _create_topic(apache_kafka, deployment.topic, {"max.message.bytes": "100000"})
        deployment.config.kafka.producer["compression.type"] = "none"
        deployment.config.kafka.producer["linger.ms"] = 100
        deployment.comments.capture(20)
        (large,) = deployment.comments.capture(1, size=200_000, reddit=100)
        deployment.comments.capture(10)
        (reducible,) = deployment.comments.capture(1, reddit=200_000)
        deployment.comments.capture(9)
        deployment.start()
        deployment.wait_delivered(30.0)
        records = deployment.prove(without=(large,))
        assert [(record.key, record.value) for record in records if record.headers.get("dropped") == "reddit"] == [
            (reducible, {"fullname": reducible, "text": "x" * 100})
        ]
        counters = deployment.counters()
        assert (counters["published"], counters["dead_letters"], counters["payloads_dropped"]) == (40, 1, 1)
        (said,) = deployment.said("payload_dropped")
        assert (said["key"], said["count"]) == (reducible, 1)


@pytest.fixture(params=["at_least_once", "exactly_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_topic_that_is_deleted_is_made_again(tmp_path: Path, apache_kafka: ApacheKafka, delivery: str) -> None:
    with Deployment(tmp_path, apache_kafka, delivery=delivery) as deployment:
        deployment.start()
        deployment.comments.capture(100)
        deployment.wait_delivered()
        admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
        admin.delete_topics([deployment.topic])[deployment.topic].result()
        late = deployment.comments.capture(200)
        deployment.wait_delivered(40.0)
        assert set(late) <= {record.key for record in deployment.records()}


def test_a_mark_behind_another_publishers_open_transaction_is_waited_for(apache_kafka: ApacheKafka) -> None:
    """The last stable offset stands still while any transaction is open, and would hide what we committed after it."""
    settings = combine_settings(apache_kafka.bootstrap_servers, new_topic(), {}, transactional_id="reader")
    _create_topic(apache_kafka, settings.positions_topic)
    other, ours = (_transactional(settings, f"{settings.positions_topic}-{name}") for name in ("other", "ours"))
    other.begin_transaction()
    other.produce(settings.positions_topic, CommittedPosition(1, "t1_0").to_json(), "elsewhere")
    other.flush()
    ours.begin_transaction()
    ours.produce(settings.positions_topic, CommittedPosition(42, "t1_f").to_json(), "spool")
    ours.commit_transaction(10)
    reader = CommittedPositionReader(settings, {"spool"})
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert reader.read(0.1) is None, "as long as the other transaction is open nobody can know"
    other.abort_transaction(10)
    assert wait_until(lambda: reader.read(0.1), what="the positions") == {"spool": CommittedPosition(42, "t1_f")}
    reader.close()


def test_marks_are_found_however_far_back_they_lie(apache_kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sinks.kafka.committed_position._TAIL", 5)
    settings = combine_settings(apache_kafka.bootstrap_servers, new_topic(), {})
    _create_topic(apache_kafka, settings.positions_topic)
    producer = Producer({**settings.producer, "log_level": 0})
    producer.produce(settings.positions_topic, CommittedPosition(3, "t1_0").to_json(), "old")
    producer.produce(settings.positions_topic, CommittedPosition(7, "t1_1").to_json(), "old")
    for number in range(20):
        producer.produce(settings.positions_topic, CommittedPosition(number, "t1_2").to_json(), "new")
    producer.flush()
    for wanted, expected in (({"new"}, {"new": 19}), ({"old", "new"}, {"old": 7, "new": 19}), ({"none"}, {})):
        reader = CommittedPositionReader(settings, wanted)
        committed = wait_until(lambda reader=reader: _once(reader), what="the positions")  # type: ignore[misc]
        assert {spool_id: mark.seq for spool_id, mark in committed[0].items()} == expected
        reader.close()


def _once(reader: CommittedPositionReader) -> list[dict[str, CommittedPosition]]:
    committed = reader.read(0.1)
    return [] if committed is None else [committed]


def _create_topic(broker: Broker, topic: str, settings: dict[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    admin.create_topics([NewTopic(topic, num_partitions=1, config=settings or {})])[topic].result()


def _transactional(settings: KafkaSettings, name: str) -> Producer:
    producer = Producer({**settings.producer, "transactional.id": name, "log_level": 0})
    try:
        producer.init_transactions(10)
    except KafkaException as error:
        raise AssertionError(f"{name} got no transactions") from error
    return producer


def _close_spools(deployment: Deployment) -> None:
    for spool in deployment.spools:
        spool.close()


def _reopen_spools(deployment: Deployment) -> None:
    for spool in deployment.spools:
        spool.reopen(deployment.state_dir)
