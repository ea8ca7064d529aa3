"""Real processes that are killed while they commit, and those that take over from them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.spool import SpoolError, SpoolReader, SpoolWriter
from tests.core.spool.story import STREAM, make_batch, read_state

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start committers; none of them outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.core.spool.committer", str(tmp_path), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PARENT": str(os.getpid())},
            cwd=Path(__file__).parents[3],
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def heard(child: "subprocess.Popen[str]") -> list[str]:
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, "the committer died"
    return line.split()


def test_what_commit_returned_is_there_after_sigkill_and_whole(tmp_path: Path, start: Start) -> None:
    """Killed at any moment, again and again: nothing that was promised is missing, nothing is there by half."""
    seed = random.randrange(2**32)
    print("seed", seed)  # shown when the test fails
    draw = random.Random(seed)
    spool_ids = set()
    for _ in range(6):
        child = start()
        spool_ids.add(heard(child)[1])
        promised = 0
        for _ in range(draw.randrange(1, 60)):
            promised = int(heard(child)[0])
        time.sleep(draw.uniform(0.0, 0.003))  # somewhere inside a commit, not between two
        child.send_signal(signal.SIGKILL)
        rest = child.communicate(timeout=10)[0].split()
        promised = int(rest[-1]) if rest else promised
        state = read_state(tmp_path)
        assert state.is_one_transaction(), seed
        assert state.number in {promised, promised + 1}, seed
        assert len(state.rows) == sum(len(make_batch(number, []).records) for number in range(1, state.number + 1))
        assert list(state.rows) == list(range(1, len(state.rows) + 1)), "numbers were given twice or lost"
    assert len(spool_ids) == 1, "the file was never given up"


def test_a_second_writer_waits_for_the_first_to_die_and_takes_over(start: Start) -> None:
    first = start()
    heard(first)
    heard(first)
    second = start()
    for _ in range(50):
        promised = int(heard(first)[0])
    assert second.poll() is None
    first.kill()
    assert first.stdout is not None
    rest = first.stdout.read().split()  # not communicate(): that passes over what was read ahead
    promised = int(rest[-1]) if rest else promised
    heard(second)
    assert int(heard(second)[0]) in {promised + 1, promised + 2}


def test_a_writer_that_does_not_die_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.spool.spool_writer._TAKEOVER_TIMEOUT", 0.05)
    with (
        SpoolWriter(tmp_path, STREAM),
        pytest.raises(SpoolError, match=r"spool-comments\.lock is locked .* end that process"),
    ):
        SpoolWriter(tmp_path, STREAM)
    SpoolWriter(tmp_path, STREAM).close()


def test_a_disk_that_fails_ends_the_process_and_the_next_one_reads_what_is_there(tmp_path: Path, start: Start) -> None:
    """Not a full disk but an I/O error: what the disk holds is unknown until the file is opened anew."""
    child = start("120000")
    said = child.communicate(timeout=20)[0].splitlines()
    assert said[-1].startswith("refused SpoolBroken")
    assert f"{tmp_path}/spool-comments.db" in said[-1]
    assert "check it" in said[-1]
    promised = int(said[-2])
    with closing(SpoolWriter(tmp_path, STREAM)) as writer:
        assert writer.load_cursor()["number"] == promised
        writer.commit(make_batch(promised + 1, writer.load_gaps()))
    state = read_state(tmp_path)
    assert state.number == promised + 1
    assert state.is_one_transaction()
    assert not list(tmp_path.glob("*corrupt*")), "the file was sound: it is kept"


def test_a_reader_sees_whole_commits_while_another_process_writes(tmp_path: Path, start: Start) -> None:
    child = start()
    heard(child)
    reader = SpoolReader.open(tmp_path, STREAM)
    assert reader is not None
    seen = 0
    while seen < 100:
        promised = int(heard(child)[0])
        rows = reader.read(seen, 1000)
        assert [row.seq for row in rows] == list(range(seen + 1, seen + 1 + len(rows)))
        seen += len(rows)
        number = reader.cursor()["number"]
        assert isinstance(number, int)
        assert number >= promised
    reader.close()
