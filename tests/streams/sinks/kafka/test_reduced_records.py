"""A record that is too large goes without `reddit`; only what is too large even so becomes a dead letter, whole."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from core.spool.committed_positions import publisher_path, read_publisher_counters
from core.storage.sqlite import connect, transaction
from streams.positions import dead_letters as letters
from streams.sinks.base import RoundResult
from tests.streams.publisher.spools import FilledSpool, value_of
from tests.streams.publisher.stage import Stage

TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)  # noqa: SLF001  librdkafka's own codes are spelled so
LIMIT = 1000
PLAIN = {"schema": "reddit.comment.v1", "stream": "comments", "seq": "1"}
DROPPED = PLAIN | {"dropped": "reddit"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = started(tmp_path)
    yield made
    made.close()


def started(tmp_path: Path) -> Stage:
    """Begin with a producer that takes no value of LIMIT bytes."""
    made = Stage(tmp_path)
    made.step()
    made.producer.too_large = LIMIT
    return made


def position(stage: Stage, spool: FilledSpool) -> int:
    return stage.writer.position(spool.writer.spool_id)


def kept(state_dir: Path) -> list[tuple[str, bytes]]:
    """Key and value of each dead letter."""
    with closing(sqlite3.connect(publisher_path(state_dir))) as connection:
        return [(key.decode(), value) for key, value in connection.execute("SELECT key, value FROM dead_letters")]


def refuse_alone(stage: Stage, key: str) -> None:
    """Let a broker refuse a record in company, if it has some, then alone, and wait until it comes again."""
    for _ in range(2):
        stage.producer.report([key], TOO_LARGE)
        stage.step(3)


def test_what_the_client_refuses_goes_without_reddit(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    large = spool.capture(1, reddit=LIMIT)
    others = spool.capture(2)
    with capture_logs() as logs:
        stage.step()
        assert stage.producer.keys == large + others, "in its place"
        assert stage.producer.sent[0].value == value_of(large[0])
        assert stage.producer.sent[0].headers == DROPPED
        assert "dropped" not in stage.producer.sent[1].headers
        stage.producer.report(large + others)
        stage.step(2)
    assert position(stage, spool) == 3
    assert read_publisher_counters(tmp_path) == {"published": 3, "payloads_dropped": 1}
    (said,) = [entry for entry in logs if entry["event"] == "payload_dropped"]
    assert (said["key"], said["stream"], said["count"], said["limit"]) == (large[0], "comments", 1, 1000)
    assert said["size"] == len(value_of(large[0], reddit=LIMIT))
    assert kept(tmp_path) == []


def test_what_it_refuses_even_so_is_a_dead_letter_and_whole(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    (key,) = spool.capture(1, size=LIMIT, reddit=LIMIT)
    (next_key,) = spool.capture(1)
    stage.step()
    stage.producer.report([next_key])
    stage.step(2)
    assert kept(tmp_path) == [(key, value_of(key, LIMIT, LIMIT))]
    assert read_publisher_counters(tmp_path) == {"published": 1, "errors": 1, "dead_letters": 1}
    assert position(stage, spool) == 2


def test_what_does_not_fit_an_empty_queue_goes_without_reddit(tmp_path: Path, spool: FilledSpool) -> None:
    stage = Stage(tmp_path)
    stage.capacity = 1
    stage.step()
    stage.producer.queue_bytes = LIMIT
    (first, large) = spool.capture(1) + spool.capture(1, reddit=LIMIT)
    stage.step()
    assert stage.producer.keys == [first], "the queue is full: the next one waits"
    stage.producer.report([first])
    stage.step(2)
    assert [(one.key, one.headers.get("dropped")) for one in stage.producer.sent] == [(first, None), (large, "reddit")]
    stage.producer.report([large])
    stage.step(2)
    assert position(stage, spool) == 2
    stage.close()


def test_a_full_queue_drops_nothing(tmp_path: Path, spool: FilledSpool) -> None:
    """Refused for its size while others are in flight, and then there is no room for the smaller one."""
    stage = Stage(tmp_path)
    stage.capacity = 1
    stage.step()
    stage.producer.too_large = LIMIT
    (first, large) = spool.capture(1) + spool.capture(1, reddit=LIMIT)
    stage.step()
    assert stage.producer.keys == [first]
    stage.producer.report([first])
    stage.step(2)
    assert stage.producer.sent[1].headers["dropped"] == "reddit"
    stage.producer.report([large])
    stage.step(2)
    assert position(stage, spool) == 2
    assert kept(tmp_path) == []
    stage.close()


def test_what_the_broker_refuses_alone_goes_without_reddit(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    stage.producer.too_large = 10 * LIMIT
    keys = spool.capture(1, reddit=LIMIT) + spool.capture(2)
    stage.step()
    stage.producer.report(keys, TOO_LARGE)  # as a batch
    stage.step(2)
    assert [(one.key, one.headers) for one in stage.producer.sent[3:]] == [(keys[0], PLAIN)], "first whole, alone"
    stage.producer.report(keys[:1], TOO_LARGE)
    stage.step(2)
    assert [(one.key, one.headers) for one in stage.producer.sent[4:]] == [(keys[0], DROPPED)], "then the rest, alone"
    assert stage.producer.sent[4].value == value_of(keys[0])
    stage.producer.report(keys[:1])
    for key in keys[1:]:
        stage.step(2)
        stage.producer.report([key])
    stage.step(2)
    assert position(stage, spool) == 3
    counters = read_publisher_counters(tmp_path)
    assert (counters["published"], counters["payloads_dropped"]) == (3, 1)
    assert kept(tmp_path) == []


def test_what_the_broker_refuses_even_so_is_a_dead_letter_and_whole(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    stage.producer.too_large = 10 * LIMIT
    (key,) = spool.capture(1, size=LIMIT, reddit=LIMIT)
    stage.step()
    refuse_alone(stage, key)
    assert kept(tmp_path) == []
    stage.producer.report([key], TOO_LARGE)
    stage.step(3)
    assert kept(tmp_path) == [(key, value_of(key, LIMIT, LIMIT))]
    assert "payloads_dropped" not in read_publisher_counters(tmp_path)
    assert stage.step() is RoundResult.IDLE


def test_another_failure_of_the_smaller_record_sends_that_again(stage: Stage, spool: FilledSpool) -> None:
    keys = spool.capture(1, reddit=LIMIT)
    stage.step()
    stage.producer.report(keys, TIMED_OUT)
    stage.step(3)
    assert [one.headers for one in stage.producer.sent] == [DROPPED, DROPPED]
    stage.producer.report(keys)
    stage.step(2)
    assert position(stage, spool) == 1


def test_after_a_restart_the_whole_record_is_tried_first(spool: FilledSpool, tmp_path: Path) -> None:
    before = started(tmp_path)
    keys = spool.capture(1, reddit=LIMIT)
    before.step()
    assert before.producer.sent[0].headers == DROPPED
    before.close()
    after = Stage(tmp_path)  # with a larger limit
    after.step()
    assert after.producer.sent[0].headers == PLAIN
    assert after.producer.sent[0].value == value_of(keys[0], reddit=LIMIT)
    after.producer.report(keys)
    after.step(2)
    assert read_publisher_counters(tmp_path) == {"published": 1}
    after.close()


@pytest.mark.parametrize("own", [100, LIMIT])
def test_a_dead_letter_that_is_sent_again_is_tried_whole_and_then_without_reddit(
    stage: Stage, spool: FilledSpool, tmp_path: Path, own: int
) -> None:
    (key,) = spool.capture(1, size=LIMIT, reddit=LIMIT)
    stage.step(3)
    whole = value_of(key, LIMIT, LIMIT)
    assert kept(tmp_path) == [(key, whole)]
    with closing(connect(publisher_path(tmp_path), cache_kib=512)) as connection, transaction(connection):
        letters.request_resend(connection, letters.list_letters(connection))
    stage.producer.too_large = len(whole) if own < LIMIT else LIMIT
    stage.step(2)
    if own < LIMIT:
        assert [(one.value, one.headers) for one in stage.producer.sent] == [(value_of(key, LIMIT), DROPPED)]
        stage.producer.report([key])
        stage.step(3)
        assert kept(tmp_path) == []
        counters = read_publisher_counters(tmp_path)
        assert (counters["dead_letters_resent"], counters["payloads_dropped"]) == (1, 1)
    else:
        stage.step(2)
        assert kept(tmp_path) == [(key, whole)], "refused again, and whole"


def test_many_make_one_line_a_minute_with_their_number(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            stage.step()
            keys = spool.capture(10, reddit=LIMIT)
            stage.step()
            stage.producer.report(keys)
        stage.step(70)
        keys = spool.capture(3, reddit=LIMIT)
        stage.step()
        stage.producer.report(keys)
        stage.step(2)
        stage.senders.close()
    counts = [entry["count"] for entry in logs if entry["event"] == "payload_dropped"]
    assert counts == [10, 40, 3], "the last ones at the end"
    assert read_publisher_counters(tmp_path)["payloads_dropped"] == 53
