import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.logging.rotating_file import FailureCount, RotatingLogFile
from tests.support.durations import allowed
from tests.support.waiting import wait_until


def _file(path: Path, *, max_bytes: int = 1000, backups: int = 3) -> tuple[RotatingLogFile, FailureCount]:
    failures = FailureCount("test")
    return RotatingLogFile(path, max_bytes=max_bytes, backups=backups, failures=failures), failures


def _log(handler: logging.Handler, *texts: str) -> None:
    for text in texts:
        handler.handle(logging.makeLogRecord({"msg": text}))


def test_a_full_file_is_set_aside_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    handler, failures = _file(path, max_bytes=100, backups=3)
    _log(handler, *(f"line {number:04}" for number in range(35)))
    names = ["x.log.3", "x.log.2", "x.log.1", "x.log"]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name).stat().st_size <= 100 for name in names)
    text = "".join((tmp_path / name).read_text() for name in names)
    assert text == "".join(f"line {number:04}\n" for number in range(35))
    assert failures.total == 0


def test_the_oldest_file_goes(tmp_path: Path) -> None:
    handler, _ = _file(tmp_path / "x.log", max_bytes=20, backups=2)
    _log(handler, *(f"line {number:04}" for number in range(20)))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    assert (tmp_path / "x.log.2").read_text() == "line 0014\nline 0015\n"


def test_a_line_longer_than_a_file_is_written_whole(tmp_path: Path) -> None:
    handler, failures = _file(tmp_path / "x.log", max_bytes=20)
    _log(handler, "a" * 100, "b")
    assert (tmp_path / "x.log.1").read_text() == "a" * 100 + "\n"
    assert (tmp_path / "x.log").read_text() == "b\n"
    assert failures.total == 0


def test_a_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for text in ("first", "second"):
        handler, _ = _file(tmp_path / "x.log")
        _log(handler, text)
        handler.close()
    assert (tmp_path / "x.log").read_text() == "first\nsecond\n"


def test_a_line_that_a_kill_tore_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text('{"event": "whole"}\n{"event": "to')
    handler, _ = _file(path)
    _log(handler, "next")
    assert path.read_text().splitlines() == ['{"event": "whole"}', '{"event": "to', "next"]


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_file_taken_away_is_made_again(tmp_path: Path, how: str) -> None:
    """A person or logrotate does that; lines must not go into a file that nobody sees."""
    path = tmp_path / "logs" / "x.log"
    handler, failures = _file(path)
    _log(handler, "first")
    if how == "removed":
        path.unlink()
        path.parent.rmdir()
    else:
        path.rename(tmp_path / "aside")
    _log(handler, "second")
    assert path.read_text() == "second\n"
    assert failures.total == 0


def test_a_full_disk_is_counted_said_and_survived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "x.log"
    handler, failures = _file(path)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        _log(handler, "a", "b")
    assert failures.total == 2
    assert "No space left on device" in capsys.readouterr().err
    _log(handler, "c")
    assert path.read_text() == "c\n"


def test_half_a_line_is_ended_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up within a line."""
    path = tmp_path / "x.log"
    handler, failures = _file(path)
    whole_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: whole_write(descriptor, data[:3]))
        _log(handler, "first")
    assert failures.total == 1
    _log(handler, "second")
    assert path.read_text() == "fir\nsecond\n"


def test_who_was_stopped_with_the_file_in_hand_does_not_hold_the_other_writer_up(tmp_path: Path) -> None:
    handler, failures = _file(tmp_path / "x.log")
    _log(handler, "first")
    with (tmp_path / "x.log").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        started = time.monotonic()
        _log(handler, "second")
        assert time.monotonic() - started < allowed(5.0)
    assert (tmp_path / "x.log").read_text() == "first\nsecond\n"
    assert failures.total == 0


def test_a_rotation_that_fails_lets_the_file_grow(tmp_path: Path) -> None:
    (tmp_path / "x.log.1").mkdir()
    (tmp_path / "x.log.1" / "in the way").touch()
    handler, failures = _file(tmp_path / "x.log", max_bytes=20, backups=1)
    _log(handler, *(f"line {number:04}" for number in range(5)))
    assert (tmp_path / "x.log").read_text().count("\n") == 5
    assert failures.total > 0


_WRITER = """
import logging, sys
from pathlib import Path
from core.logging.rotating_file import FailureCount, RotatingLogFile
handler = RotatingLogFile(Path(sys.argv[1]), max_bytes=20_000, backups=50, failures=FailureCount("writer"))
for number in range(10**9):
    handler.handle(logging.makeLogRecord({"msg": f"{number:09} " + "x" * (number % 300)}))
"""


def test_a_kill_tears_at_most_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], cwd=Path(__file__).parents[3])
    try:
        wait_until((tmp_path / "x.log.3").exists, what="a few rotations")
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    parts = sorted(tmp_path.glob("x.log.*"), key=lambda each: -int(each.suffix[1:]))
    lines = b"".join(each.read_bytes() for each in [*parts, path] if each.exists()).split(b"\n")
    numbers = [int(line[:9]) for line in lines[:-1]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(len(line) == 10 + int(line[:9]) % 300 for line in lines[:-1])
