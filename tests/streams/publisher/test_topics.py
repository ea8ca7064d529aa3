"""A topic for each kind, a topic of changes and `latest`, on real brokers: kills, deleted topics, missing rights."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from tests.streams.publisher.deployment import Deployment
from tests.streams.publisher.spools import ChangesSpool
from tests.support.brokers import ApacheKafka, TansuBroker
from tests.support.topic import Record
from tests.support.waiting import wait_until

TOPICS = {"submissions": ".posts", "latest": ".latest"}


@pytest.fixture(params=["at_least_once", "exactly_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def deployment(tmp_path: Path, apache_kafka: ApacheKafka, delivery: str) -> Iterator[Deployment]:
    with Deployment(tmp_path, apache_kafka, delivery=delivery, topics=TOPICS) as deployment:
        yield deployment


@pytest.fixture
def changes(deployment: Deployment) -> Iterator[ChangesSpool]:
    spool = ChangesSpool(deployment.state_dir)
    yield spool
    spool.close()


def delivered(deployment: Deployment, changes: ChangesSpool) -> bool:
    return deployment.backlog() == 0 and deployment.position(changes.writer.spool_id) == changes.writer.last_seq()


def newest(records: list[Record]) -> dict[str, Record]:
    """Return what a compacted topic keeps of these records."""
    return {record.key: record for record in sorted(records, key=lambda record: record.offset)}


def test_each_record_is_in_each_of_its_topics_while_the_publisher_is_killed(
    deployment: Deployment, changes: ChangesSpool, delivery: str
) -> None:
    deployment.start()
    for _ in range(2):
        comments = deployment.comments.capture(1_500)
        deployment.submissions.capture(30)
        left = deployment.backlog()
        wait_until(lambda left=left: deployment.backlog() < left, what="some progress")  # type: ignore[misc]
        deployment.kill()
        deployment.start()
        deployment.wait_delivered(30.0)  # a change is found only once its item is delivered
        changes.event(*comments[:300])
        changes.state(*comments[:200])
        changes.tombstone(*comments[100:300])
        wait_until(lambda: deployment.position(changes.writer.spool_id) > 0, what="some progress")
        deployment.kill()
        deployment.start()
    wait_until(lambda: delivered(deployment, changes), 30.0, "all to be delivered")
    deployment.stop()
    found = {ending: deployment.records(ending) for ending in ("", ".posts", ".changes", ".latest")}
    counts = {ending: Counter(record.key for record in records) for ending, records in found.items()}
    captured = set(deployment.comments.keys) | set(deployment.submissions.keys)
    assert set(counts[""]) == set(deployment.comments.keys)
    assert set(counts[".posts"]) == set(deployment.submissions.keys)
    assert set(counts[".latest"]) == captured
    assert {record.headers["schema"] for record in found[".changes"]} == {"reddit.change.v1"}
    if delivery == "exactly_once":
        assert max(counts[""].values()) == max(counts[".posts"].values()) == max(counts[".changes"].values()) == 1
        assert counts[".latest"].total() == 2 * (1_530 + 400)
    kept = newest(found[".latest"])
    removed = {key for start in (0, 1_500) for key in deployment.comments.keys[start + 100 : start + 300]}
    assert {key for key, record in kept.items() if record.value == {}} == removed
    assert deployment.counters()["published"] == 2 * (1_530 + 300), "no copy, no state, no tombstone"
    assert deployment.counters()["latest_record"] == 2 * (1_530 + 200)
    assert deployment.counters()["latest_tombstone"] == 2 * 200


def test_latest_is_made_as_a_compacted_topic_and_no_other_one(tmp_path: Path, apache_kafka: ApacheKafka) -> None:
    with Deployment(tmp_path, apache_kafka, topics=TOPICS) as deployment:
        deployment.start()
        deployment.comments.capture(10)
        deployment.wait_delivered()
        assert settings_of(apache_kafka, f"{deployment.topic}.latest")["cleanup.policy"] == "compact"
        assert settings_of(apache_kafka, f"{deployment.topic}.latest")["delete.retention.ms"] == "604800000"
        assert settings_of(apache_kafka, deployment.topic)["cleanup.policy"] == "delete"
        admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
        made = {name for name in admin.list_topics(timeout=10).topics if name.startswith(f"{deployment.topic}.")}
        assert f"{deployment.topic}.changes" not in made, "nothing goes there"


def test_topics_that_are_deleted_are_made_again(deployment: Deployment, apache_kafka: ApacheKafka) -> None:
    deployment.start()
    deployment.comments.capture(50)
    deployment.submissions.capture(5)
    deployment.wait_delivered()
    admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
    gone = [f"{deployment.topic}{ending}" for ending in (".latest", ".posts")]
    for answer in admin.delete_topics(gone).values():
        answer.result()
    late = [*deployment.comments.capture(100), *deployment.submissions.capture(10)]
    deployment.wait_delivered(40.0)
    assert set(late) <= {record.key for record in deployment.records(".latest")}
    assert set(late) <= {record.key for ending in ("", ".posts") for record in deployment.records(ending)}


def test_a_topic_that_may_not_be_made_holds_only_what_goes_there(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    with Deployment(tmp_path, apache_kafka, delivery=delivery, topics={"submissions": ".posts"}) as deployment:
        forbidden = f"{deployment.topic}.posts"
        rule = ("User:ANONYMOUS", "*", AclOperation.DESCRIBE, AclPermissionType.DENY)
        denied = AclBinding(ResourceType.TOPIC, forbidden, ResourcePatternType.LITERAL, *rule)
        admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
        admin.create_acls([denied])[denied].result()
        deployment.submissions.capture(5)
        deployment.comments.capture(50)
        deployment.start()
        comments = deployment.comments.writer
        wait_until(lambda: deployment.position(comments.spool_id) == 50, what="the comments to be delivered")
        for _ in range(3):
            deployment.comments.capture(10)
            wait_until(lambda: deployment.position(comments.spool_id) == comments.last_seq(), what="more of them")
        assert deployment.position(deployment.submissions.writer.spool_id) == 0
        assert deployment.said("topic_not_described")[0]["topic"] == forbidden
        assert deployment.said("kafka_away") == []
        code, took = deployment.stop(drain=20.0)
        assert code == 0
        assert took < 5.0, "to wait for a right is no use"


def test_a_record_that_latest_refuses_is_a_dead_letter_and_holds_nothing_up(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    with Deployment(
        tmp_path, apache_kafka, delivery=delivery, topics=TOPICS, message_max_bytes=5_000_000
    ) as deployment:
        admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers, "log_level": 0})
        latest = f"{deployment.topic}.latest"
        admin.create_topics([NewTopic(latest, 3, 1, config={"max.message.bytes": "100000"})])[latest].result()
        deployment.config.kafka.producer["compression.type"] = "none"
        deployment.config.kafka.producer["linger.ms"] = 100
        keys = deployment.comments.capture(20)
        (large,) = deployment.comments.capture(1, size=200_000)
        keys += deployment.comments.capture(20)
        deployment.start()
        deployment.wait_delivered(30.0)
        (said,) = deployment.said("dead_letter")
        assert (said["key"], said["reason"].split(":")[0]) == (large, f"the topic {latest}")
        deployment.stop()
        counters = deployment.counters()
        assert [counters[name] for name in ("published", "latest_record", "dead_letters")] == [40, 40, 1]
        found = {ending: Counter(record.key for record in deployment.records(ending)) for ending in ("", ".latest")}
        assert set(found[".latest"]) == set(keys)
        if delivery == "exactly_once":
            assert found[""] == found[".latest"] == dict.fromkeys(keys, 1)


def test_the_embedded_broker_takes_latest_and_tombstones(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu, topics=TOPICS) as deployment:
        changes = ChangesSpool(deployment.state_dir)
        deployment.start()
        keys = deployment.comments.capture(5)
        deployment.wait_delivered()
        changes.event(keys[0])
        changes.tombstone(keys[0])
        wait_until(lambda: delivered(deployment, changes), what="the change to be delivered")
        latest = newest(deployment.records(".latest"))
        assert {key: bool(record.value) for key, record in latest.items()} == {key: key != keys[0] for key in keys}
        assert [record.key for record in deployment.records(".changes")] == [keys[0]]
        changes.close()


def settings_of(broker: ApacheKafka, topic: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    place = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return {name: str(entry.value) for name, entry in admin.describe_configs([place])[place].result().items()}
