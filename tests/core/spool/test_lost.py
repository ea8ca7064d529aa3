"""A spool file that is deleted, moved, replaced or put back from a copy, in use and between runs. Guards: orphans."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.spool import (
    Batch,
    Gap,
    GapState,
    Record,
    Seen,
    SpoolBroken,
    SpoolError,
    SpoolGone,
    SpoolReader,
    SpoolWriter,
    spool_path,
    watched,
)
from core.spool.committed_positions import publisher_path
from core.spool.loss import Found, assess, together
from core.spool.model import RECORDS_LOST, SPOOL_LOST
from core.spool.spool_state import SpoolState
from core.spool.writer_lock import LockHeld, SpoolLock, Witness
from tests.core.spool.story import STREAM, acknowledge
from tests.support.waiting import wait_until

NOW = 1_700_000_000.0
PROVEN = NOW - 30.0


def record(number: int, size: int = 0) -> Record:
    value = json.dumps({"number": number, "text": "x" * size}).encode()
    return Record(f"t1_{number}".encode(), value, "reddit.comment.v1")


def batch(first: int, count: int = 5, proven: float = PROVEN) -> Batch:
    numbers = range(first, first + count)
    return Batch(
        records=[record(number) for number in numbers],
        seen=[Seen(f"t1_{number}", "bitcoin", NOW, 1) for number in numbers],
        cursor={
            "proven_at": {"bitcoin": proven - 5.0, "ethereum": proven - 5.0},
            "proven_until": {"bitcoin": proven, "ethereum": proven},
            "begun": NOW - 900.0,
            "epoch": 3,
        },
        counters={"captured": count},
    )


def make(state_dir: Path) -> SpoolWriter:
    return SpoolWriter(state_dir, STREAM, subreddits=("Bitcoin", "Ethereum"), clock=lambda: NOW)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def writer(state_dir: Path) -> Iterator[SpoolWriter]:
    with make(state_dir) as writer:
        writer.commit(batch(1))
        yield writer


def keys(state_dir: Path) -> list[int]:
    reader = SpoolReader.open(state_dir, STREAM)
    assert reader is not None, "there is a spool"
    with closing(reader):
        return [int(row.key.decode().removeprefix("t1_")) for row in reader.read(0, 1000)]


def spool_gaps(state_dir: Path) -> list[Gap]:
    reader = SpoolReader.open(state_dir, STREAM)
    assert reader is not None
    with closing(reader):
        return [gap for gap in reader.gaps() if gap.concerns_spool]


def files(state_dir: Path) -> dict[str, Path]:
    path = spool_path(state_dir, STREAM)
    return {name: path.with_name(path.name + name) for name in ("", "-wal", "-shm")}


# -- while it is in use: one function for each member of the family


def remove_all(state_dir: Path) -> None:
    for path in files(state_dir).values():
        path.unlink()


def remove_main(state_dir: Path) -> None:
    files(state_dir)[""].unlink()


def remove_wal(state_dir: Path) -> None:
    files(state_dir)["-wal"].unlink()


def remove_shm(state_dir: Path) -> None:
    files(state_dir)["-shm"].unlink()


def move_away(state_dir: Path) -> None:
    files(state_dir)[""].rename(state_dir / "elsewhere.db")


def move_and_put_another(state_dir: Path) -> None:
    move_away(state_dir)
    SpoolWriter(state_dir.parent / "other", STREAM).close()
    shutil.copy(spool_path(state_dir.parent / "other", STREAM), spool_path(state_dir, STREAM))


def restore_by_rename(state_dir: Path) -> None:
    """As rsync puts a file back: written beside it, then renamed."""
    copy = state_dir / "copy"
    subprocess.run(["cp", files(state_dir)[""], copy], check=True)
    copy.rename(files(state_dir)[""])


def put_a_directory(state_dir: Path) -> None:
    move_away(state_dir)
    files(state_dir)[""].mkdir()


def put_a_dangling_link(state_dir: Path) -> None:
    move_away(state_dir)
    files(state_dir)[""].symlink_to(state_dir / "nowhere")


def remove_directory(state_dir: Path) -> None:
    shutil.rmtree(state_dir)


def rename_directory(state_dir: Path) -> None:
    state_dir.rename(state_dir.with_name("renamed"))


def rename_and_recreate_directory(state_dir: Path) -> None:
    rename_directory(state_dir)
    state_dir.mkdir()


def copy_and_recreate_directory(state_dir: Path) -> None:
    """As a volume that is restored: the same names, other files."""
    rename_directory(state_dir)
    subprocess.run(["cp", "-a", state_dir.with_name("renamed"), state_dir], check=True)


WHOLE = [
    remove_all,
    remove_main,
    remove_wal,
    remove_shm,
    move_away,
    move_and_put_another,
    restore_by_rename,
    put_a_directory,
    put_a_dangling_link,
    remove_directory,
    rename_directory,
    rename_and_recreate_directory,
    copy_and_recreate_directory,
]


@pytest.mark.parametrize("harm", WHOLE)
def test_the_whole_content_goes_on_in_a_new_file(
    state_dir: Path, writer: SpoolWriter, harm: Callable[[Path], None]
) -> None:
    spool_id, seen = writer.spool_id, writer.load_seen()
    harm(state_dir)
    writer.check()
    assert keys(state_dir) == [1, 2, 3, 4, 5], "what was captured is at its path again"
    writer.commit(batch(6))
    assert keys(state_dir) == list(range(1, 11))
    assert writer.spool_id == spool_id, "the publisher goes on where it was"
    assert writer.load_seen().keys() >= seen.keys()
    (gap,) = spool_gaps(state_dir)
    assert (gap.state, gap.start, gap.end, gap.unproven) == (GapState.REPAIRED, PROVEN, NOW, ())
    assert "while it was in use" in gap.reason


@pytest.mark.parametrize("harm", WHOLE)
def test_the_orphan_is_never_written_to(state_dir: Path, writer: SpoolWriter, harm: Callable[[Path], None]) -> None:
    """Neither by a commit, which looks first, nor by the checkpoint of closing."""
    orphans = {name: os.open(path, os.O_RDONLY) for name, path in files(state_dir).items() if name != "-shm"}
    try:
        before = {name: (os.fstat(file).st_size, os.fstat(file).st_mtime_ns) for name, file in orphans.items()}
        harm(state_dir)
        writer.commit(batch(6))
        writer.close()
        after = {name: (os.fstat(file).st_size, os.fstat(file).st_mtime_ns) for name, file in orphans.items()}
    finally:
        for file in orphans.values():
            os.close(file)
    assert after == before
    assert keys(state_dir) == list(range(1, 11))


@pytest.mark.parametrize("harm", WHOLE)
def test_after_a_restart_everything_is_there(
    state_dir: Path, writer: SpoolWriter, harm: Callable[[Path], None]
) -> None:
    """Also where nobody looked before the process closed the file."""
    harm(state_dir)
    writer.close()
    with make(state_dir) as successor:
        assert keys(state_dir) == [1, 2, 3, 4, 5]
        assert successor.commit(batch(6)) == 10
        assert len(spool_gaps(state_dir)) == 1


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", range(7))
def test_killed_while_saving_nothing_is_lost_in_silence(
    state_dir: Path, writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whatever rename or deletion was the last one: the next start has the records, or says that they are lost."""
    remove_main(state_dir)
    steps = 0

    def fragile(action: Callable[..., object]) -> Callable[..., object]:
        def act(*arguments: object, **options: object) -> object:
            nonlocal steps
            if steps == step:
                raise Killed
            steps += 1
            return action(*arguments, **options)

        return act

    with monkeypatch.context() as patched:
        for name in ("rename", "unlink"):
            patched.setattr(Path, name, fragile(getattr(Path, name)))
        with contextlib.suppress(Killed):
            writer.check()
    for release in ("_connection", "_lock"):
        getattr(writer, release).close()
    with make(state_dir):
        (gap,) = spool_gaps(state_dir)
        if keys(state_dir) == [1, 2, 3, 4, 5]:
            assert gap.state is GapState.REPAIRED
        else:
            assert keys(state_dir) == []
            assert gap.state is not GapState.REPAIRED
            assert "captured records were not delivered" in gap.reason


def test_it_happens_again_and_again(state_dir: Path, writer: SpoolWriter) -> None:
    for round_number in range(1, 6):
        remove_all(state_dir)
        writer.commit(batch(5 * round_number + 1))
    assert keys(state_dir) == list(range(1, 31))
    assert len(spool_gaps(state_dir)) == 5


def test_a_waiting_writer_notices_within_a_second(state_dir: Path, writer: SpoolWriter) -> None:
    with watched(writer):
        remove_all(state_dir)
        wait_until(lambda: spool_path(state_dir, STREAM).exists(), what="the file to be back")
    assert keys(state_dir) == [1, 2, 3, 4, 5]


def overwrite(source: Path, target: Path) -> None:
    """As `cp` does it: the same inode, other content. By another process, which does not drop our locks."""
    subprocess.run(["cp", "--", source, target], check=True)


def checkpoint(writer: SpoolWriter) -> None:
    """Let the writer do what it does itself after some thousand pages."""
    connection = getattr(writer, "_connection")  # noqa: B009
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    getattr(writer, "_guard").wrote()  # noqa: B009


def test_an_older_copy_written_over_the_file(state_dir: Path, writer: SpoolWriter, tmp_path: Path) -> None:
    """The same inode: nothing but its content tells. What can be read goes on, the rest is a gap that is walked."""
    checkpoint(writer)
    subprocess.run(["cp", files(state_dir)[""], tmp_path / "old.db"], check=True)
    large = batch(6, proven=PROVEN + 10.0)
    large.records = [record(number, 3000) for number in range(6, 11)]  # on pages that no later change touches
    writer.commit(large)
    checkpoint(writer)
    writer.commit(batch(11, 1, proven=PROVEN + 11.0))
    acknowledge(state_dir, writer.spool_id, 3)
    overwrite(tmp_path / "old.db", files(state_dir)[""])
    with pytest.raises(SpoolGone):
        writer.commit(batch(20))
    with pytest.raises(SpoolGone):
        writer.check()
    writer.close()
    with make(state_dir) as successor:
        assert {4, 5} <= set(keys(state_dir)) <= {4, 5, 11}
        (gap,) = spool_gaps(state_dir)
        assert "captured records could not be read back" in gap.reason
        assert gap.after_walk is GapState.LOST
        assert gap.end == NOW
        assert successor.commit(batch(30, 1)) > 11, "no number is given again"


def truncate(state_dir: Path) -> None:
    subprocess.run(["truncate", "-s", "0", files(state_dir)[""]], check=True)


def scribble(state_dir: Path) -> None:
    subprocess.run(
        ["dd", "if=/dev/urandom", f"of={files(state_dir)['']}", "bs=4096", "count=3", "conv=notrunc", "status=none"],
        check=True,
    )


def truncate_wal(state_dir: Path) -> None:
    subprocess.run(["truncate", "-s", "0", files(state_dir)["-wal"]], check=True)


@pytest.mark.parametrize("harm", [truncate, scribble, truncate_wal])
def test_content_that_is_overwritten_is_noticed_and_said(
    state_dir: Path, writer: SpoolWriter, harm: Callable[[Path], None]
) -> None:
    harm(state_dir)
    with pytest.raises(SpoolBroken):
        writer.check()
    writer.close()
    with make(state_dir):
        found = set(keys(state_dir))
        assert found <= {1, 2, 3, 4, 5}
        gaps = spool_gaps(state_dir)
        assert gaps
        assert all(gap.end == NOW for gap in gaps)


def test_a_file_that_is_only_touched_goes_on(state_dir: Path, writer: SpoolWriter) -> None:
    for path in files(state_dir).values():
        subprocess.run(["touch", path], check=True)
    writer.check()
    writer.commit(batch(6))
    assert not spool_gaps(state_dir)
    assert not list(state_dir.glob("*corrupt*"))


def test_another_program_that_reads_or_changes_it_by_sqlite_is_no_loss(state_dir: Path, writer: SpoolWriter) -> None:
    with closing(sqlite3.connect(spool_path(state_dir, STREAM))) as other:
        other.execute("UPDATE counters SET value = value + 1")
        other.commit()
        other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    writer.check()
    writer.commit(batch(6))
    assert not spool_gaps(state_dir)
    assert writer.counters() == {"captured": 11}


def test_a_lock_file_that_is_gone_is_taken_again(state_dir: Path, writer: SpoolWriter) -> None:
    lock = spool_path(state_dir, STREAM).with_suffix(".lock")
    lock.unlink()
    writer.check()
    with pytest.raises(LockHeld):
        SpoolLock(lock, timeout=0.0)
    assert not spool_gaps(state_dir)


def test_where_another_process_took_over_nothing_more_is_written(state_dir: Path, writer: SpoolWriter) -> None:
    lock = spool_path(state_dir, STREAM).with_suffix(".lock")
    lock.unlink()
    stranger = SpoolLock(lock, timeout=0.0)
    with pytest.raises(SpoolGone, match="held by another process"):
        writer.commit(batch(6))
    with pytest.raises(SpoolGone):
        writer.commit(batch(6))
    stranger.close()


def test_while_no_directory_can_be_made_capture_waits_and_nothing_is_lost(state_dir: Path, writer: SpoolWriter) -> None:
    rename_directory(state_dir)
    state_dir.write_text("a file in its place")
    for _ in range(2):
        with pytest.raises(SpoolError, match="capture waits"):
            writer.commit(batch(6))
    state_dir.unlink()
    writer.commit(batch(6))
    assert keys(state_dir) == list(range(1, 11))


def test_a_link_that_points_to_another_directory_now(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "state"
    link.symlink_to(tmp_path / "one")
    with make(link) as writer:
        writer.commit(batch(1))
        link.unlink()
        link.symlink_to(tmp_path / "two")
        writer.commit(batch(6))
        assert keys(tmp_path / "two") == list(range(1, 11))


# -- between two runs


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
    found = Found("new", 1, 20, predecessor="old")
    assert assess(found, Witness("old", 900, 20), {"old": SpoolState("old", 880, 20, {})}, {"old": 20}) is None


def test_a_walk_does_not_prove_that_lost_records_came_back() -> None:
    known = {"subreddits": ("a", "b"), "start": 1.0, "end": 2.0, "recorded_at": 3.0, "epoch": 1}
    lost = Gap(STREAM, reason=f"{SPOOL_LOST}: it was deleted; 5 {RECORDS_LOST} were not delivered", **known).walked(9.0)  # type: ignore[arg-type]
    assert (lost.state, lost.unproven, lost.closed_at) == (GapState.LOST, ("a", "b"), 9.0)
    whole = Gap(STREAM, reason=f"{SPOOL_LOST}: it was deleted", **known).walked(9.0)  # type: ignore[arg-type]
    assert (whole.state, whole.unproven, whole.closed_at) == (GapState.REPAIRED, (), 9.0)


def test_subreddits_proven_at_about_the_same_moment_share_a_gap() -> None:
    proven = {"a": 1000.0, "b": 1010.0, "c": 100.0, "d": 1059.0, "e": 1061.0}
    assert together(proven) == [(["c"], 100.0), (["a", "b", "d"], 1000.0), (["e"], 1061.0)]
