"""The producer: its settings, how it is made, and how it is thrown away without waiting for what it holds."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Producer

from core.config.producer import Property
from core.errors import PermanentError, TransientError
from streams.sinks.kafka.kafka_errors import cause, said
from streams.sinks.kafka.kafka_health import KafkaHealth

Properties = dict[str, Property]

#: What a record may weigh unless the user says otherwise (librdkafka's own default).
_MESSAGE_MAX_BYTES = 1_000_000

_DEFAULTS: Properties = {
    "client.id": "gapless-publisher",
    "compression.type": "gzip",
    "partitioner": "murmur2_random",  # keys land where Java clients put them
    "linger.ms": 5,
    # what waits here is also in the spool: enough to keep the broker busy, no more
    "queue.buffering.max.kbytes": 32_768,
    "queue.buffering.max.messages": 50_000,
    # a broker that comes back after hours is noticed within two seconds
    "reconnect.backoff.max.ms": 2_000,
    # how long a topic that is not there may still be on its way to this broker
    "topic.metadata.propagation.max.ms": 3_000,
    # a missing topic is created on purpose (see topics), not by the way
    "allow.auto.create.topics": False,
}

#: The broker may be away for hours: records wait in order instead of failing one by one. (A transaction is different:
#: the broker ends it after transaction.timeout.ms, and its records are sent again in the next one.)
_AT_LEAST_ONCE: Properties = {"message.timeout.ms": 0}

_GUARANTEES: Properties = {"enable.idempotence": True, "acks": "all", "delivery.report.only.error": False}

#: What it takes to reach a broker at all; the rest of the user's words is for the producer only.
_CONNECTION = (
    "api.", "broker.", "client.", "connections.", "debug", "enable.ssl.", "enable.sasl.", "https.", "log", "reconnect.",
    "retry.", "sasl.", "security.", "socket.", "ssl.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """What the publisher's clients are made with."""

    topic: str
    #: where exactly-once keeps its positions, in the same transaction as the records
    positions_topic: str
    producer: Properties
    #: for clients that make or read topics
    connection: Properties
    message_max_bytes: int


def settle(
    bootstrap_servers: str,
    topic: str,
    overrides: Mapping[str, Property],
    transactional_id: str | None = None,
) -> Settings:
    """Put the properties together: our defaults, then the user's words, then what the promise demands.

    A `transactional_id` makes the producer a transactional one. (Words that contradict the promise are refused when
    the configuration is read; see core.config.producer.)
    """
    promise: Properties = {"transactional.id": transactional_id} if transactional_id else _AT_LEAST_ONCE
    reach: Properties = {"bootstrap.servers": bootstrap_servers}
    connection = {key: value for key, value in overrides.items() if key.startswith(_CONNECTION)}
    return Settings(
        topic=topic,
        positions_topic=f"{topic}.positions",
        producer=_DEFAULTS | promise | dict(overrides) | reach | _GUARANTEES,
        connection={"client.id": _DEFAULTS["client.id"]} | connection | reach,
        message_max_bytes=int(overrides.get("message.max.bytes", _MESSAGE_MAX_BYTES)),
    )


def connect(settings: Settings, health: KafkaHealth) -> Producer:
    """Make a producer; the broker need not be there."""
    try:
        return Producer({**settings.producer, "error_cb": health.on_error}, logger=health)
    except KafkaException as exception:
        error = cause(exception)
        if error.code() == KafkaError._INVALID_ARG:
            raise PermanentError(f"correct [kafka.producer]: librdkafka says: {said(error)}") from exception
        raise TransientError(f"no Kafka producer could be made: {said(error)}") from exception


def discard(producer: Producer) -> None:
    """Drop what the producer holds: it is all in the spools. Without this its end would wait for a broker's answer."""
    producer.purge()
    # a producer that failed for good says so once more here, to nobody's use
    with contextlib.suppress(KafkaException):
        producer.poll(0)
