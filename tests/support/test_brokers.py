"""Checks what the other tests require of the brokers: durability across kills, aborted transactions, fencing."""

import uuid
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.brokers import ApacheKafka, Broker, TansuBroker
from tests.support.topic import read_topic

HEADERS: list[tuple[str, str | bytes | None]] = [("schema", "reddit.comment.v1"), ("stream", "comments"), ("seq", "1")]


def new_topic(broker: Broker, partitions: int = 3) -> str:
    topic = f"t-{uuid.uuid4().hex[:8]}"
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for future in client.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result(20)
    return topic


def new_producer(broker: Broker, **settings: Any) -> Producer:
    return Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 1, "log_level": 0, **settings})


def send(producer: Producer, topic: str, *keys: str) -> None:
    for key in keys:
        producer.produce(topic, b"{}", key.encode(), headers=HEADERS)
    assert producer.flush(30) == 0


def keys(broker: Broker, topic: str, *, committed: bool = True) -> list[str]:
    return sorted(record.key for record in read_topic(broker.bootstrap_servers, topic, committed=committed))


def test_a_topic_is_read_back_whole_over_all_partitions(tansu: TansuBroker) -> None:
    topic = new_topic(tansu)
    sent = [f"t1_{number:03}" for number in range(300)]
    send(new_producer(tansu), topic, *sent)
    records = read_topic(tansu.bootstrap_servers, topic)
    assert sorted(record.key for record in records) == sent
    assert {record.partition for record in records} == {0, 1, 2}
    assert records[0].headers == {"schema": "reddit.comment.v1", "stream": "comments", "seq": "1"}


def test_a_topic_that_is_not_there_reads_as_empty(tansu: TansuBroker, apache_kafka: ApacheKafka) -> None:
    for broker in (tansu, apache_kafka):
        assert read_topic(broker.bootstrap_servers, "nobody-made-this") == []


def test_apache_kafka_keeps_what_it_acknowledged_over_its_own_sigkill(apache_kafka: ApacheKafka) -> None:
    topic = new_topic(apache_kafka)
    send(new_producer(apache_kafka), topic, "t1_a", "t1_b")
    before = apache_kafka.server.pid
    apache_kafka.kill()
    apache_kafka.start()
    assert apache_kafka.server.pid != before
    assert keys(apache_kafka, topic) == ["t1_a", "t1_b"]


def test_apache_kafka_hides_an_aborted_transaction(apache_kafka: ApacheKafka) -> None:
    topic = new_topic(apache_kafka)
    producer = new_producer(apache_kafka, **{"transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    send(producer, topic, "t1_aborted")
    producer.abort_transaction(30)
    producer.begin_transaction()
    send(producer, topic, "t1_kept")
    producer.commit_transaction(30)
    assert keys(apache_kafka, topic) == ["t1_kept"]
    assert keys(apache_kafka, topic, committed=False) == ["t1_aborted", "t1_kept"]


def test_apache_kafka_fences_a_producer_from_its_successor(apache_kafka: ApacheKafka) -> None:
    topic = new_topic(apache_kafka)
    old = new_producer(apache_kafka, **{"transactional.id": topic})
    old.init_transactions(30)
    old.begin_transaction()
    send(old, topic, "t1_old")
    new = new_producer(apache_kafka, **{"transactional.id": topic})
    new.init_transactions(30)  # aborts the transaction that the old producer left open
    new.begin_transaction()
    send(new, topic, "t1_new")
    new.commit_transaction(30)
    with pytest.raises(KafkaException) as fenced:
        old.commit_transaction(30)
    assert fenced.value.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001
    assert keys(apache_kafka, topic) == ["t1_new"]
