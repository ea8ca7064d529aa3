"""Why Kafka takes no record just now, in plain words, and what a person can do about it. Pure."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from typing import NamedTuple

from confluent_kafka import KafkaError

from core.outside import outside

#: Clocks that differ by less (seconds) are called equal: the difference says nothing of a refusal.
_EQUAL = 60.0


class Cause(NamedTuple):
    """What is wrong, and what would mend it."""

    text: str
    hint: str


_RIGHTS = "give the publisher's user the right to write (kafka-acls.sh --producer); it goes on by itself"
_BROKER = "look at the brokers' logs and disks; it goes on by itself"
_TOPIC = "compare the topic's settings with [kafka.producer]; it goes on by itself"
_CLIENT = "correct [kafka.producer] for this version of Kafka"

_CAUSES = {
    KafkaError.INVALID_RECORD: Cause(
        "the topic's rules do not accept this record (a validation at the broker)",
        "look at the topic's settings and at the broker's log; it goes on by itself",
    ),
    KafkaError.INVALID_MSG: Cause(
        "records arrive damaged at Kafka (a checksum does not match)",
        "look at the network between here and the broker; it goes on by itself",
    ),
    KafkaError._BAD_MSG: Cause(
        "an answer of Kafka arrives damaged", "look at the network between here and the broker; it goes on by itself"
    ),
    KafkaError.INVALID_MSG_SIZE: Cause(
        "a size in the request arrives damaged at Kafka", "look at the network to the broker; it goes on by itself"
    ),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: Cause("this user may not write to the topic", _RIGHTS),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: Cause("this user may not write to the cluster", _RIGHTS),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Cause(
        "this user may not use the publisher's transactional id", _RIGHTS
    ),
    KafkaError.SASL_AUTHENTICATION_FAILED: Cause("Kafka rejects the user or the password", "correct sasl.*"),
    KafkaError.POLICY_VIOLATION: Cause("a policy of the cluster forbids the request", _TOPIC),
    KafkaError.NOT_ENOUGH_REPLICAS: Cause("fewer replicas are in sync than min.insync.replicas asks for", _BROKER),
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Cause(
        "fewer replicas are in sync than min.insync.replicas asks for", _BROKER
    ),
    KafkaError._ISR_INSUFF: Cause("fewer replicas are in sync than min.insync.replicas asks for", _BROKER),
    KafkaError.KAFKA_STORAGE_ERROR: Cause("a broker cannot write to its disk", _BROKER),
    KafkaError.LOG_DIR_NOT_FOUND: Cause("a broker misses a directory of its data", _BROKER),
    KafkaError.THROTTLING_QUOTA_EXCEEDED: Cause("a quota of the cluster is used up", "it goes on by itself"),
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: Cause(
        "the topic or the broker does not know the compression", "change compression.type in [kafka.producer]"
    ),
    KafkaError._BAD_COMPRESSION: Cause("records cannot be compressed", "change compression.type in [kafka.producer]"),
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: Cause("the topic's message format is too old for these records", _TOPIC),
    KafkaError.UNSUPPORTED_VERSION: Cause("the broker does not know this version of the request", _CLIENT),
    KafkaError._UNSUPPORTED_FEATURE: Cause("the broker lacks a feature that the producer needs", _CLIENT),
    KafkaError.INVALID_REQUIRED_ACKS: Cause("the topic does not accept acks=all", _TOPIC),
    KafkaError.INVALID_REQUEST: Cause("the broker does not accept the form of the request", _CLIENT),
    KafkaError.INVALID_CONFIG: Cause("a setting of the topic is not valid", _TOPIC),
    KafkaError.SECURITY_DISABLED: Cause("the broker's access rules are switched off", _BROKER),
}

#: What says nothing about the record but about the moment, the topic's settings, the rights or the wire.
NOT_THE_RECORD = frozenset(_CAUSES) | {KafkaError.INVALID_TIMESTAMP, KafkaError._INVALID_DIFFERENT_RECORD}

#: Of a record in company these hide the cause: the broker says it only of a batch of one record.
VAGUE = frozenset({KafkaError.INVALID_RECORD, KafkaError._INVALID_DIFFERENT_RECORD})


def explain(error: KafkaError, clock_offset: float | None) -> Cause:
    """Say what an error means. `clock_offset`: Reddit's clock minus ours in seconds, None where unknown."""
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        return _clock(clock_offset)
    return _CAUSES.get(error.code(), Cause(outside(error.str()), "it goes on by itself"))


def _clock(offset: float | None) -> Cause:
    hint = "set the clocks (NTP); it goes on by itself. Kafka's own clock may be the wrong one"
    if offset is not None and offset >= _EQUAL:
        limit = "by more than the topic's message.timestamp.before.max.ms allows"
        return Cause(f"this machine's clock is behind Kafka's {limit} ({offset:.0f} s behind Reddit's)", hint)
    text = "this machine's clock is ahead of Kafka's by more than the topic's message.timestamp.after.max.ms allows"
    if offset is None:
        return Cause(text, hint)
    known = "equal to Reddit's: Kafka's may be late" if offset > -_EQUAL else f"{-offset:.0f} s ahead of Reddit's"
    return Cause(f"{text} (it is {known})", hint)
