"""Rows with two topics, with other topics, and with none: arrived when both have it, counted once, never half lost."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from core.spool.committed_positions import publisher_path, read_publisher_counters
from streams.positions import dead_letters
from streams.sinks.base import RoundResult
from streams.sinks.kafka.destinations import Destinations
from tests.streams.publisher.spools import ChangesSpool, FilledSpool
from tests.streams.publisher.stage import Stage

TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
BOTH = Destinations({"submissions": "posts", "comments": "posts", "changes": "posts.changes"}, "posts", "latest")


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[ChangesSpool]:
    spool = ChangesSpool(tmp_path)
    yield spool
    spool.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, destinations=BOTH)
    yield stage
    stage.close()


def sent(stage: Stage) -> list[tuple[str, str]]:
    return [(record.topic, record.key) for producer in stage.producers for record in producer.sent]


def position(stage: Stage, spool: FilledSpool | ChangesSpool) -> int:
    return stage.writer.position(spool.writer.spool_id)


def counters(stage: Stage, state_dir: Path) -> dict[str, int]:
    stage.writer.save(now=True)
    return read_publisher_counters(state_dir)


def letters(state_dir: Path) -> list[dead_letters.StoredLetter]:
    with closing(sqlite3.connect(publisher_path(state_dir))) as connection:
        return dead_letters.list_letters(connection)


def resend(state_dir: Path) -> None:
    with closing(sqlite3.connect(publisher_path(state_dir))) as connection, connection:
        dead_letters.request_resend(connection, dead_letters.list_letters(connection))


def test_a_record_has_arrived_when_both_topics_have_it(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    first, second = spool.capture(2)
    stage.step()
    assert sent(stage) == [("posts", first), ("latest", first), ("posts", second), ("latest", second)]
    assert len({str(record.headers) for record in stage.producer.sent if record.key == first}) == 1
    stage.producer.report([first, second], topic="posts")
    stage.step()
    assert position(stage, spool) == 0
    stage.producer.report([first], topic="latest")
    stage.step()
    assert position(stage, spool) == 1
    stage.producer.report([second], topic="latest")
    stage.step()
    assert position(stage, spool) == 2
    assert counters(stage, tmp_path) == {"published": 2, "latest_record": 2}


def test_only_the_copy_that_failed_is_sent_again(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    first, second = spool.capture(2)
    stage.step()
    stage.producer.report([first, second], topic="posts")
    stage.producer.report([second], topic="latest")
    stage.producer.report([first], TIMED_OUT, topic="latest")
    before = len(sent(stage))
    stage.step(3)
    assert sent(stage)[before:] == [("latest", first)]
    stage.producer.report([first])
    stage.step()
    assert position(stage, spool) == 2
    assert counters(stage, tmp_path) == {"published": 2, "latest_record": 2, "errors": 1}


@pytest.mark.parametrize("refusing", ["posts", "latest"])
def test_a_row_that_one_topic_refuses_is_a_dead_letter_which_names_it(
    stage: Stage, spool: FilledSpool, tmp_path: Path, refusing: str
) -> None:
    large, other = spool.capture(2)
    stage.step()
    stage.producer.report([large, other], TOO_LARGE, topic=refusing)
    stage.producer.report([large, other], topic={"posts": "latest", "latest": "posts"}[refusing])
    before = len(sent(stage))
    stage.step(2)
    assert sent(stage)[before:] == [(refusing, large)], "alone, so that the answer is about it"
    stage.producer.report([large], TOO_LARGE)
    stage.step(2)
    stage.producer.report([other])
    stage.step(2)
    assert position(stage, spool) == 2
    (letter,) = letters(tmp_path)
    assert (letter.key, letter.reason.split(":")[0]) == (large, f"the topic {refusing}")
    counted = counters(stage, tmp_path)
    assert {name: counted[name] for name in ("published", "latest_record", "dead_letters")} == {
        "published": 1,
        "latest_record": 1,
        "dead_letters": 1,
    }


def test_a_copy_without_room_follows_before_anything_else(tmp_path: Path, spool: FilledSpool) -> None:
    stage = Stage(tmp_path, destinations=BOTH)
    stage.capacity = 3
    first, second, third = spool.capture(3)
    stage.step()
    assert sent(stage) == [("posts", first), ("latest", first), ("posts", second)]
    stage.producer.report([first])
    stage.step()
    assert sent(stage)[3:] == [("latest", second)]
    stage.producer.report([second], topic="posts")
    stage.producer.report([first], topic="latest")
    stage.step(2)
    assert sent(stage)[4:] == [("posts", third), ("latest", third)]
    stage.producer.report([second], topic="latest")
    stage.producer.report([third], topic="posts")
    stage.producer.report([third], topic="latest")
    stage.step()
    assert position(stage, spool) == 3
    stage.close()


def test_changes_go_to_their_topic_and_states_to_latest_alone(
    stage: Stage, changes: ChangesSpool, tmp_path: Path
) -> None:
    changes.event("t1_a")
    changes.state("t1_a")
    changes.tombstone("t1_b")
    stage.step()
    assert sent(stage) == [("posts.changes", "t1_a"), ("latest", "t1_a"), ("latest", "t1_b")]
    assert [record.tombstone for record in stage.producer.sent] == [False, False, True]
    assert [record.headers["schema"] for record in stage.producer.sent][:2] == ["reddit.change.v1", "reddit.comment.v1"]
    stage.producer.report(["t1_a", "t1_a", "t1_b"])
    stage.step(2)
    assert position(stage, changes) == 3
    assert counters(stage, tmp_path) == {"published": 1, "latest_record": 1, "latest_tombstone": 1}


def test_states_that_fail_are_sent_again_and_counted_once(stage: Stage, changes: ChangesSpool, tmp_path: Path) -> None:
    changes.state("t1_a", "t1_b")
    stage.step()
    stage.producer.report(["t1_a"], TIMED_OUT)
    stage.producer.report(["t1_b"])
    stage.step(3)
    assert sent(stage)[2:] == [("latest", "t1_a")]
    stage.producer.report(["t1_a"])
    stage.step(2)
    assert counters(stage, tmp_path) == {"latest_record": 2, "errors": 1}


def test_without_latest_a_state_is_settled_without_being_sent(tmp_path: Path, changes: ChangesSpool) -> None:
    stage = Stage(tmp_path, destinations=Destinations({"changes": "posts.changes"}, "posts"))
    changes.state("t1_a")
    changes.event("t1_a")
    changes.tombstone("t1_a")
    stage.step()
    assert sent(stage) == [("posts.changes", "t1_a")]
    stage.producer.report(["t1_a"])
    stage.step(2)
    assert position(stage, changes) == 3
    assert counters(stage, tmp_path) == {"published": 1, "latest_unsent": 2}
    stage.close()


def test_a_topic_that_is_missing_holds_only_what_goes_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path, destinations=Destinations({"submissions": "s", "comments": "c"}, "posts"))
    with FilledSpool(tmp_path, "comments") as comments, FilledSpool(tmp_path, "submissions") as submissions:
        keys, others = comments.capture(2), submissions.capture(2)
        stage.topics.gone = {"c"}
        stage.step()
        assert sent(stage) == [("s", key) for key in others]
        assert stage.topics.wanted == {"s", "c"}, "and no topic that nothing goes to"
        assert not stage.sink.held
        stage.producer.report(others)
        assert stage.step(3) is RoundResult.BLOCKED
        assert (position(stage, submissions), position(stage, comments)) == (2, 0)
        stage.topics.refuses = True
        assert stage.sink.held, "a stop need not wait for it"
        stage.topics.gone = set()
        stage.step()
        assert sent(stage)[2:] == [("c", key) for key in keys]
    stage.close()


def test_a_missing_latest_holds_what_goes_there_too(stage: Stage, spool: FilledSpool) -> None:
    spool.capture(1)
    stage.topics.gone = {"latest"}
    stage.step(3)
    assert sent(stage) == []


def test_a_dead_letter_is_sent_again_to_its_own_topic_alone(stage: Stage, spool: FilledSpool, tmp_path: Path) -> None:
    (key,) = spool.capture(1)
    refuse_alone(stage, [key])
    resend(tmp_path)
    before = len(sent(stage))
    stage.step(3)
    assert sent(stage)[before:] == [("posts", key)], "latest may hold something newer, or a tombstone"
    stage.producer.report([key])
    stage.step(3)
    assert letters(tmp_path) == []


def test_the_dead_letter_of_a_state_is_not_sent_again_and_stays(
    stage: Stage, changes: ChangesSpool, tmp_path: Path
) -> None:
    changes.state("t1_a")
    refuse_alone(stage, ["t1_a"])
    before = sent(stage)
    resend(tmp_path)
    stage.step(4)
    assert sent(stage) == before
    (letter,) = letters(tmp_path)
    assert "only the state of an item at that time" in letter.reason
    assert not letter.resending


def refuse_alone(stage: Stage, keys: list[str]) -> None:
    """Have the topics refuse these records, at first with others and then alone."""
    for _ in keys * 2:
        stage.step(2)
        for record in list(stage.producer.flying):
            stage.producer.report([record.key], TOO_LARGE, topic=record.topic)
    stage.step(3)


def test_a_record_too_large_for_latest_goes_there_without_reddit(
    stage: Stage, spool: FilledSpool, tmp_path: Path
) -> None:
    (key,) = spool.capture(1, size=10, reddit=500)
    stage.step()
    stage.producer.report([key], topic="posts")
    stage.producer.report([key], TOO_LARGE, topic="latest")
    stage.step(2)
    stage.producer.report([key], TOO_LARGE, topic="latest")  # alone, and whole
    stage.step(3)
    last = stage.producer.sent[-1]
    assert (last.topic, last.headers["dropped"], b"reddit" in last.value) == ("latest", "reddit", False)
    stage.producer.report([key])
    stage.step()
    assert position(stage, spool) == 1
    assert [one.topic for one in stage.producer.sent].count("posts") == 1
    counted = counters(stage, tmp_path)
    assert [counted[name] for name in ("published", "latest_record", "payloads_dropped")] == [1, 1, 1]
