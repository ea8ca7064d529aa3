"""The Kafka producer: its settings, its creation, and its disposal without waiting for what it holds."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Producer

from core.config.kafka_properties import Property
from core.errors import PermanentError, TransientError
from streams.sinks.kafka.destinations import Destinations
from streams.sinks.kafka.kafka_errors import cause, error_text
from streams.sinks.kafka.kafka_health import KafkaHealth

Properties = dict[str, Property]

#: Largest record unless the user sets another limit (librdkafka's own default).
_MESSAGE_MAX_BYTES = 1_000_000

_DEFAULTS: Properties = {
    "client.id": "gapless-publisher",
    "compression.type": "gzip",
    "partitioner": "murmur2_random",  # the same partition for a key as Java clients
    "linger.ms": 5,
    # what waits here is also in the spool: just enough to keep the broker busy
    "queue.buffering.max.kbytes": 32_768,
    "queue.buffering.max.messages": 50_000,
    # a broker that returns after hours is detected within two seconds
    "reconnect.backoff.max.ms": 2_000,
    # how long the metadata of a missing topic may still be in transit to this broker
    "topic.metadata.propagation.max.ms": 3_000,
    # a missing topic is created explicitly (see topics), not implicitly
    "allow.auto.create.topics": False,
}

#: The broker may be away for hours: records wait in order and do not fail one by one. (A transaction is different: the
#: broker ends it after transaction.timeout.ms, and its records are resent in the next one.)
_AT_LEAST_ONCE: Properties = {"message.timeout.ms": 0}

_GUARANTEES: Properties = {"enable.idempotence": True, "acks": "all"}

#: The properties needed to reach a broker; the user's other properties are for the producer only.
_CONNECTION = (
    "api.", "broker.", "client.", "connections.", "debug", "enable.ssl.", "enable.sasl.", "https.", "log", "reconnect.",
    "retry.", "sasl.", "security.", "socket.", "ssl.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The settings of the publisher's Kafka clients."""

    destinations: Destinations
    #: the topic of exactly-once's positions, written in the same transaction as the records
    positions_topic: str
    producer: Properties
    #: for clients that create or read topics
    connection: Properties
    message_max_bytes: int


def combine_settings(
    bootstrap_servers: str,
    topic: str,
    overrides: Mapping[str, Property],
    transactional_id: str | None = None,
    destinations: Destinations | None = None,
) -> KafkaSettings:
    """Combine the properties: the defaults, then the user's, then what the delivery guarantee requires.

    `topic` is the base of the names of other topics; without `destinations` it is the topic of all records.
    A `transactional_id` makes the producer transactional. (Properties that contradict the guarantee are rejected when
    the configuration is read; see core.config.kafka_properties.)
    """
    # a transaction arrives as a whole: its commit replaces a report for each record
    reports: Properties = {"delivery.report.only.error": transactional_id is not None}
    promise: Properties = {"transactional.id": transactional_id} if transactional_id else _AT_LEAST_ONCE
    reach: Properties = {"bootstrap.servers": bootstrap_servers}
    connection = {key: value for key, value in overrides.items() if key.startswith(_CONNECTION)}
    return KafkaSettings(
        destinations=destinations or Destinations({}, topic),
        positions_topic=f"{topic}.positions",
        producer=_DEFAULTS | promise | dict(overrides) | reach | _GUARANTEES | reports,
        connection={"client.id": _DEFAULTS["client.id"]} | connection | reach,
        message_max_bytes=int(overrides.get("message.max.bytes", _MESSAGE_MAX_BYTES)),
    )


def connect(settings: KafkaSettings, health: KafkaHealth) -> Producer:
    """Create a producer; the broker need not be reachable."""
    try:
        return Producer({**settings.producer, "error_cb": health.on_error}, logger=health)
    except KafkaException as exception:
        error = cause(exception)
        if error.code() == KafkaError._INVALID_ARG:
            raise PermanentError(f"librdkafka rejects [kafka.producer]: {error_text(error)}") from exception
        raise TransientError(f"the Kafka producer cannot be created: {error_text(error)}") from exception


def discard(producer: Producer) -> None:
    """Drop what the producer holds: it is all in the spools. Otherwise its end would wait for a broker's answer."""
    producer.purge()
    # a producer with a fatal error repeats it here; the repetition is useless
    with contextlib.suppress(KafkaException):
        producer.poll(0)
