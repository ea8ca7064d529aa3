"""Delivered rows stay in a spool until the process `changes` has read them, within limits."""

from contextlib import closing
from pathlib import Path

import pytest

from core.spool import Batch, Record, SpoolReader, SpoolWriter
from core.spool.followed_positions import changes_path, read_followed
from core.storage.sqlite import connect
from tests.core.spool.story import STREAM, acknowledge, read_state

HOUR = 3600.0


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def records(count: int) -> Batch:
    return Batch(records=[Record(b"t1_x", b"{}", "reddit.comment.v1")] * count)


def follow(directory: Path, spool_id: str, seq: int) -> None:
    with closing(connect(changes_path(directory))) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS positions (spool_id TEXT PRIMARY KEY, stream TEXT, seq INTEGER)")
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (spool_id, STREAM, seq))


def unfollowed(directory: Path) -> int:
    reader = SpoolReader.open(directory, STREAM)
    assert reader is not None
    with closing(reader):
        return reader.counters().get("changes_unfollowed", 0)


@pytest.mark.parametrize("followed", [True, False])
def test_what_is_delivered_and_not_read_is_kept_only_while_the_process_is_enabled(
    tmp_path: Path, *, followed: bool
) -> None:
    clock = Clock()
    with SpoolWriter(tmp_path, STREAM, followed=followed, clock=clock) as writer:
        writer.commit(records(10))
        acknowledge(tmp_path, writer.spool_id, 8)
        clock.now += 10 * HOUR
        writer.prune()
        assert len(read_state(tmp_path).rows) == (10 if followed else 2)
        follow(tmp_path, writer.spool_id, 5)
        writer.prune()
        assert list(read_state(tmp_path).rows) == ([6, 7, 8, 9, 10] if followed else [9, 10])
        follow(tmp_path, writer.spool_id, 10)
        writer.prune()
        assert list(read_state(tmp_path).rows) == [9, 10], "what is not delivered stays, whoever has read it"
    assert unfollowed(tmp_path) == 0


def test_after_three_days_unread_rows_are_pruned_and_counted(tmp_path: Path) -> None:
    clock = Clock()
    with SpoolWriter(tmp_path, STREAM, followed=True, clock=clock) as writer:
        writer.commit(records(10))
        acknowledge(tmp_path, writer.spool_id, 8)
        follow(tmp_path, writer.spool_id, 3)
        clock.now += 73 * HOUR
        writer.prune()
        assert list(read_state(tmp_path).rows) == [9, 10]
    assert unfollowed(tmp_path) == 5


def test_unread_rows_beyond_the_number_are_pruned_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.spool.pruning.KEEP_UNFOLLOWED_ROWS", 4)
    with SpoolWriter(tmp_path, STREAM, followed=True) as writer:
        writer.commit(records(10))
        acknowledge(tmp_path, writer.spool_id, 9)
        writer.prune()
        assert list(read_state(tmp_path).rows) == [6, 7, 8, 9, 10]
    assert unfollowed(tmp_path) == 5


@pytest.mark.parametrize("content", [b"", b"x" * 9000])
def test_a_file_that_is_broken_or_empty_says_nothing_is_read(tmp_path: Path, content: bytes) -> None:
    changes_path(tmp_path).write_bytes(content)
    assert read_followed(tmp_path) == {}
