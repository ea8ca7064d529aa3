"""A spool file with foreign content under the same name while it is in use: overwritten, truncated, touched."""

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.spool import GapState, SpoolBroken, SpoolGone, SpoolWriter, spool_path
from tests.core.spool.lost_files import NOW, PROVEN, batch, checkpoint, files, keys, make, record, spool_gaps
from tests.core.spool.story import STREAM, acknowledge


def overwrite(source: Path, target: Path) -> None:
    """As `cp` does it: the same inode, other content. By another process, which does not drop our locks."""
    subprocess.run(["cp", "--", source, target], check=True)


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
