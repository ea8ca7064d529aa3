"""What an error of Kafka means."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import pytest
from confluent_kafka import KafkaError

from streams.sinks.kafka.kafka_errors import ErrorClass, classify, is_fenced, is_passing


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, ErrorClass.REFUSED),
        (KafkaError.RECORD_LIST_TOO_LARGE, ErrorClass.REFUSED),
        (KafkaError.INVALID_TIMESTAMP, ErrorClass.HOLD),
        (KafkaError.INVALID_RECORD, ErrorClass.HOLD),
        (KafkaError._INVALID_DIFFERENT_RECORD, ErrorClass.HOLD),
        (KafkaError.INVALID_MSG, ErrorClass.HOLD),
        (KafkaError._BAD_MSG, ErrorClass.HOLD),
        (KafkaError.POLICY_VIOLATION, ErrorClass.HOLD),
        (KafkaError.UNSUPPORTED_COMPRESSION_TYPE, ErrorClass.HOLD),
        (KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT, ErrorClass.HOLD),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, ErrorClass.HOLD),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, ErrorClass.TOPIC),
        (KafkaError._UNKNOWN_TOPIC, ErrorClass.TOPIC),
        (KafkaError._PURGE_QUEUE, ErrorClass.AGAIN),
        (KafkaError._FATAL, ErrorClass.FATAL),
        (KafkaError._MSG_TIMED_OUT, ErrorClass.AGAIN),
        (KafkaError.NOT_ENOUGH_REPLICAS, ErrorClass.HOLD),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ErrorClass.HOLD),
        (KafkaError.UNKNOWN, ErrorClass.AGAIN),
    ],
)
def test_each_error_has_its_meaning_and_the_unknown_ones_lose_nothing(code: int, error_class: ErrorClass) -> None:
    assert classify(KafkaError(code)) is error_class


def test_a_fatal_error_is_fatal_whatever_its_code() -> None:
    assert classify(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True)) is ErrorClass.FATAL


def test_a_successor_is_recognised() -> None:
    assert is_fenced(KafkaError(KafkaError._FENCED, fatal=True))
    assert not is_fenced(KafkaError(KafkaError._FATAL, fatal=True))


def test_a_call_that_took_too_long_is_made_again() -> None:
    assert is_passing(KafkaError(KafkaError._TIMED_OUT))
    assert is_passing(KafkaError(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True))
    assert not is_passing(KafkaError(KafkaError._STATE))


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
@pytest.mark.parametrize("retriable", [False, True])
def test_after_a_transaction_failed_its_calls_are_not_repeated(code: int, retriable: bool) -> None:
    """librdkafka answers every call but the abort with the error that made the transaction fail."""
    assert not is_passing(KafkaError(code, "1 message(s) timed out", retriable=retriable, txn_requires_abort=True))
