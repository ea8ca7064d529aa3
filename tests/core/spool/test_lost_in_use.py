"""A spool file that is deleted, moved or replaced while it is in use. Guards: orphans."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.spool import GapState, SpoolError, SpoolGone, SpoolWriter, spool_path, watched
from core.spool.writer_lock import LockHeld, SpoolLock
from tests.core.spool.kill_points import killed_at
from tests.core.spool.lost_files import NOW, PROVEN, batch, files, keys, make, spool_gaps
from tests.core.spool.story import STREAM
from tests.support.waiting import wait_until


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


@pytest.mark.parametrize("step", range(7))
def test_killed_while_saving_nothing_is_lost_in_silence(
    state_dir: Path, writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whatever rename or deletion was the last one: the next start has the records, or says that they are lost."""
    remove_main(state_dir)
    with killed_at(monkeypatch, step):
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
    with pytest.raises(SpoolGone, match="locked by another process"):
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
