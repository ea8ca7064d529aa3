"""Kafka is there and refuses, not for a record's sake: the publisher waits, says why, and loses and buries nothing."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from core.spool.committed_positions import read_dead_letters
from core.status.kafka_outage import read_outage, read_refusal
from tests.streams.publisher.deployment import Deployment
from tests.support.brokers import ApacheKafka, Broker
from tests.support.waiting import wait_until

WRONG_CLOCK = Path(__file__).parent / "wrong_clock"
AHEAD = "this machine's clock is ahead of Kafka's by more than the topic's message.timestamp.after.max.ms allows"


@pytest.fixture
def skew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says by how many milliseconds the publisher's clock is wrong."""
    path = tmp_path / "skew"
    monkeypatch.setenv("PYTHONPATH", str(WRONG_CLOCK))
    monkeypatch.setenv("CLOCK_SKEW_FILE", str(path))
    return path


@pytest.fixture(params=["at_least_once", "exactly_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def wait_reported(deployment: Deployment) -> str:
    """Wait until others can read why nothing is delivered."""
    return wait_until(lambda: read_refusal(deployment.state_dir, 0.0), what="the cause to be marked")


def test_a_clock_ahead_of_kafkas_makes_no_dead_letters(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str, skew: Path
) -> None:
    skew.write_text("7200000")
    with Deployment(tmp_path, apache_kafka, delivery=delivery) as deployment:
        _create_topic(apache_kafka, deployment.topic)
        deployment.start()
        deployment.comments.capture(300)
        deployment.submissions.capture(20)
        deployment.tell()
        assert wait_reported(deployment) == AHEAD
        said = deployment.wait_said("delivery_held")
        assert (said["cause"], said["error"]) == (AHEAD, "INVALID_TIMESTAMP")
        assert read_outage(deployment.state_dir) is not None
        code, took = deployment.stop(drain=20.0)
        assert code == 0
        assert took < 3.0, "to wait for a right clock is no use"
        deployment.start()
        wait_until(lambda: len(deployment.said("delivery_held")) == 2, what="the successor to say it too")
        deployment.comments.capture(100)
        skew.write_text("0")
        deployment.wait_delivered(30.0)
        deployment.wait_said("delivery_resumed")
        deployment.prove()
        assert_nothing_buried(deployment, 420)


def test_a_limit_of_the_topic_that_is_lowered_and_raised_again_makes_no_dead_letters(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str, skew: Path
) -> None:
    skew.write_text("-3600000")
    with Deployment(tmp_path, apache_kafka, delivery=delivery) as deployment:
        _create_topic(apache_kafka, deployment.topic)
        deployment.start()
        deployment.comments.capture(5)
        deployment.wait_delivered()
        _limit(apache_kafka, deployment.topic, "60000")
        deployment.comments.capture(50)
        deployment.tell()
        wait_reported(deployment)
        _limit(apache_kafka, deployment.topic, "86400000")
        deployment.wait_delivered(30.0)
        deployment.prove()
        assert_nothing_buried(deployment, 55)


def test_a_right_that_is_taken_away_and_given_back_makes_no_dead_letters(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    with Deployment(tmp_path, apache_kafka, delivery=delivery) as deployment:
        deployment.start()
        deployment.comments.capture(5)
        deployment.wait_delivered()
        admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
        rule = ("User:ANONYMOUS", "*", AclOperation.WRITE, AclPermissionType.DENY)
        denied = AclBinding(ResourceType.TOPIC, deployment.topic, ResourcePatternType.LITERAL, *rule)
        admin.create_acls([denied])[denied].result()
        deployment.comments.capture(50)
        deployment.tell()
        assert wait_reported(deployment) == "this user may not write to the topic"
        ours = AclBindingFilter(ResourceType.TOPIC, deployment.topic, ResourcePatternType.LITERAL, *rule)
        admin.delete_acls([ours])[ours].result()
        deployment.wait_delivered(40.0)
        deployment.prove()
        # librdkafka calls the end of such a transaction fatal: that producer can do no more
        assert_nothing_buried(deployment, 55, replaced=delivery == "exactly_once")


def assert_nothing_buried(deployment: Deployment, captured: int, *, replaced: bool = False) -> None:
    """Fail unless all was published; with one producer, unless it may be `replaced`."""
    deployment.stop()
    counters = deployment.counters()
    assert counters["published"] == captured
    assert counters.get("dead_letters", 0) == 0
    assert read_dead_letters(deployment.state_dir) == {}
    assert read_outage(deployment.state_dir) is None
    events: list[Any] = [line["event"] for line in deployment.log()]
    assert {"dead_letter", "kafka_away"}.isdisjoint(events)
    assert replaced or "producer_replaced" not in events


def _create_topic(broker: Broker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    admin.create_topics([NewTopic(topic, num_partitions=1)])[topic].result()


def _limit(broker: Broker, topic: str, before_max_ms: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    entry = ConfigEntry("message.timestamp.before.max.ms", before_max_ms, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result()
