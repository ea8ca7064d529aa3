"""What librdkafka says through its own logger, with the real one."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import logging
import time
from pathlib import Path

from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from core.status.kafka_outage import read_refusal
from streams.sinks.kafka.producer import combine_settings, connect, discard
from tests.streams.publisher.stage import Stage
from tests.support.ports import free_port
from tests.support.waiting import wait_until


def test_a_broker_that_refuses_is_told_once_a_minute_as_a_warning(tmp_path: Path) -> None:
    """It is tried again many times a second; whether it is an outage is the health's to say."""
    stage = Stage(tmp_path)
    settings = combine_settings(
        f"127.0.0.1:{free_port()}", "posts", {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 10}
    )
    with capture_logs() as logs:
        producer = connect(settings, stage.health)
        refused = 0

        def polled(beyond: int) -> bool:
            nonlocal refused
            refused += producer.poll(0.05)
            return refused > beyond

        wait_until(lambda: polled(3) and logs, what="a few refusals")
        assert len([line for line in logs if line["event"] == "librdkafka" and line["facility"] == "FAIL"]) == 1
        stage.now += 61.0
        wait_until(
            lambda: polled(0) and len([line for line in logs if line.get("facility") == "FAIL"]) == 2, what="a reminder"
        )
        discard(producer)
    first, second = [line for line in logs if line.get("facility") == "FAIL"]
    assert first["log_level"] == "warning"
    assert "Connection refused" in first["text"]
    assert (first["times"], second["times"] >= 1) == (1, True)


def test_a_property_that_does_nothing_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    settings = combine_settings("127.0.0.1:1", "posts", {"group.id": "not for producers"})
    with capture_logs() as logs:
        producer = connect(settings, stage.health)
        wait_until(lambda: (producer.poll(0.05), logs)[1], what="a word")
        discard(producer)
    assert {line["event"] for line in logs} == {"librdkafka"}


def test_what_it_calls_critical_is_an_error_and_small_talk_is_not_shown(tmp_path: Path) -> None:
    health = Stage(tmp_path).health
    with capture_logs() as logs:
        for level in (logging.CRITICAL, logging.ERROR, logging.INFO):
            health.log(level, "%s [%s] %s", f"AT{level}", "producer-1", "100 % sure")
    assert [(line["log_level"], line["text"]) for line in logs] == [
        ("error", "AT50 [producer-1] 100 % sure"),
        ("warning", "AT40 [producer-1] 100 % sure"),
        ("debug", "AT20 [producer-1] 100 % sure"),
    ]


def test_what_a_broker_answers_is_told_to_others_while_it_takes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.health.log_error("kafka_error", KafkaError(KafkaError._TRANSPORT))
    stage.health.log_error("record_not_delivered", KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert stage.health.check_outage(waiting=True) is False
    assert read_refusal(tmp_path, time.time()) == "", "there is no outage yet"
    stage.now += 10.0
    assert stage.health.check_outage(waiting=True)
    assert "TOPIC_AUTHORIZATION_FAILED" in read_refusal(tmp_path, time.time())
    stage.health.arrived(lambda: 0)
    assert read_refusal(tmp_path, time.time()) == ""


def test_what_the_client_says_of_itself_is_no_answer(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.health.check_outage(waiting=True)
    stage.now += 10.0
    assert stage.health.check_outage(waiting=True)
    stage.health.log_error("kafka_error", KafkaError(KafkaError._TRANSPORT))
    assert read_refusal(tmp_path, time.time()) == ""


def test_what_was_refused_long_before_says_nothing_of_an_outage(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.health.log_error("kafka_error", KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS))
    stage.now += 30.0
    stage.health.check_outage(waiting=True)
    stage.now += 10.0
    assert stage.health.check_outage(waiting=True)
    assert read_refusal(tmp_path, time.time()) == ""
