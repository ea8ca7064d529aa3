"""A second sink beside Kafka: each has a position of its own, and none waits for the other one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.spool.committed_positions import publisher_path, read_positions, read_publisher_counters
from streams.positions.publisher_store import Position, PublisherStore
from streams.publisher.publisher_process import Publisher
from streams.sinks.base import RoundResult, drive
from tests.streams.examples.json_lines import JsonLinesSink
from tests.streams.publisher.spools import FilledSpool
from tests.streams.publisher.stage import LOG, Stage


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[FilledSpool]:
    with FilledSpool(tmp_path, "comments") as filled:
        yield filled


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path, sinks=("files", "kafka"))
    yield made
    made.close()


def second_sink(tmp_path: Path, stage: Stage) -> JsonLinesSink:
    return JsonLinesSink(tmp_path / "out", state_dir=tmp_path, writer=stage.writer, log=LOG, clock=lambda: stage.now)


def advance(stage: Stage, sink: JsonLinesSink, times: int = 2) -> RoundResult:
    for _ in range(times):
        pace = drive(sink)
        stage.step()
    return pace


def test_a_sink_that_is_away_holds_up_no_other_one(tmp_path: Path, spool: FilledSpool, stage: Stage) -> None:
    sink, source = second_sink(tmp_path, stage), spool.writer.spool_id
    keys = spool.capture(3)
    assert advance(stage, sink) is RoundResult.BLOCKED
    stage.producer.report(keys)
    stage.step(2)
    assert (stage.writer.position(source), stage.writer.position(source, "files")) == (3, 0)
    assert read_positions(tmp_path)[source] == 0, "a record may be dropped once every sink has it"
    assert (stage.sink.backlog(), sink.backlog()) == (0, 3)
    (tmp_path / "out").mkdir()
    assert advance(stage, sink) is RoundResult.IDLE
    assert len(sink.lines("comments")) == 3
    assert read_positions(tmp_path)[source] == 3
    assert read_publisher_counters(tmp_path)["published"] == 3, "Kafka's own"
    assert read_publisher_counters(tmp_path)["published_files"] == 3


def test_kafka_may_be_the_one_that_is_behind(tmp_path: Path, spool: FilledSpool, stage: Stage) -> None:
    (tmp_path / "out").mkdir()
    sink, source = second_sink(tmp_path, stage), spool.writer.spool_id
    spool.capture(3)
    advance(stage, sink)
    assert (stage.writer.position(source), stage.writer.position(source, "files")) == (0, 3)
    assert read_positions(tmp_path).get(source, 0) == 0
    publisher = Publisher([stage.sink, sink], stage.writer)
    assert (publisher.backlog(), publisher.held, publisher.step()) == (3, False, RoundResult.BUSY)


def test_after_a_restart_each_sink_goes_on_behind_its_own_position(tmp_path: Path, spool: FilledSpool) -> None:
    first = Stage(tmp_path, sinks=("files", "kafka"))
    (tmp_path / "out").mkdir()
    spool.capture(2)
    sink = second_sink(tmp_path, first)
    advance(first, sink)
    sink.close(0.0)
    first.close()
    second = Stage(tmp_path, sinks=("files", "kafka"))
    spool.capture(1)
    again = second_sink(tmp_path, second)
    advance(second, again)
    assert len(again.lines("comments")) == 3, "none twice"
    assert second.producer.keys == spool.keys, "Kafka had none of them"
    again.close(0.0)
    second.close()


def test_a_new_sink_begins_with_what_is_at_hand_and_a_removed_one_holds_nothing_back(tmp_path: Path) -> None:
    for sinks, reached in ((("kafka",), 5), (("files", "kafka"), 0), (("kafka",), 5), (("files", "kafka"), 0)):
        store = PublisherStore.open(tmp_path, LOG, sinks=sinks)
        if not store.positions():
            store.save([Position("comments", "spool", 5)])
        store.close()
        assert read_positions(tmp_path) == {"spool": reached}
    with closing(sqlite3.connect(publisher_path(tmp_path))) as connection:
        assert connection.execute("SELECT sink, seq FROM sink_positions").fetchall() == [("kafka", 5)]
