"""publisher.db: positions, counters and dead letters that stand or fall together, and who may read them."""

import shutil
import sqlite3
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from core.spool.committed_positions import (
    publisher_path,
    read_newest_dead_letter,
    read_positions,
    read_publisher_counters,
)
from core.spool.spool_state import SpoolState, remembered_states
from streams.positions.dead_letters import DeadLetter
from streams.positions.publisher_store import Position, PublisherStore
from streams.positions.store_note import note_path

LOG = structlog.stdlib.get_logger("test")


def letter(seq: int) -> DeadLetter:
    return DeadLetter("comments", "spool", seq, b"t1_a", b"{}", "reddit.comment.v1", "too large")


def open_store(state_dir: Path) -> PublisherStore:
    return PublisherStore.open(state_dir, LOG, clock=lambda: 1_700_000_000.0)


def test_what_was_saved_is_read_by_others_while_the_file_is_open_and_after(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save([Position("comments", "spool", 7)], {"published": 7, "errors": 1})
    store.save([Position("comments", "spool", 9)], {"published": 2})
    for _ in range(2):
        assert read_positions(tmp_path) == {"spool": 9}
        assert read_publisher_counters(tmp_path) == {"published": 9, "errors": 1}
        store.close()
    assert [position.seq for position in open_store(tmp_path).positions()] == [9]


def test_without_a_file_nothing_is_delivered_and_none_is_made_by_reading(tmp_path: Path) -> None:
    assert read_positions(tmp_path) == {}
    assert read_publisher_counters(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_reads_as_nothing_delivered(tmp_path: Path) -> None:
    publisher_path(tmp_path).write_bytes(b"no database at all" * 1000)
    assert read_positions(tmp_path) == {}


def test_a_file_that_is_being_made_reads_as_nothing_delivered(tmp_path: Path) -> None:
    sqlite3.connect(publisher_path(tmp_path)).close()
    assert read_positions(tmp_path) == {}


def test_a_dead_letter_is_kept_whole_and_counted_once(tmp_path: Path) -> None:
    """The process may die between burying a record and moving its position past it: the record comes again."""
    store = open_store(tmp_path)
    store.save([], {}, [letter(5)])
    store.save([Position("comments", "spool", 5)], {}, [letter(5)])
    assert read_publisher_counters(tmp_path) == {"dead_letters": 1}
    rows = sqlite3.connect(publisher_path(tmp_path)).execute("SELECT seq, key, value, reason FROM dead_letters")
    assert rows.fetchall() == [(5, b"t1_a", b"{}", "too large")]


def test_when_the_newest_dead_letter_came_is_known(tmp_path: Path) -> None:
    assert read_newest_dead_letter(tmp_path) is None, "there is no file"
    store = open_store(tmp_path)
    assert read_newest_dead_letter(tmp_path) is None, "there is no dead letter"
    store.save([], {}, [letter(5)])
    assert read_newest_dead_letter(tmp_path) is None, "it may be sent again: the position has not passed it"
    store.save([Position("comments", "spool", 5)])
    assert read_newest_dead_letter(tmp_path) == 1_700_000_000.0


def test_a_save_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(sqlite3.Error):
        store.save([Position("comments", "spool", None)], {"published": 3}, [letter(1)])  # type: ignore[arg-type]
    assert read_positions(tmp_path) == {}
    assert read_publisher_counters(tmp_path) == {}


def test_the_deployment_keeps_its_name(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    first.close()
    assert open_store(tmp_path).deployment_id == first.deployment_id


def test_a_broken_file_is_moved_aside_and_kept(tmp_path: Path) -> None:
    publisher_path(tmp_path).write_bytes(b"no database at all" * 1000)
    store = open_store(tmp_path)
    assert store.positions() == []
    (aside,) = tmp_path.glob("publisher.db.corrupt-*")
    assert aside.read_bytes().startswith(b"no database")


def test_a_file_deleted_while_nothing_ran_is_said_with_its_dead_letters(tmp_path: Path) -> None:
    """Guards: dead letters that disappear in silence."""
    store = PublisherStore.open(tmp_path, LOG)
    deployment = store.deployment_id
    store.save(dead_letters=[letter(4)])
    store.close()
    publisher_path(tmp_path).unlink()
    with capture_logs() as logs:
        successor = PublisherStore.open(tmp_path, LOG)
    assert [(entry["event"], entry["fault"], entry["dead_letters"]) for entry in logs] == [
        ("positions_lost", "it was deleted or moved", 1)
    ]
    assert successor.deployment_id == deployment, "Kafka still knows this deployment by its name"
    successor.close()
    with capture_logs() as logs:
        PublisherStore.open(tmp_path, LOG).close()
    assert not logs, "said once"


def test_an_older_copy_put_back_while_nothing_ran_is_said(tmp_path: Path) -> None:
    store = PublisherStore.open(tmp_path, LOG)
    store.save([Position("comments", "spool", 2)])
    store.close()
    shutil.copy(publisher_path(tmp_path), tmp_path / "old.db")
    store = PublisherStore.open(tmp_path, LOG)
    store.save([Position("comments", "spool", 5)], dead_letters=[letter(4)])
    store.close()
    shutil.copy(tmp_path / "old.db", publisher_path(tmp_path))
    with capture_logs() as logs:
        PublisherStore.open(tmp_path, LOG).close()
    assert [(entry["fault"], entry["dead_letters"]) for entry in logs] == [("an older copy was put in its place", 1)]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"deployment": "x"}'])
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    PublisherStore.open(tmp_path, LOG).close()
    note_path(tmp_path).write_text(text)
    with capture_logs() as logs:
        PublisherStore.open(tmp_path, LOG).close()
    assert not logs


def test_what_is_known_of_a_spool_is_not_replaced_by_an_older_copy_of_it(tmp_path: Path) -> None:
    """The publisher may see a copy that was put back before the stream does."""
    store = PublisherStore.open(tmp_path, LOG)
    for spool_id, commits in (("one", 9), ("one", 3), ("two", 1), ("one", 10)):
        store.remembered["comments"] = SpoolState(spool_id, commits, 5, {})
        store.save()
    for number in range(20):
        store.remembered["submissions"] = SpoolState(f"spool-{number}", 1, 1, {})
        store.save()
    store.close()
    assert {name: state.commits for name, state in remembered_states(tmp_path, "comments").items()} == {
        "one": 10,
        "two": 1,
    }
    assert len(remembered_states(tmp_path, "submissions")) == 8
