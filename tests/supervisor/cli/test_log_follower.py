"""One log over all its files: read backwards, and followed over rotation and deletion."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.logging.rotating_file import FailureCount, RotatingLogFile
from supervisor.cli.log_follower import LogFollower
from tests.support.system import ROOT

MANY = 50  # backups, so that what rotates away unread is still there


class Author:
    """A process that logs through the real handler; its lines are numbered."""

    def __init__(self, path: Path, max_bytes: int = 100) -> None:
        self.path = path
        self.written = 0
        self._max_bytes = max_bytes
        self.begin()

    def begin(self) -> None:
        """Open the file as a new incarnation does."""
        failures = FailureCount("test")
        self._handler = RotatingLogFile(self.path, max_bytes=self._max_bytes, backups=MANY, failures=failures)

    def write(self, lines: int = 1) -> None:
        for _ in range(lines):
            record = logging.LogRecord("test", logging.INFO, "", 0, f"line {self.written}", None, None)
            self._handler.emit(record)
            self.written += 1

    def end(self) -> None:
        self._handler.close()

    def all(self) -> list[bytes]:
        return [f"line {number}".encode() for number in range(self.written)]


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    author = Author(tmp_path / "comments.log")
    yield author
    author.end()


def anything(_raw: bytes) -> bool:
    return True


def test_the_last_lines_reach_back_into_files_that_were_rotated_away(author: Author) -> None:
    author.write(57)
    trail = LogFollower(author.path)
    assert trail.last(40, anything) == author.all()[-40:]
    assert trail.last(1000, anything) == author.all()
    assert trail.last(0, anything) == []
    trail.close()


def test_only_acceptable_lines_count(author: Author) -> None:
    author.write(57)
    trail = LogFollower(author.path)
    assert trail.last(3, lambda raw: raw.endswith(b"7")) == [b"line 27", b"line 37", b"line 47"]
    trail.close()


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 60)),
        st.tuples(st.sampled_from(["look", "delete", "delete all", "restart", "empty"]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(st.integers(0, 40), st.booleans(), ACTS)
def test_whatever_happens_to_the_files_each_line_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, before: int, appears_later: bool, acts: list[tuple[str, int]]
) -> None:
    """The follower reads before each deletion: unread lines of a deleted file are lost. The same for emptied files."""
    author = Author(tmp_path_factory.mktemp("logs") / "comments.log")
    author.write(before)
    trail = LogFollower(author.path, from_beginning=appears_later)
    read = [] if appears_later else trail.last(1000, anything)
    for act, lines in acts:
        match act:
            case "write":
                author.write(lines)
            case "restart":
                author.end()
                author.begin()
            case "look":
                read += trail.fresh()
            case "delete" | "delete all" | "empty":
                read += trail.fresh()
                spoil(author.path, act)
                read += trail.fresh()
    read += trail.fresh()
    trail.close()
    author.end()
    assert read == author.all()


def spoil(path: Path, how: str) -> None:
    if how == "empty":
        if path.exists():
            os.truncate(path, 0)
        return
    victims = path.parent.glob("*") if how == "delete all" else [path]
    for victim in victims:
        victim.unlink(missing_ok=True)


def test_while_it_is_written_and_rotated_at_full_speed_each_line_is_read_once(tmp_path: Path) -> None:
    author = Author(tmp_path / "comments.log", max_bytes=4000)
    trail = LogFollower(author.path)
    writing = threading.Thread(target=author.write, args=(20_000,))
    writing.start()
    read: list[bytes] = []
    while writing.is_alive():
        read += trail.fresh()
    writing.join()
    read += trail.fresh()
    trail.close()
    author.end()
    assert read == author.all()


WRITER = """
import sys
from pathlib import Path
from core.logging.rotating_file import FailureCount, RotatingLogFile
path, letter, lines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
failures = FailureCount(letter)
file = RotatingLogFile(path, max_bytes=4000, backups=200, failures=failures)
sys.stdin.readline()
for number in range(lines):
    file.append(f"{letter} {number}")
sys.exit(failures.total)
"""


def test_two_processes_may_write_and_rotate_and_each_line_is_read_once(tmp_path: Path) -> None:
    """The child itself, and the supervisor with the child's output outside its logger."""
    path, lines = tmp_path / "comments.log", 15_000
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name, str(lines)], stdin=subprocess.PIPE, cwd=ROOT) for name in "ab"]
    trail = LogFollower(path, from_beginning=True)
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    read: list[bytes] = []
    while any(writer.poll() is None for writer in writers):
        read += trail.fresh()
    read += trail.fresh()
    trail.close()
    assert [writer.returncode for writer in writers] == [0, 0]
    for name in "ab":
        assert [line for line in read if line.startswith(name.encode())] == [
            f"{name} {number}".encode() for number in range(lines)
        ]
    assert len(read) == 2 * lines


def test_a_line_that_a_kill_cut_short_is_shown_and_the_next_begins_anew(author: Author) -> None:
    trail = LogFollower(author.path)
    author.write(1)
    author.end()
    with author.path.open("ab") as file:
        file.write(b'{"event": "cut sh')
    assert trail.fresh() == [b"line 0"]
    assert trail.fresh() == []
    author.begin()
    author.write(1)
    assert trail.fresh() == [b'{"event": "cut sh', b"line 1"]
    trail.close()


def test_a_file_that_is_emptied_and_has_more_in_it_than_before_at_the_next_look_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "comments.log"
    path.write_text('{"timestamp":"2026-11-22T10:00:00.000001Z","event":"old"}\n')
    trail = LogFollower(path)
    fresh = [f'{{"timestamp":"2026-11-22T10:00:01.{number:06d}Z","event":"new"}}' for number in range(10)]
    path.write_text("".join(f"{line}\n" for line in fresh))  # in place: the same inode
    assert trail.fresh() == [line.encode() for line in fresh]
    assert trail.fresh() == []
    trail.close()
