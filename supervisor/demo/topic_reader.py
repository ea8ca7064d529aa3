"""Reads a topic to its end, as any consumer would."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from core.errors import TransientError
from supervisor.demo.proof import TopicRecord


def read_records(bootstrap_servers: str, topic: str, timeout: float = 60.0) -> list[TopicRecord]:
    """Return all records of the topic, committed ones only."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "gapless-demo",  # no group membership: the partitions are assigned
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=timeout).topics[topic]
        if found.error is not None:
            return []
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in found.partitions])
        return _to_the_end(consumer, len(found.partitions), time.monotonic() + timeout)
    finally:
        consumer.close()


def _to_the_end(consumer: Consumer, partitions: int, deadline: float) -> list[TopicRecord]:
    records: list[TopicRecord] = []
    ended: set[int | None] = set()
    while len(ended) < partitions:
        if time.monotonic() > deadline:
            raise TransientError("the topic could not be read to its end in time: check the broker (see its log)")
        for message in consumer.consume(1000, timeout=0.2):
            error = message.error()
            if error is None:
                key = (message.key() or b"").decode()
                records.append(TopicRecord(key, message.value(), message.timestamp()[1] / 1000.0))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka names its own codes so
                ended.add(message.partition())
            elif not error.retriable():
                raise KafkaException(error)
    return records
