"""The properties that the publisher passes to librdkafka."""

import pytest
from confluent_kafka import KafkaException, Producer

from streams.sinks.kafka.producer import combine_settings


def test_the_promise_stands_whatever_the_user_writes() -> None:
    settings = combine_settings("broker:9092", "posts", {"linger.ms": 50, "compression.type": "lz4", "acks": "1"})
    assert settings.producer["linger.ms"] == 50
    assert settings.producer["compression.type"] == "lz4"
    assert settings.producer["acks"] == "all"
    assert settings.producer["enable.idempotence"] is True
    assert settings.producer["bootstrap.servers"] == "broker:9092"


def test_records_wait_for_a_broker_that_is_away_instead_of_failing() -> None:
    assert combine_settings("b:1", "posts", {}).producer["message.timeout.ms"] == 0


def test_exactly_once_is_transactional_and_keeps_its_positions_beside_the_topic() -> None:
    settings = combine_settings("b:1", "posts", {}, transactional_id="gapless-7")
    assert settings.producer["transactional.id"] == "gapless-7"
    assert "message.timeout.ms" not in settings.producer, "librdkafka wants it below the transaction's timeout"
    assert settings.positions_topic == "posts.positions"


def test_other_clients_get_what_it_takes_to_reach_the_broker_and_no_more() -> None:
    overrides: dict[str, str | int] = {
        "security.protocol": "SASL_SSL",
        "sasl.username": "u",
        "sasl.password": "p",
        "linger.ms": 5,
    }
    connection = combine_settings("b:1", "posts", overrides).connection
    assert {"security.protocol", "sasl.username", "sasl.password", "bootstrap.servers"} <= connection.keys()
    assert "linger.ms" not in connection


def test_the_limit_of_a_record_is_known() -> None:
    assert combine_settings("b:1", "posts", {}).message_max_bytes == 1_000_000
    assert combine_settings("b:1", "posts", {"message.max.bytes": "2000"}).message_max_bytes == 2000


def test_librdkafka_takes_both_sets_of_properties() -> None:
    for transactional_id in (None, "gapless-7"):
        settings = combine_settings("127.0.0.1:1", "posts", {"compression.type": "zstd"}, transactional_id)
        Producer({**settings.producer, "log_level": 0}).purge()
        with pytest.raises(KafkaException, match="No such configuration property"):
            Producer({**settings.producer, "log_level": 0, "no.such.property": "x"})
