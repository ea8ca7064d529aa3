"""The loss ledger on the command line: for people and for programs, while a stream writes and after it has ended."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ExitCode
from core.spool import Batch, Gap, GapState, SpoolWriter
from supervisor.gaps import show_gaps

NINE = 1_700_000_000.0


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter(tmp_path, "comments")
    yield writer
    writer.close()


def ask(state_dir: Path, *, as_json: bool = False) -> tuple[ExitCode, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = show_gaps(state_dir, as_json=as_json, out=out, err=err)
    return code, out.getvalue(), err.getvalue()


def record(writer: SpoolWriter, **more: object) -> None:
    gap = Gap("comments", ("Bitcoin", "ethereum"), NINE, NINE + 90, "the listing ended", NINE + 95, 2, found=7)
    for name, value in more.items():
        setattr(gap, name, value)
    writer.commit(Batch(gaps=[gap]))


def test_where_nothing_was_captured_it_says_so(tmp_path: Path) -> None:
    assert ask(tmp_path) == (ExitCode.OK, f"Nothing was captured into {tmp_path} yet.\n", "")
    assert json.loads(ask(tmp_path, as_json=True)[1]) == []
    assert list(tmp_path.iterdir()) == []


def test_without_gaps_the_streams_are_proven(writer: SpoolWriter, tmp_path: Path) -> None:
    assert writer.stream == "comments"
    assert ask(tmp_path)[1] == "No gaps: comments are proven contiguous.\n"


@pytest.mark.parametrize("running", [True, False])
def test_a_gap_is_a_line_of_a_table(writer: SpoolWriter, tmp_path: Path, running: bool) -> None:
    record(writer)
    record(writer, start=None, state=GapState.REPAIRED, closed_at=NINE + 200)
    if not running:
        writer.close()
    code, text, _ = ask(tmp_path)
    heading, first, second = text.splitlines()
    assert code is ExitCode.OK
    assert heading.split() == ["STREAM", "FROM", "TO", "REASON", "FOUND", "REPAIRED", "SUBREDDITS"]
    assert "2023-11-14T22:13:20Z  2023-11-14T22:14:50Z  the listing ended  7" in first
    assert first.endswith("Bitcoin ethereum")
    assert " the beginning " in second
    assert " yes " in second


def test_for_programs_it_is_a_list_of_objects(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer)
    (gap,) = json.loads(ask(tmp_path, as_json=True)[1])
    assert gap["stream"] == "comments"
    assert gap["subreddits"] == ["Bitcoin", "ethereum"]
    assert (gap["from"], gap["to"]) == (NINE, NINE + 90)
    assert (gap["reason"], gap["found"], gap["state"]) == ("the listing ended", 7, "open")


def test_a_broken_file_is_named_and_the_other_stream_is_still_shown(writer: SpoolWriter, tmp_path: Path) -> None:
    record(writer)
    (tmp_path / "spool-submissions.db").write_bytes(b"no database " * 1000)
    code, text, complaint = ask(tmp_path)
    assert code is ExitCode.GAVE_UP
    assert "the listing ended" in text
    assert "submissions" in complaint
