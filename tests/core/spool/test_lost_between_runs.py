"""A spool file that is deleted, moved or replaced between two runs, and the decision what is lost."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from core.spool import Batch, Gap, GapState, SpoolReader, spool_path
from core.spool.committed_positions import publisher_path
from core.spool.loss import FoundSpool, assess, group_by_moment
from core.spool.model import RECORDS_LOST, SPOOL_LOST
from core.spool.spool_state import SpoolState
from core.spool.writer_lock import SpoolNote
from tests.core.spool.lost_files import NOW, PROVEN, batch, checkpoint, files, keys, make, record, spool_gaps
from tests.core.spool.story import STREAM, acknowledge


def remember(state_dir: Path, position: int | None = None) -> None:
    """Do what the publisher does when everything up to `position` is delivered."""
    reader = SpoolReader.open(state_dir, STREAM)
    assert reader is not None
    with closing(reader):
        state = reader.state()
    acknowledge(state_dir, state.spool_id, state.last_seq if position is None else position)
    with closing(sqlite3.connect(publisher_path(state_dir))) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS spool_states (stream TEXT, state TEXT, at REAL)")
        connection.execute("INSERT INTO spool_states VALUES (?, ?, ?)", (STREAM, state.to_json(), NOW + state.commits))


@pytest.fixture
def stopped(state_dir: Path) -> Path:
    """A spool that is delivered up to record 5, then has taken 5 more, and is closed."""
    with make(state_dir) as writer:
        writer.commit(batch(1))
        remember(state_dir)
        writer.commit(batch(6, proven=PROVEN + 20.0))
    return state_dir


def test_a_spool_deleted_between_two_runs_is_a_gap_and_no_first_start(stopped: Path) -> None:
    spool_path(stopped, STREAM).unlink()
    with make(stopped) as writer:
        (gap,) = spool_gaps(stopped)
        assert (gap.start, gap.end, gap.state) == (PROVEN, NOW, GapState.OPEN)
        assert set(gap.pending) == set(gap.unproven) == {"Bitcoin", "Ethereum"}
        assert "5 captured records were not delivered" in gap.reason
        assert gap.after_walk is GapState.LOST, "a listing cannot prove that they all came back"
        cursor = writer.load_cursor()
        assert cursor["proven_until"] == {"bitcoin": PROVEN, "ethereum": PROVEN}
        assert cursor["begun"] == NOW - 900.0
        assert gap.late_from is not None
        assert gap.late_from < PROVEN
    with make(stopped):
        assert len(spool_gaps(stopped)) == 1, "said once"


def test_a_spool_of_which_everything_was_delivered_can_be_proven_again(state_dir: Path) -> None:
    with make(state_dir) as writer:
        writer.commit(batch(1))
        remember(state_dir)
    spool_path(state_dir, STREAM).unlink()
    with make(state_dir):
        (gap,) = spool_gaps(state_dir)
        assert (gap.start, gap.state, gap.after_walk) == (PROVEN, GapState.OPEN, GapState.REPAIRED)


def test_without_the_publishers_file_the_note_of_the_lock_tells(stopped: Path) -> None:
    spool_path(stopped, STREAM).unlink()
    publisher_path(stopped).unlink()
    with make(stopped) as writer:
        (gap,) = spool_gaps(stopped)
        assert (gap.start, gap.end, gap.state) == (None, NOW, GapState.LOST)
        assert gap.subreddits == ("Bitcoin", "Ethereum")
        cursor = writer.load_cursor()
        assert cursor == {"recovered": True, "origin": "lost"}, "start = 'now' must not skip what stands in the listing"


def test_without_the_lock_the_publishers_file_tells(stopped: Path) -> None:
    for path in stopped.glob("spool-*"):
        path.unlink()
    with make(stopped):
        (gap,) = spool_gaps(stopped)
        assert (gap.start, gap.state) == (PROVEN, GapState.OPEN)
        assert "some captured records" in gap.reason


def test_where_nothing_was_before_there_is_no_gap(state_dir: Path) -> None:
    with make(state_dir) as writer:
        assert not spool_gaps(state_dir)
        assert writer.load_cursor() == {"origin": "unknown"}, "the topic may still tell"


def test_the_former_ledger_goes_on(state_dir: Path) -> None:
    with make(state_dir) as writer:
        former = Gap(STREAM, ("Bitcoin",), 5.0, None, "private", 9.0, 2, (), ("Bitcoin",))
        writer.commit(Batch(gaps=[former]))
        writer.commit(batch(1))
        remember(state_dir)
    spool_path(state_dir, STREAM).unlink()
    with make(state_dir) as writer:
        reasons = {gap.reason: (gap.start, gap.end, gap.state) for gap in writer.load_gaps()}
        assert reasons["private"] == (5.0, None, GapState.OPEN)
        assert len(reasons) == 2


def test_an_older_copy_put_back_between_two_runs(state_dir: Path, tmp_path: Path) -> None:
    with make(state_dir) as writer:
        writer.commit(batch(1, proven=PROVEN - 60.0))
    shutil.copy(spool_path(state_dir, STREAM), tmp_path / "old.db")
    with make(state_dir) as writer:
        writer.commit(batch(6))
        remember(state_dir)
        writer.commit(batch(11, proven=PROVEN + 5.0))
    shutil.copy(tmp_path / "old.db", spool_path(state_dir, STREAM))
    with make(state_dir) as writer:
        (gap,) = spool_gaps(state_dir)
        assert (gap.start, gap.end, gap.state) == (PROVEN, NOW, GapState.OPEN), "not from the copy's own moment"
        assert "an older copy" in gap.reason
        assert "5 captured records were not delivered" in gap.reason
        assert writer.commit(batch(20, 1)) == 16, "no number is given again, delivered or not"


def test_an_older_copy_that_the_publisher_knows_nothing_of(state_dir: Path, tmp_path: Path) -> None:
    """Kafka was away: the position says nothing, the note of the last writer does."""
    with make(state_dir) as writer:
        writer.commit(batch(1))
    shutil.copy(spool_path(state_dir, STREAM), tmp_path / "old.db")
    with make(state_dir) as writer:
        writer.commit(batch(6, proven=PROVEN + 5.0))
    shutil.copy(tmp_path / "old.db", spool_path(state_dir, STREAM))
    with make(state_dir):
        (gap,) = spool_gaps(state_dir)
        assert gap.start == PROVEN
        assert "5 captured records" in gap.reason


def test_after_an_older_copy_the_count_goes_on_above_all_that_is_known(stopped: Path, tmp_path: Path) -> None:
    """Else the next start would take the spool for an older copy again, and the next copy for a newer one."""
    shutil.copy(spool_path(stopped, STREAM), tmp_path / "old.db")
    with make(stopped) as writer:
        for first in range(11, 41, 5):
            writer.commit(batch(first))
        remember(stopped)
    shutil.copy(tmp_path / "old.db", spool_path(stopped, STREAM))
    with make(stopped) as writer:
        writer.commit(batch(50))
    for _ in range(2):
        with make(stopped) as writer:
            assert len(spool_gaps(stopped)) == 1
    shutil.copy(tmp_path / "old.db", spool_path(stopped, STREAM))
    with make(stopped):
        assert len(spool_gaps(stopped)) == 1, "the one of this loss; what it knew of the first one went with the file"
        assert "5 captured records" in spool_gaps(stopped)[0].reason


def test_a_wal_deleted_after_a_kill(state_dir: Path, tmp_path: Path) -> None:
    """The file without its WAL is an older copy."""
    with make(state_dir) as writer:
        writer.commit(batch(1))
        checkpoint(writer)
        writer.commit(batch(6))
        left = tmp_path / "left"
        left.mkdir()
        subprocess.run(
            ["cp", files(state_dir)[""], spool_path(state_dir, STREAM).with_suffix(".lock"), left], check=True
        )
    with make(left):
        assert keys(left) == [1, 2, 3, 4, 5]
        (gap,) = spool_gaps(left)
        assert "an older copy" in gap.reason


def test_an_older_file_beside_the_newer_wal(state_dir: Path, tmp_path: Path) -> None:
    """After a kill: the newest pages are right, older ones are missing, and SQLite finds nothing wrong with that."""
    left = tmp_path / "left"
    left.mkdir()
    with make(state_dir) as writer:
        writer.commit(batch(1))
        checkpoint(writer)
        subprocess.run(["cp", files(state_dir)[""], tmp_path / "old.db"], check=True)
        large = batch(6)
        large.records = [record(number, 3000) for number in range(6, 11)]
        writer.commit(large)
        checkpoint(writer)
        writer.commit(batch(11, 1))
        lock = spool_path(state_dir, STREAM).with_suffix(".lock")
        subprocess.run(["cp", files(state_dir)["-wal"], lock, left], check=True)
    shutil.copy(tmp_path / "old.db", spool_path(left, STREAM))
    with make(left) as writer:
        (gap,) = spool_gaps(left)
        assert "some captured records were not delivered" in gap.reason
        assert writer.commit(batch(20, 1)) == 12


def test_another_spool_in_its_place(stopped: Path, tmp_path: Path) -> None:
    with make(tmp_path / "other") as other:
        other.commit(batch(50, 2, proven=5.0))
    shutil.copy(spool_path(tmp_path / "other", STREAM), spool_path(stopped, STREAM))
    with make(stopped) as writer:
        assert keys(stopped) == [50, 51]
        (gap,) = spool_gaps(stopped)
        assert "another file" in gap.reason
        assert gap.start == PROVEN
        assert writer.load_cursor()["proven_until"] == {"bitcoin": PROVEN, "ethereum": PROVEN}


def test_a_directory_in_its_place(stopped: Path) -> None:
    spool_path(stopped, STREAM).unlink()
    spool_path(stopped, STREAM).mkdir()
    with make(stopped):
        (gap,) = spool_gaps(stopped)
        assert gap.start == PROVEN
    assert [path.is_dir() for path in stopped.glob("spool-comments.db.corrupt-*")] == [True]


def test_a_spool_that_starts_and_stops_is_not_lost(state_dir: Path) -> None:
    for number in range(3):
        with make(state_dir) as writer:
            writer.commit(batch(5 * number + 1))
            remember(state_dir, position=number)
    with make(state_dir):
        assert not spool_gaps(state_dir)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spool_id": 1}', "null"])
def test_a_note_or_copy_that_makes_no_sense_is_none(stopped: Path, text: str) -> None:
    spool_path(stopped, STREAM).with_suffix(".lock").write_text(text)
    with closing(sqlite3.connect(publisher_path(stopped))) as connection, connection:
        connection.execute("UPDATE spool_states SET state = ?", (text,))
    with make(stopped):
        assert not spool_gaps(stopped)


# -- the decision alone


def test_a_rebuilt_spool_is_the_heir_of_its_predecessor() -> None:
    found = FoundSpool("new", 1, 20, predecessor="old")
    assert assess(found, SpoolNote("old", 900, 20), {"old": SpoolState("old", 880, 20, {})}, {"old": 20}) is None


def test_a_walk_does_not_prove_that_lost_records_came_back() -> None:
    known = {"subreddits": ("a", "b"), "start": 1.0, "end": 2.0, "recorded_at": 3.0, "epoch": 1}
    lost = Gap(STREAM, reason=f"{SPOOL_LOST}: it was deleted; 5 {RECORDS_LOST} were not delivered", **known).walked(9.0)  # type: ignore[arg-type]
    assert (lost.state, lost.unproven, lost.closed_at) == (GapState.LOST, ("a", "b"), 9.0)
    whole = Gap(STREAM, reason=f"{SPOOL_LOST}: it was deleted", **known).walked(9.0)  # type: ignore[arg-type]
    assert (whole.state, whole.unproven, whole.closed_at) == (GapState.REPAIRED, (), 9.0)


def test_subreddits_proven_at_about_the_same_moment_share_a_gap() -> None:
    proven = {"a": 1000.0, "b": 1010.0, "c": 100.0, "d": 1059.0, "e": 1061.0}
    assert group_by_moment(proven) == [(["c"], 100.0), (["a", "b", "d"], 1000.0), (["e"], 1061.0)]
