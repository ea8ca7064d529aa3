"""The at-least-once sink against a producer that fails on command: in order, nothing lost, little repeated."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from core.spool.committed_positions import read_dead_letters, read_positions, read_publisher_counters
from core.status.kafka_outage import read_outage, read_refusal
from streams.sinks.base import RoundResult
from tests.streams.publisher.spools import FilledSpool
from tests.streams.publisher.stage import Stage

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def scribble_over(path: Path) -> None:
    """Break every page of the file but the first two."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))


def position(stage: Stage, spool: FilledSpool) -> int:
    return stage.writer.position(spool.writer.spool_id)


def test_no_record_waits_for_another_and_the_position_follows_the_reports(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(5)
    assert stage.step() is RoundResult.BUSY
    assert stage.producer.keys == keys
    assert stage.producer.sent[1].headers == {"schema": "reddit.comment.v1", "stream": "comments", "seq": "2"}
    stage.producer.report(keys[1:3])
    stage.step()
    assert position(stage, spool) == 0
    stage.producer.report([keys[0]])
    stage.step()
    assert position(stage, spool) == 3


def test_it_rests_when_all_has_arrived(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    stage.step()
    assert stage.step() is RoundResult.IDLE
    keys = spool.capture(2)
    assert stage.step() is RoundResult.BUSY
    stage.producer.report(keys)
    stage.step()
    assert stage.step() is RoundResult.IDLE
    assert read_positions(tmp_path) == {spool.writer.spool_id: 2}
    assert read_publisher_counters(tmp_path) == {"published": 2}


def test_a_full_queue_is_waited_for(tmp_path: Path, spool: FilledSpool) -> None:
    stage = Stage(tmp_path)
    stage.capacity = 3
    keys = spool.capture(7)
    for portion in (keys[:3], keys[3:6], keys[6:]):
        stage.step()
        assert stage.producer.keys[-len(portion) :] == portion
        stage.producer.report(portion)
    stage.step(2)
    assert stage.producer.keys == keys
    assert position(stage, spool) == 7
    stage.close()


def test_a_failed_record_goes_again_behind_the_position_and_what_arrived_does_not(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    keys = spool.capture(4)
    stage.step()
    stage.producer.report(keys[1:2], TIMED_OUT)
    stage.step()
    spool.capture(1)
    assert stage.step() is RoundResult.BUSY, "the reports of the others are awaited first"
    stage.producer.report([keys[0], *keys[2:]])
    stage.step(3)
    assert stage.producer.keys == [*keys, keys[1], spool.keys[4]]
    stage.producer.report([keys[1], spool.keys[4]])
    stage.step(2)
    assert position(stage, spool) == 5
    assert read_publisher_counters(tmp_path) == {"published": 5, "errors": 1}


def test_after_a_fatal_error_a_new_producer_goes_on_behind_the_position(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(4)
    stage.step()
    stage.producer.report(keys[:2])
    stage.step()
    stage.producer.fatal = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True)
    with capture_logs() as logs:
        stage.step(3)
    assert len(stage.producers) == 2
    assert stage.producer.keys == keys[2:]
    assert any(entry["log_level"] == "error" and entry["event"] == "producer_replaced" for entry in logs)
    stage.producer.report(keys[2:])
    stage.step()
    assert position(stage, spool) == 4


def test_a_late_report_of_a_discarded_producer_counts_no_more(stage: Stage, spool: FilledSpool) -> None:
    """Its record may be in Kafka, but so may a failure be: the new producer's report decides."""
    keys = spool.capture(2)
    stage.step()
    first, late = stage.producer, stage.producer.sent[0]
    first.fatal = KafkaError(KafkaError._FATAL, fatal=True)
    stage.step(3)
    late.report(None, None)
    stage.step()
    assert position(stage, spool) == 0
    stage.producer.report(keys)
    stage.step()
    assert position(stage, spool) == 2


def test_endless_failures_make_a_new_producer(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(1)
    for _ in range(60):
        if len(stage.producers) > 1:
            break
        if stage.producers and stage.producer.flying:
            stage.producer.report(keys, TIMED_OUT)
        stage.step()
    assert len(stage.producers) > 1


def test_a_topic_that_vanished_is_asked_for_and_all_goes_again(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(3)
    stage.step()
    stage.producer.report(keys, KafkaError(KafkaError._UNKNOWN_TOPIC))
    stage.step(4)
    assert stage.topics.losses == 1
    assert stage.producer.keys == keys


def test_what_the_client_refuses_becomes_a_dead_letter_and_the_rest_goes_on(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    stage.step()
    keys = spool.capture(3)
    stage.producer.refuses[keys[1]] = TOO_LARGE
    with capture_logs() as logs:
        stage.step()
    assert stage.producer.keys == [keys[0], keys[2]]
    (said,) = [entry for entry in logs if entry["event"] == "dead_letter"]
    assert (said["key"], said["limit"]) == (keys[1], 1000)
    stage.producer.report([keys[0], keys[2]])
    stage.step(2)
    assert position(stage, spool) == 3
    assert read_publisher_counters(tmp_path) == {"published": 2, "errors": 1, "dead_letters": 1}


def test_records_refused_in_company_are_tried_alone_before_any_is_buried(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    """A broker refuses a whole batch for one record in it: only the one it refuses alone is given up."""
    keys = spool.capture(4)
    stage.step()
    stage.producer.report([keys[0]])
    stage.producer.report(keys[1:3], TOO_LARGE)
    stage.producer.report([keys[3]])
    stage.step(2)
    assert stage.producer.keys[4:] == [keys[1]]
    stage.step()
    assert stage.producer.keys[4:] == [keys[1]], "nothing else flies with it"
    stage.producer.report([keys[1]])
    stage.step(2)
    assert stage.producer.keys[4:] == [keys[1], keys[2]]
    stage.producer.report([keys[2]], TOO_LARGE)
    stage.step(4)
    assert position(stage, spool) == 4
    assert stage.producer.keys[4:] == [keys[1], keys[2]]
    assert read_publisher_counters(tmp_path) == {"published": 3, "errors": 3, "dead_letters": 1}


def test_records_refused_one_after_another_are_no_outage_and_no_fault_of_the_producer(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    """As where the topic's limit is lower than what every record weighs."""
    keys = spool.capture(30)
    stage.step()
    stage.producer.report(keys, TOO_LARGE)
    with capture_logs() as logs:
        for number in range(30):
            stage.step(2)
            assert stage.producer.flying, f"record {number} waits for nothing"
            stage.producer.report([keys[number]], TOO_LARGE)
        stage.step(3)
    assert position(stage, spool) == 30
    assert len(stage.producers) == 1
    assert read_publisher_counters(tmp_path)["dead_letters"] == 30
    assert {entry["event"] for entry in logs} == {"dead_letter", "record_not_delivered"}


def test_a_suspect_that_fails_for_another_reason_stays_a_suspect(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(2)
    stage.step()
    stage.producer.report(keys, TOO_LARGE)
    stage.step(2)
    stage.producer.report([keys[0]], TIMED_OUT)
    stage.step(3)
    assert stage.producer.keys[2:] == [keys[0], keys[0]]
    stage.producer.report([keys[0]])
    stage.step(2)
    stage.producer.report([keys[1]])
    stage.step(2)
    assert position(stage, spool) == 2


@pytest.mark.parametrize("code", [KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD])
def test_what_is_not_the_records_fault_is_waited_for_with_one_record_and_one_producer(
    stage: Stage, spool: FilledSpool, tmp_path: Path, code: int
) -> None:
    keys = spool.capture(10)
    stage.step()
    stage.producer.report(keys[:1])
    stage.producer.report(keys[1:], KafkaError(KafkaError.INVALID_RECORD))
    with capture_logs() as logs:
        stage.step(3)
        for tries in range(2, 30):
            while not stage.producer.flying:
                stage.step()
            assert stage.producer.keys[10:] == [keys[1]] * (tries - 1), "the first one asks for all"
            stage.producer.report([keys[1]], KafkaError(code))
            stage.step(2)
            assert stage.health.held
    assert len(stage.producers) == 1
    (said,) = {entry["cause"] for entry in logs if entry["event"] == "delivery_held"}
    assert said
    assert read_refusal(tmp_path, time.time()) == said
    assert not [entry for entry in logs if entry["event"] in ("kafka_away", "dead_letter", "record_not_delivered")]
    while not stage.producer.flying:
        stage.step()
    stage.producer.report([keys[1]])
    with capture_logs() as logs:
        stage.step(2)
    assert [entry["records_waiting"] for entry in logs if entry["event"] == "delivery_resumed"] == [9]
    assert not stage.health.held
    assert stage.producer.keys[-8:] == keys[2:]
    stage.producer.report(keys[2:])
    stage.step(2)
    assert position(stage, spool) == 10
    assert read_outage(tmp_path) is None
    assert "dead_letters" not in read_publisher_counters(tmp_path)


def test_a_hold_that_falls_silent_becomes_an_outage(stage: Stage, spool: FilledSpool) -> None:
    """The broker that refused has gone away since."""
    keys = spool.capture(1)
    stage.step()
    stage.producer.report(keys, KafkaError(KafkaError.INVALID_TIMESTAMP))
    stage.step(2)
    assert stage.health.held
    with capture_logs() as logs:
        stage.step(90)
    assert not stage.health.held
    assert [entry["event"] for entry in logs if entry["event"].startswith("kafka")] == ["kafka_away"]


def test_a_dead_letter_before_whose_position_the_publisher_dies_may_arrive_after_all(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    """Else it would be delivered, and a dead letter for ever."""
    keys = spool.capture(3)
    stage.step()
    stage.close()
    limited = Stage(tmp_path)
    limited.step()
    limited.producer.refuses[keys[1]] = TOO_LARGE
    limited.senders.rewind()
    limited.step(3)
    assert read_dead_letters(tmp_path) == {}, "the record before it has not arrived"
    successor = Stage(tmp_path)  # the other one is gone without a word
    successor.step()
    successor.producer.report(keys)
    successor.step(2)
    assert position(successor, spool) == 3
    successor.close()
    assert read_dead_letters(tmp_path) == {}
    assert read_publisher_counters(tmp_path)["published"] == 3
    assert "dead_letters" not in read_publisher_counters(tmp_path)


def test_a_spool_that_was_replaced_is_read_from_its_own_start(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    keys = spool.capture(3)
    stage.step()
    old = spool.writer.spool_id
    spool.close()
    for path in tmp_path.glob("spool-comments.db*"):
        path.rename(tmp_path / f"aside-{path.name}")
    with FilledSpool(tmp_path, "comments") as replaced:
        fresh = replaced.capture(2)
        stage.step(2)
        assert stage.producer.keys == keys + fresh
        stage.producer.report(keys)
        stage.producer.report(fresh)
        stage.step(2)
        assert stage.writer.position(old) == 3, "what was on its way still counts"
        assert stage.writer.position(replaced.writer.spool_id) == 2


def test_a_broken_spool_is_reported_while_the_other_stream_goes_on(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    with FilledSpool(tmp_path, "submissions") as healthy:
        spool.capture(3)
        stage.step()
        spool.capture(600)
        spool.close()
        scribble_over(tmp_path / "spool-comments.db")
        healthy_keys = healthy.capture(2)
        with capture_logs() as logs:
            stage.step(3)
        assert (tmp_path / "spool-comments.suspect").exists()
        assert [entry["stream"] for entry in logs if entry["event"] == "spool_unreadable"] == ["comments"], "said once"
        assert [key for key in stage.producer.keys if key.startswith("t3_")] == healthy_keys


def test_an_outage_is_told_once_and_counted_once(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    keys = spool.capture(2)
    with capture_logs() as logs:
        stage.step()
        stage.topics.any_exists = False  # nobody answers the question whether it is
        for _ in range(20):
            stage.health.on_error(KafkaError(KafkaError._TRANSPORT))
            stage.health.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
            stage.step()
        assert read_outage(tmp_path) is not None, "others can know it"
        stage.producer.report(keys)
        stage.step(2)
    assert read_outage(tmp_path) is None
    told = [entry for entry in logs if entry["event"].startswith("kafka_")]
    assert [entry["event"] for entry in told] == ["kafka_away", "kafka_back"]
    assert told[1]["away_seconds"] >= 18
    assert read_publisher_counters(tmp_path) == {"published": 2, "errors": 1}


def test_a_producer_that_hears_nothing_while_kafka_answers_is_replaced(stage: Stage, spool: FilledSpool) -> None:
    """It may hold on to a session that the broker forgot; what it did not hear about goes again."""
    keys = spool.capture(3)
    stage.step()
    stage.producer.report(keys[1:2])
    stage.step(30)
    assert len(stage.producers) == 2
    assert stage.producer.keys == [keys[0], keys[2]]
    stage.producer.report([keys[0], keys[2]])
    stage.step()
    assert position(stage, spool) == 3


def test_the_end_takes_in_the_last_reports(tmp_path: Path, spool: FilledSpool) -> None:
    stage = Stage(tmp_path)
    keys = spool.capture(3)
    stage.step()
    stage.producer.report(keys[:2])
    stage.close()
    assert read_positions(tmp_path) == {spool.writer.spool_id: 2}
