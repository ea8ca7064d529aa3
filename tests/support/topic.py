"""Reads a whole topic as a careful consumer does: every partition, committed records only, to the end."""

import time
from dataclasses import dataclass
from typing import Any, cast

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the topic."""

    partition: int
    offset: int
    key: str
    value: dict[str, Any]
    headers: dict[str, str]
    appended_at: float  # epoch seconds, the record's own timestamp

    @property
    def stream(self) -> str:
        return self.headers["stream"]

    @property
    def seq(self) -> int:
        return int(self.headers["seq"])


def read_topic(bootstrap_servers: str, topic: str, *, timeout: float = 30.0, committed: bool = True) -> list[Record]:
    """Return all records from the beginning to the current end; empty if there is no such topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "proof",  # never joined: partitions are assigned by hand
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
    )
    try:
        partitions = _partitions(consumer, topic, timeout)
        if not partitions:
            return []
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        return [record_of(message) for message in _messages(consumer, set(partitions), timeout)]
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str, timeout: float) -> list[int]:
    found = consumer.list_topics(topic, timeout=timeout).topics[topic]
    if found.error is not None:
        if found.error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE):
            return []
        raise KafkaException(found.error)
    return list(found.partitions)


def _messages(consumer: Consumer, unread: set[int], timeout: float) -> list[Message]:
    """Take messages until every partition reported its end."""
    messages: list[Message] = []
    deadline = time.monotonic() + timeout
    while unread:
        for message in consumer.consume(1000, timeout=0.1):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's own codes are spelled so
                unread.discard(_known(message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
        if time.monotonic() > deadline:
            raise AssertionError(f"partitions {sorted(unread)} not read to their end within {timeout:g} s")
    return messages


def record_of(message: Message) -> Record:
    """Convert a message of the topic."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    _, milliseconds = message.timestamp()
    return Record(
        partition=_known(message.partition()),
        offset=_known(message.offset()),
        key=(message.key() or b"").decode(),
        value=orjson.loads(message.value() or b"{}"),
        headers={name: (value or b"").decode() for name, value in headers},
        appended_at=milliseconds / 1000,
    )


def _known(number: int | None) -> int:
    assert number is not None
    return number
