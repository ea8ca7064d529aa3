"""Classification of Kafka errors: for the record, for the producer, and as text with a hint.

Pure.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import enum
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from core.masking.external import outside

#: Clocks that differ by less (seconds) count as equal: the difference does not explain a refusal.
_EQUAL_S = 60.0


class Cause(NamedTuple):
    """The problem, and its remedy."""

    text: str
    hint: str


_AUTOMATIC_HINT = "delivery resumes automatically"
_RIGHTS_HINT = "grant the publisher's user write access (kafka-acls.sh --producer); delivery then resumes automatically"
_BROKER_HINT = "check the brokers' logs and disks; delivery then resumes automatically"
_SETTINGS_HINT = "compare the topic's settings with [kafka.producer]; delivery then resumes automatically"
_NETWORK_HINT = "check the network between this machine and the broker; delivery then resumes automatically"
_CLIENT_HINT = "correct [kafka.producer] for this version of Kafka"

_CAUSES = {
    KafkaError.INVALID_RECORD: Cause(
        "the broker's validation for this topic rejects the record",
        "check the topic's settings and the broker's log; delivery then resumes automatically",
    ),
    KafkaError.INVALID_MSG: Cause("records arrive corrupt at Kafka (checksum mismatch)", _NETWORK_HINT),
    KafkaError._BAD_MSG: Cause("a response of Kafka arrives corrupt", _NETWORK_HINT),
    KafkaError.INVALID_MSG_SIZE: Cause("a request arrives at Kafka with an invalid size", _NETWORK_HINT),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: Cause("this user may not write to the topic", _RIGHTS_HINT),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: Cause("this user may not write to the cluster", _RIGHTS_HINT),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Cause(
        "this user may not use the publisher's transactional id", _RIGHTS_HINT
    ),
    KafkaError.SASL_AUTHENTICATION_FAILED: Cause("Kafka rejects the user or the password", "correct sasl.*"),
    KafkaError.POLICY_VIOLATION: Cause("a policy of the cluster forbids the request", _SETTINGS_HINT),
    KafkaError.NOT_ENOUGH_REPLICAS: Cause("fewer replicas are in sync than min.insync.replicas requires", _BROKER_HINT),
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Cause(
        "fewer replicas are in sync than min.insync.replicas requires", _BROKER_HINT
    ),
    KafkaError._ISR_INSUFF: Cause("fewer replicas are in sync than min.insync.replicas requires", _BROKER_HINT),
    KafkaError.KAFKA_STORAGE_ERROR: Cause("a broker cannot write to its disk", _BROKER_HINT),
    KafkaError.LOG_DIR_NOT_FOUND: Cause("a broker cannot find one of its data directories", _BROKER_HINT),
    KafkaError.THROTTLING_QUOTA_EXCEEDED: Cause("a quota of the cluster is exhausted", _AUTOMATIC_HINT),
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: Cause(
        "the topic or the broker does not support the compression", "change compression.type in [kafka.producer]"
    ),
    KafkaError._BAD_COMPRESSION: Cause("records cannot be compressed", "change compression.type in [kafka.producer]"),
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: Cause(
        "the topic's message format is too old for these records", _SETTINGS_HINT
    ),
    KafkaError.UNSUPPORTED_VERSION: Cause("the broker does not support this version of the request", _CLIENT_HINT),
    KafkaError._UNSUPPORTED_FEATURE: Cause("the broker lacks a feature that the producer needs", _CLIENT_HINT),
    KafkaError.INVALID_REQUIRED_ACKS: Cause("the topic does not accept acks=all", _SETTINGS_HINT),
    KafkaError.INVALID_REQUEST: Cause("the broker rejects the format of the request", _CLIENT_HINT),
    KafkaError.INVALID_CONFIG: Cause("a setting of the topic is invalid", _SETTINGS_HINT),
    KafkaError.SECURITY_DISABLED: Cause("the broker's access control is disabled", _BROKER_HINT),
}

#: Errors that concern not the record but the moment, the topic's settings, the rights or the network.
NOT_THE_RECORD = frozenset(_CAUSES) | {KafkaError.INVALID_TIMESTAMP, KafkaError._INVALID_DIFFERENT_RECORD}

#: For a batch of several records these hide the cause: the broker names it only for a batch of one.
VAGUE = frozenset({KafkaError.INVALID_RECORD, KafkaError._INVALID_DIFFERENT_RECORD})


def explain(error: KafkaError, clock_offset: float | None) -> Cause:
    """Describe an error. `clock_offset`: Reddit's clock minus this machine's in seconds, None if unknown."""
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        return _clock(clock_offset)
    return _CAUSES.get(error.code(), Cause(outside(error.str()), _AUTOMATIC_HINT))


def _clock(offset: float | None) -> Cause:
    hint = "synchronize the clocks (NTP); delivery then resumes automatically. Kafka's own clock may be the wrong one"
    if offset is not None and offset >= _EQUAL_S:
        limit = "by more than the topic's message.timestamp.before.max.ms allows"
        return Cause(f"this machine's clock is behind Kafka's {limit} ({offset:.0f} s behind Reddit's)", hint)
    text = "this machine's clock is ahead of Kafka's by more than the topic's message.timestamp.after.max.ms allows"
    if offset is None:
        return Cause(text, hint)
    known = "equal to Reddit's: Kafka's may be behind" if offset > -_EQUAL_S else f"{-offset:.0f} s ahead of Reddit's"
    return Cause(f"{text} (it is {known})", hint)


class ErrorClass(enum.Enum):
    """The class of an error: how to react to it."""

    AGAIN = "send it again"
    HOLD = "the cause is not the record: report the cause, wait, send it again"
    TOPIC = "the topic does not exist"
    REFUSED = "Kafka refuses this record"
    FATAL = "this producer is unusable"


#: The group refuses a commit: this machine is no longer the member that it was.
NOT_THE_MEMBER = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)

_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
}
_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
_FENCED = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
}
_PASSING = {
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._WAIT_COORD,
}


def classify(error: KafkaError) -> ErrorClass:
    """Classify an error; an unknown one is retried, since a guess must not lose a record."""
    code = error.code()
    if error.fatal() or code == KafkaError._FATAL:
        return ErrorClass.FATAL
    if code in _REFUSED:
        return ErrorClass.REFUSED
    if code in _TOPIC:
        return ErrorClass.TOPIC
    if code in NOT_THE_RECORD:
        return ErrorClass.HOLD
    return ErrorClass.AGAIN


def is_fenced(error: KafkaError) -> bool:
    """Return whether another producer with the same transactional id has taken over."""
    return error.code() in _FENCED


def is_passing(error: KafkaError) -> bool:
    """Return whether the same call can be repeated.

    Not after a transaction failed: librdkafka then answers every call but the abort with the error that made it fail,
    which may be a timeout.
    """
    return not error.txn_requires_abort() and (error.retriable() or error.code() in _PASSING)


def error_text(error: KafkaError) -> str:
    """Return the text of librdkafka or the broker."""
    return outside(error.str())


def cause(exception: KafkaException) -> KafkaError:
    """Return the error inside librdkafka's exception."""
    error = exception.args[0]
    if not isinstance(error, KafkaError):
        raise exception
    return error
