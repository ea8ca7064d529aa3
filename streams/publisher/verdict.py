"""What an error of Kafka means for the record, or for the producer, that met it."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import enum

from confluent_kafka import KafkaError, KafkaException

from core.outside import outside
from streams.publisher.causes import NOT_THE_RECORD


class Verdict(enum.Enum):
    """What to do about it."""

    AGAIN = "send it again"
    HOLD = "not the record is wrong: wait, name the cause, send it again"
    TOPIC = "the topic is not there"
    REFUSED = "Kafka does not take this record"
    FATAL = "this producer can do no more"


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


def judge(error: KafkaError) -> Verdict:
    """Decide what an error means; what we do not know is tried again, since a record must not be lost by a guess."""
    code = error.code()
    if error.fatal() or code == KafkaError._FATAL:
        return Verdict.FATAL
    if code in _REFUSED:
        return Verdict.REFUSED
    if code in _TOPIC:
        return Verdict.TOPIC
    if code in NOT_THE_RECORD:
        return Verdict.HOLD
    return Verdict.AGAIN


def is_fenced(error: KafkaError) -> bool:
    """Tell whether another producer with the same transactional id has taken over."""
    return error.code() in _FENCED


def is_passing(error: KafkaError) -> bool:
    """Tell whether the same transactional call may simply be made again."""
    return error.retriable() or error.code() in _PASSING


def said(error: KafkaError) -> str:
    """Return what librdkafka, or a broker, says about it."""
    return outside(error.str())


def cause(exception: KafkaException) -> KafkaError:
    """Return the error inside librdkafka's exception."""
    error = exception.args[0]
    if not isinstance(error, KafkaError):
        raise exception
    return error
