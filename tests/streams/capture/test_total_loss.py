"""A stream whose state was lost altogether: its gap is entered when it is known what the topic holds."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from core.child import ChildContext, Message
from core.spool import Batch, Gap, GapState, Seen, SpoolWriter, spool_path
from core.spool.committed_positions import publisher_path
from core.spool.model import SPOOL_LOST
from core.spool.predecessor import DeliveredSpan, TopicEnds
from core.spool.stream_state import Origin, StateChange
from streams.capture import capture_process
from streams.capture.coverage import LATE_MARGIN, Coverage
from streams.capture.total_loss import TotalLossWatch, lost_gaps
from tests.streams.capture.life import Notes

NOW = 1_700_000_000.0
NAMES = ("Bitcoin", "ethereum")
FOUND = TopicEnds(
    {"bitcoin": DeliveredSpan(NOW - 500.0, NOW - 900.0), "ethereum": DeliveredSpan(NOW - 100.0, NOW - 800.0)}
)


def answer(state_dir: Path, spool_id: str, text: str) -> None:
    """Write what the publisher found."""
    with contextlib.closing(sqlite3.connect(publisher_path(state_dir))) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS topic_ends (spool_id TEXT, ends TEXT)")
        connection.execute("INSERT INTO topic_ends VALUES (?, ?)", (spool_id, text))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    with SpoolWriter(tmp_path, "comments", subreddits=NAMES, clock=lambda: NOW) as writer:
        yield writer


class Life:
    """A coverage over the spool, with its watch."""

    def __init__(self, state_dir: Path, writer: SpoolWriter, start: str = "backlog") -> None:
        self.log = Notes()
        self.now = 0.0
        self.writer = writer
        self.coverage = Coverage(writer, "comments", NAMES, clock=lambda: NOW, offset=lambda: 3.0)
        self.watch = TotalLossWatch(
            self.coverage,
            state_dir,
            writer.spool_id,
            subreddits=NAMES,
            start=start,
            log=cast(Any, self.log),
            clock=lambda: self.now,
        )

    def look(self) -> dict[str, Gap]:
        """Look once more; return the gaps by their subreddits."""
        self.now += 1.0
        self.watch.check()
        return {" ".join(gap.subreddits): gap for gap in self.writer.load_gaps()}


def test_until_the_publisher_knows_nothing_is_entered_and_nothing_claimed(tmp_path: Path, writer: SpoolWriter) -> None:
    life = Life(tmp_path, writer)
    assert life.look() == {}
    assert not life.watch.settled
    answer(tmp_path, "another", FOUND.to_json())
    assert life.look() == {}


def test_each_subreddit_has_a_gap_from_its_newest_delivered_item(tmp_path: Path, writer: SpoolWriter) -> None:
    life = Life(tmp_path, writer)
    life.coverage.store(StateChange(begun=NOW - 60.0))
    answer(tmp_path, writer.spool_id, FOUND.to_json())
    gaps = life.look()
    assert {name: (gap.start, gap.end) for name, gap in gaps.items()} == {
        "Bitcoin": (NOW - 500.0, NOW - 57.0),
        "ethereum": (NOW - 100.0, NOW - 57.0),
    }
    gap = gaps["Bitcoin"]
    assert (gap.state, gap.pending, gap.unproven) == (GapState.OPEN, ("Bitcoin",), ("Bitcoin",))
    assert gap.late_from == NOW - 500.0 - LATE_MARGIN
    assert gap.concerns_spool
    assert gap.after_walk is GapState.LOST, "a listing cannot prove that all came back"
    assert [entry["lost_from"] for entry in life.log.events("spool_lost")] == [NOW - 500.0, NOW - 100.0]
    assert life.watch.settled
    assert len(life.look()) == 2, "entered once"
    assert writer.load_state().origin is Origin.SETTLED
    again = Life(tmp_path, writer)
    assert again.watch.settled
    assert len(again.coverage.pending_gaps()) == 2


def test_what_was_captured_since_does_not_pass_for_proven_before_the_gap(tmp_path: Path, writer: SpoolWriter) -> None:
    """The answer may come hours later: a walk of the repair must not end at an item of the new spool."""
    writer.commit(Batch(seen=[Seen("t1_new", "bitcoin", NOW, 1)], cursor={"epoch": 1}))
    life = Life(tmp_path, writer)
    answer(tmp_path, writer.spool_id, FOUND.to_json())
    gaps = life.look()
    assert life.coverage.names.proven("t1_new")
    assert not any(life.coverage.names.proven_before("t1_new", gap.epoch) for gap in gaps.values())


@pytest.mark.parametrize(
    "found",
    [TopicEnds(), TopicEnds({"cats": DeliveredSpan(NOW - 5.0, NOW - 9.0)}), TopicEnds(unread="may not be read")],
)
def test_a_first_start_has_no_gap(tmp_path: Path, writer: SpoolWriter, found: TopicEnds) -> None:
    life = Life(tmp_path, writer)
    answer(tmp_path, writer.spool_id, found.to_json())
    assert life.look() == {}
    assert life.watch.settled
    assert "recovered" not in writer.load_cursor()


def test_an_answer_that_makes_no_sense_is_none(tmp_path: Path, writer: SpoolWriter) -> None:
    life = Life(tmp_path, writer)
    answer(tmp_path, writer.spool_id, "{]")
    assert life.look() == {}
    assert life.watch.settled


class TestStartNow:
    """With `start = "now"` what the listing held before is remembered and not delivered, unless the state was lost."""

    def test_known_before_the_first_look_the_backlog_is_wanted(self, tmp_path: Path, writer: SpoolWriter) -> None:
        answer(tmp_path, writer.spool_id, FOUND.to_json())
        life = Life(tmp_path, writer, "now")
        assert all(gap.state is GapState.OPEN for gap in life.look().values())
        assert life.coverage.state.recovered is True
        assert writer.load_cursor()["recovered"] is True

    def test_known_later_what_was_skipped_cannot_be_repaired(self, tmp_path: Path, writer: SpoolWriter) -> None:
        life = Life(tmp_path, writer, "now")
        life.coverage.store(StateChange(begun=NOW - 60.0))
        answer(tmp_path, writer.spool_id, FOUND.to_json())
        gaps = life.look().values()
        assert [(gap.state, gap.pending, gap.closed_at) for gap in gaps] == [(GapState.LOST, (), NOW)] * 2

    @pytest.mark.parametrize("known", [True, False])
    def test_it_waits_for_the_answer_but_not_for_long(
        self, tmp_path: Path, writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch, known: bool
    ) -> None:
        monkeypatch.setattr(capture_process, "_ORIGIN_WITHIN_S", 0.1)
        monkeypatch.setattr(capture_process, "_ORIGIN_PAUSE_S", 0.01)
        if known:
            answer(tmp_path, writer.spool_id, FOUND.to_json())
        life = Life(tmp_path, writer, "now")
        sent: list[Message] = []
        began = time.monotonic()
        capture_process._await_origin(ChildContext("comments", cast(Any, life.log), sent.append), life.watch)  # noqa: SLF001
        assert ("ready",) in sent, "whoever waits is no failure"
        assert life.watch.settled is known
        assert time.monotonic() - began < 5.0


def test_a_loss_of_which_only_the_lock_tells_gets_its_start_from_the_topic(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "comments", subreddits=NAMES, clock=lambda: NOW - 200.0) as writer:
        writer.commit(Batch(seen=[Seen("t1_1", "bitcoin", NOW, 1)], cursor={"epoch": 1}))
    spool_path(tmp_path, "comments").unlink()
    with SpoolWriter(tmp_path, "comments", subreddits=NAMES, clock=lambda: NOW) as writer:
        life = Life(tmp_path, writer, "now")
        (unknown,) = life.look().values()
        assert (unknown.start, unknown.state) == (None, GapState.LOST)
        answer(tmp_path, writer.spool_id, FOUND.to_json())
        gaps = life.look()
        assert {name: (gap.start, gap.state) for name, gap in gaps.items()} == {
            "Bitcoin": (NOW - 500.0, GapState.OPEN),
            "ethereum": (NOW - 100.0, GapState.OPEN),
        }
        assert {gap.reason for gap in gaps.values()} == {unknown.reason}
        assert unknown.reason.startswith(SPOOL_LOST)


def test_a_start_that_is_not_known_and_one_after_the_end() -> None:
    gaps = lost_gaps("comments", {"a": None, "b": 70.0}, (), end=50.0, now=60.0, repairable=True)
    assert [(gap.subreddits, gap.start, gap.end, gap.late_from) for gap in gaps] == [
        (("b",), 70.0, 70.0, 70.0 - LATE_MARGIN),
        (("a",), None, 50.0, None),
    ]
