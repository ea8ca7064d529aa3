"""Spool files as released versions have written them: every record, name, gap and moment is still there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import PermanentError
from core.spool import GapState, SpoolReader, SpoolWriter, spool_path
from core.spool.schema import VERSION
from core.spool.spool_state import SpoolState
from core.spool.stream_state import AbsenceNote, Origin, StreamState
from streams.capture.coverage import Coverage

SAMPLES = Path(__file__).parent / "samples"
NOW = 1_700_000_000.0
ALL = [1, 2, 3]


@pytest.fixture(params=ALL)
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def state_dir(tmp_path: Path, version: int) -> Path:
    with closing(sqlite3.connect(spool_path(tmp_path, "comments"))) as connection:
        connection.executescript((SAMPLES / f"spool-{version}.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return tmp_path


@pytest.fixture
def writer(state_dir: Path) -> Iterator[SpoolWriter]:
    with SpoolWriter(state_dir, "comments", clock=lambda: NOW) as opened:
        yield opened


def expected(version: int) -> StreamState:
    """Return what the writer of the sample knew."""
    proven_at = {"bitcoin": NOW - 597.0, "ethereum": NOW - 597.0}
    state = StreamState(begun=NOW - 900.0, baseline=NOW - 1000.0, polled_at=NOW, proven_at=proven_at)
    state.joining = {"newcomer": NOW - 5.0}
    if version == 1:  # only the newest proven items, which are never too late
        state.epoch, state.clock_offset, state.proven_until, state.held_nothing = 3, 0.0, dict(proven_at), {"*"}
        return state
    state.epoch, state.clock_offset, state.held_nothing = 4, 1.5, {"ethereum"}
    state.proven_until = {"bitcoin": NOW - 60.0, "ethereum": NOW - 60.0}
    state.absent = {"ethereum": AbsenceNote("private", NOW - 100.0, 3, NOW + 60.0)}
    state.origin = Origin.UNKNOWN if version == 3 else Origin.SETTLED
    return state


def test_what_the_stream_remembers_is_taken_over(writer: SpoolWriter, version: int) -> None:
    assert writer.load_state() == expected(version)
    with closing(sqlite3.connect(spool_path(writer._state_dir, "comments"))) as connection:  # noqa: SLF001
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_reader_needs_no_writer_before_it(state_dir: Path, version: int) -> None:
    reader = SpoolReader.open(state_dir, "comments")
    assert reader is not None
    with closing(reader):
        assert reader.stream_state() == expected(version)
        assert StreamState.read({}) == StreamState()
        copy = SpoolState.from_json(reader.state().to_json())
        assert copy == reader.state()
        assert [row.key for row in reader.read(0, 10)] == [b"t1_1", b"t1_2", b"t1_3", b"t1_7"]


def test_records_names_and_gaps_are_taken_over(writer: SpoolWriter, state_dir: Path, version: int) -> None:
    assert writer.last_seq() == 4
    assert writer.counters() == {"captured": 4, "rejected": 1}
    proven, met = (1, "bitcoin"), (0, "bitcoin")
    assert writer.load_seen() == {"t1_1": proven, "t1_2": (1, "ethereum"), "t1_3": proven, "t1_7": met}
    gaps = writer.load_gaps()
    assert [gap.state for gap in gaps[:3]] == [GapState.OPEN, GapState.REPAIRED, GapState.LOST]
    assert (gaps[0].pending, gaps[1].closed_at, gaps[1].found) == (("Bitcoin",), NOW - 100.0, 2)
    if version > 1:
        assert (gaps[3].end, gaps[3].reason) == (None, "private")
    reader = SpoolReader.open(state_dir, "comments")
    assert reader is not None
    with closing(reader):
        assert [row.seq for row in reader.read(0, 10)] == [1, 2, 3, 4]


def test_the_stream_goes_on_where_it_was(writer: SpoolWriter, version: int) -> None:
    coverage = Coverage(writer, "comments", ["Bitcoin", "Litecoin"], clock=lambda: NOW)
    assert coverage.proven_at == {"bitcoin": NOW - 597.0}
    assert coverage.names.known("t1_7")
    assert coverage.held_nothing == ({"bitcoin", "litecoin"} if version == 1 else {"ethereum"})
    coverage.apply(coverage.proof(["Bitcoin"], NOW - 1.0, NOW))
    state = writer.load_state()
    assert state.proven_until == {"bitcoin": NOW - 2.0}, "ethereum is configured no more"
    assert state.held_nothing == ({"litecoin"} if version == 1 else set())


def test_a_copy_of_a_newer_version_is_refused() -> None:
    state = SpoolState("a", 1, 1, {"epoch": "1"})
    newer = state.fields() | {"version": 3}
    with pytest.raises(ValueError, match="it has version 3, this program knows 2"):
        SpoolState.from_fields(newer)
    older = {**state.fields(), "cursor": {"proven_until": '{"bitcoin": 5.0}'}}
    del older["version"]
    assert SpoolState.from_fields(older).cursor == {"proven_until/bitcoin": "5.0"}


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    SpoolWriter(tmp_path, "comments").close()
    with closing(sqlite3.connect(spool_path(tmp_path, "comments"))) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(PermanentError, match=f"has version {VERSION + 1}, this program knows {VERSION}"):
        SpoolWriter(tmp_path, "comments")
