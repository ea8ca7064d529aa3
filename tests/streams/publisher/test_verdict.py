"""What an error of Kafka means."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import pytest
from confluent_kafka import KafkaError

from streams.publisher.verdict import Verdict, is_fenced, is_passing, judge


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, Verdict.REFUSED),
        (KafkaError.RECORD_LIST_TOO_LARGE, Verdict.REFUSED),
        (KafkaError.INVALID_TIMESTAMP, Verdict.HOLD),
        (KafkaError.INVALID_RECORD, Verdict.HOLD),
        (KafkaError._INVALID_DIFFERENT_RECORD, Verdict.HOLD),
        (KafkaError.INVALID_MSG, Verdict.HOLD),
        (KafkaError._BAD_MSG, Verdict.HOLD),
        (KafkaError.POLICY_VIOLATION, Verdict.HOLD),
        (KafkaError.UNSUPPORTED_COMPRESSION_TYPE, Verdict.HOLD),
        (KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT, Verdict.HOLD),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, Verdict.HOLD),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Verdict.TOPIC),
        (KafkaError._UNKNOWN_TOPIC, Verdict.TOPIC),
        (KafkaError._PURGE_QUEUE, Verdict.AGAIN),
        (KafkaError._FATAL, Verdict.FATAL),
        (KafkaError._MSG_TIMED_OUT, Verdict.AGAIN),
        (KafkaError.NOT_ENOUGH_REPLICAS, Verdict.HOLD),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Verdict.HOLD),
        (KafkaError.UNKNOWN, Verdict.AGAIN),
    ],
)
def test_each_error_has_its_meaning_and_the_unknown_ones_lose_nothing(code: int, verdict: Verdict) -> None:
    assert judge(KafkaError(code)) is verdict


def test_a_fatal_error_is_fatal_whatever_its_code() -> None:
    assert judge(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True)) is Verdict.FATAL


def test_a_successor_is_recognised() -> None:
    assert is_fenced(KafkaError(KafkaError._FENCED, fatal=True))
    assert not is_fenced(KafkaError(KafkaError._FATAL, fatal=True))


def test_a_call_that_took_too_long_is_made_again() -> None:
    assert is_passing(KafkaError(KafkaError._TIMED_OUT))
    assert is_passing(KafkaError(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True))
    assert not is_passing(KafkaError(KafkaError._STATE))
