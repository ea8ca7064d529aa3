"""Why Kafka takes nothing, in plain words."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import pytest
from confluent_kafka import KafkaError

from streams.sinks.kafka.kafka_errors import NOT_THE_RECORD, explain

CLOCK = KafkaError(KafkaError.INVALID_TIMESTAMP)


@pytest.mark.parametrize(
    ("offset", "says"),
    [
        (None, "ahead of Kafka's by more than the topic's message.timestamp.after.max.ms allows"),
        (-7200.0, "message.timestamp.after.max.ms allows (it is 7200 s ahead of Reddit's)"),
        (-3.0, "(it is equal to Reddit's: Kafka's may be behind)"),
        (
            3600.0,
            "message.timestamp.before.max.ms allows (3600 s behind Reddit's)",
        ),
    ],
)
def test_a_wrong_clock_is_named_with_what_is_known_of_it(offset: float | None, says: str) -> None:
    text = explain(CLOCK, offset).text
    assert text.startswith("this machine's clock is ")
    assert text.endswith(says)


@pytest.mark.parametrize("code", sorted(NOT_THE_RECORD - {KafkaError._INVALID_DIFFERENT_RECORD}))
def test_each_cause_has_words_of_its_own_and_a_hint(code: int) -> None:
    error = KafkaError(code)
    cause = explain(error, None)
    assert cause.text
    assert cause.text != error.str()
    assert cause.hint


def test_what_has_no_words_keeps_those_of_kafka() -> None:
    error = KafkaError(KafkaError._INVALID_DIFFERENT_RECORD)
    assert explain(error, None).text == error.str()
