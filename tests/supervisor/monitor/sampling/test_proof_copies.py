"""The monitor's copy of each proof: a spool and publisher.db that are lost together still give an honest gap."""

import shutil
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from core.spool import Batch, Gap, GapState, Record, SpoolWriter
from core.spool.committed_positions import publisher_path, read_positions
from core.spool.spool_state import SpoolState, monitor_copies_path, remembered_states
from supervisor.monitor.sampling.proof_copies import ProofCopies
from supervisor.monitor.sampling.stream_sample import StreamSample, sample_stream
from tests.core.spool.story import STREAM, acknowledge

NOW = 1_700_000_000.0
LOG = structlog.stdlib.get_logger("test")
NAMES = ("Bitcoin", "ethereum")


def batch(proven: float) -> Batch:
    moments = {"bitcoin": proven, "ethereum": proven}
    cursor = {"proven_at": moments, "proven_until": moments, "begun": NOW - 900.0}
    return Batch(records=[Record(b"t1_1", b"{}", "reddit.comment.v1")], cursor=cursor)


def spool(state_dir: Path) -> SpoolWriter:
    return SpoolWriter(state_dir, STREAM, subreddits=NAMES, clock=lambda: NOW)


def sample(state_dir: Path) -> dict[str, StreamSample]:
    deliveries = {name: (seq, NOW) for name, seq in read_positions(state_dir).items()}
    return {STREAM: sample_stream(state_dir, STREAM, deliveries)}


def commits(state_dir: Path) -> list[int]:
    return [state.commits for state in remembered_states(state_dir, STREAM).values()]


def test_it_holds_what_is_proven_once_the_records_are_delivered(tmp_path: Path) -> None:
    copies = ProofCopies(tmp_path, LOG)
    with spool(tmp_path) as writer:
        writer.commit(batch(NOW - 50.0))
        copies.take(sample(tmp_path), 0.0)
        assert commits(tmp_path) == [], "a record waits: it would be lost with the spool"
        writer.commit(batch(NOW - 40.0))
        acknowledge(tmp_path, writer.spool_id, 1)
        copies.take(sample(tmp_path), 5.0)
        assert commits(tmp_path) == [1], "as of the first look: more came since"
        acknowledge(tmp_path, writer.spool_id, 2)
        copies.take(sample(tmp_path), 10.0)
        assert commits(tmp_path) == [2]


@pytest.mark.parametrize("monitor", ["the same", "another"])
def test_a_spool_and_the_publishers_file_that_are_lost_together(tmp_path: Path, monitor: str) -> None:
    copies = ProofCopies(tmp_path, LOG)
    with spool(tmp_path) as writer:
        former = Gap(STREAM, ("Bitcoin",), 5.0, 6.0, "long ago", 9.0, 1, (), ("Bitcoin",), state=GapState.LOST)
        writer.commit(Batch(gaps=[former]))
        writer.commit(batch(NOW - 50.0))
        acknowledge(tmp_path, writer.spool_id, 1)
        copies.take(sample(tmp_path), 0.0)
        writer.commit(batch(NOW - 10.0))
    for path in [*tmp_path.glob("spool-*"), publisher_path(tmp_path)]:
        path.unlink()
    if monitor == "another":
        copies = ProofCopies(tmp_path, LOG)
    copies.take({STREAM: StreamSample()}, 10.0)
    with spool(tmp_path) as writer:
        gaps = {gap.reason: gap for gap in writer.load_gaps()}
        assert gaps.pop("long ago").state is GapState.LOST, "the former ledger goes on"
        (gap,) = gaps.values()
        assert (gap.start, gap.end, gap.state) == (NOW - 50.0, NOW, GapState.OPEN)
        assert "some captured records were not delivered" in gap.reason
        assert writer.load_cursor()["begun"] == NOW - 900.0


def test_an_older_copy_of_the_spool_does_not_replace_what_is_known(tmp_path: Path) -> None:
    copies = ProofCopies(tmp_path, LOG)
    old, new = SpoolState("id", 5, 0, {}), SpoolState("id", 9, 0, {})
    for at, state in enumerate((new, old, SpoolState("other", 1, 0, {}))):
        copies.take({STREAM: StreamSample(state=state)}, 10.0 * at)
    assert {name: state.commits for name, state in remembered_states(tmp_path, STREAM).items()} == {"id": 9, "other": 1}
    for number in range(9):
        copies.take({STREAM: StreamSample(state=SpoolState(str(number), 1, 0, {}))}, 100.0 + 10.0 * number)
    assert list(remembered_states(tmp_path, STREAM)) == ["5", "6", "7", "8"]


def test_it_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    copies = ProofCopies(tmp_path, LOG)
    for at in range(3):
        copies.take({STREAM: StreamSample(state=SpoolState("id", at + 1, 0, {}))}, float(at))
    assert commits(tmp_path) == [1]
    copies.keep(2.5, at_once=True)
    assert commits(tmp_path) == [3]
    written = monitor_copies_path(tmp_path).stat().st_mtime_ns
    copies.take({STREAM: StreamSample(state=SpoolState("id", 3, 0, {}))}, 60.0)
    assert monitor_copies_path(tmp_path).stat().st_mtime_ns == written, "nothing changed"


def test_a_file_that_is_removed_is_written_again(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    copies = ProofCopies(state_dir, LOG)
    seen = {STREAM: StreamSample(state=SpoolState("id", 1, 0, {}))}
    copies.take(seen, 0.0)
    shutil.rmtree(state_dir)
    with capture_logs() as logs:
        copies.take(seen, 1.0)
        copies.take(seen, 2.0)
    assert [entry["event"] for entry in logs] == ["proof_not_written"], "said once"
    state_dir.mkdir()
    copies.take(seen, 6.0)
    assert commits(state_dir) == [1]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"streams": []}', '{"streams": {"comments": [{"at": 1}]}}']
)
def test_a_file_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    monitor_copies_path(tmp_path).write_text(content)
    with capture_logs() as logs:
        assert remembered_states(tmp_path, STREAM) == {}
    assert [entry["event"] for entry in logs] == ["spool_state_unreadable"]
