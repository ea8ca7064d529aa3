"""Output of a child outside its logger, with real processes: it is in its log and on the supervisor's stderr."""

import json
import os
import pty
import signal
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.logging import log_setup
from core.masking import external
from core.masking.masking import Masker
from supervisor.processes.child_output import OutputLimit
from supervisor.processes.spawned_process import SpawnedProcess
from tests.core.entries import Unborn
from tests.supervisor.dummies import OBEDIENT, Family
from tests.support.nursery import Nursery, ended
from tests.support.waiting import wait_until, whole_lines


def records(log_dir: Path, event: str = "output") -> list[dict[str, Any]]:
    path = log_dir / "comments.log"
    lines = whole_lines(path)
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


def the_record(log_dir: Path, beginning: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        return next((one for one in records(log_dir) if one["line"].startswith(beginning)), None)

    found = wait_until(look, what=f"a record of {beginning!r}")
    assert found is not None
    return found


def bury(child: SpawnedProcess) -> int:
    """Do the same as the manager when a child has ended."""
    code = ended(child)
    child.close()
    return code


@pytest.mark.parametrize(
    ("entry", "number", "words"),
    [("aborting", signal.SIGABRT, "Aborted"), ("segfaulting", signal.SIGSEGV, "Segmentation fault")],
)
def test_a_crash_of_the_interpreter_is_one_record_that_says_where(
    nursery: Nursery, entry: str, number: int, words: str
) -> None:
    child = nursery.spawn(entry)
    pid = child.pid
    assert bury(child) == -number
    (record,) = records(nursery.log_dir)  # at once: the last words are awaited before the end is told
    nursery.born.clear()
    assert record["line"] == f"Fatal Python error: {words}"
    assert (record["level"], record["process"], record["pid"]) == ("critical", "comments", pid)
    assert f"in {entry}" in record["exception"]
    assert list(record)[:6] == ["timestamp", "level", "event", "process", "pid", "logger"]


def test_a_child_that_fails_before_anything_of_ours_runs(nursery: Nursery) -> None:
    child = nursery.spawn("obedient", Unborn())
    assert ended(child) == 1
    record = the_record(nursery.log_dir, "RuntimeError: not born")
    assert record["level"] == "error"
    assert record["exception"].startswith("Traceback (most recent call last):")
    assert len(records(nursery.log_dir)) == 1


def test_an_interpreter_that_cannot_even_start(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    nursery.ready("obedient")
    monkeypatch.setenv("PYTHONHOME", str(nursery.log_dir / "nowhere"))
    assert ended(nursery.spawn("obedient")) == 1
    crash = wait_until(lambda: [one for one in records(nursery.log_dir) if "Fatal Python" in str(one)], what="a record")
    assert any("No module named 'encodings'" in str(one) for one in crash)


def test_whatever_it_speaks_through_is_logged_and_secrets_are_not(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "known", Masker())
    log_setup.hide("hunter-22")
    child = nursery.spawn("talking")
    the_record(nursery.log_dir, "RuntimeError: failed on purpose")
    os.kill(child.pid, signal.SIGKILL)
    assert bury(child) == -signal.SIGKILL
    nursery.born.clear()
    said = [(one["level"], one["line"]) for one in records(nursery.log_dir)]
    assert said == [
        ("warning", "by print"),
        ("warning", "by stderr"),
        ("warning", "by the system"),
        ("error", "%3|1234567890.5|FAIL|rdkafka#producer-1| by C"),
        ("warning", "the password is ***"),
        ("warning", "NoneType: None"),
        ("error", "RuntimeError: failed on purpose"),
        ("warning", "no end of line"),
    ]
    assert len(records(nursery.log_dir, "by_the_logger")) == 1, "its log lines are written once, by itself"


def test_a_flood_is_cut_counted_and_never_holds_the_child_up(nursery: Nursery) -> None:
    lines = 100_000  # 10 MB
    memory = psutil.Process().memory_info().rss
    child = nursery.spawn("flooding", lines)
    assert ended(child, 60.0) == 0
    child.close()
    nursery.born.clear()
    wait_until(lambda: not readers(), what="the reader to end")
    kept = records(nursery.log_dir)
    dropped = records(nursery.log_dir, "output_dropped")
    assert len(kept) + sum(one["lines"] for one in dropped) == lines
    assert 1000 < len(kept) < 10_000
    assert kept[0]["line"].startswith("000000000 ")
    assert len(records(nursery.log_dir, "flooded")) == 1
    assert psutil.Process().memory_info().rss - memory < 20_000_000


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("output-")]


def test_who_keeps_the_pipe_of_a_dead_child_does_not_keep_us(nursery: Nursery) -> None:
    child = nursery.spawn("leaving_somebody")
    assert bury(child) == 0
    nursery.born.clear()
    stranger = psutil.Process(int(the_record(nursery.log_dir, "left ")["line"].split()[1]))
    try:
        wait_until(lambda: not readers(), what="the reader to end")
        assert stranger.is_running()
    finally:
        stranger.kill()


def test_nothing_is_left_of_a_child_that_ended(nursery: Nursery) -> None:
    def one_life() -> None:
        assert bury(nursery.spawn("failing")) == 1
        nursery.born.clear()

    one_life()
    wait_until(lambda: not readers(), what="the reader to end")
    before = psutil.Process().num_fds()
    for _ in range(3):
        one_life()
    wait_until(lambda: not readers(), what="the readers to end")
    assert psutil.Process().num_fds() == before


def test_the_log_of_a_hung_child_says_where_it_hung(families: list[Family], tmp_path: Path) -> None:
    family = Family(tmp_path, *OBEDIENT[:2], "comments=SOURCE:deaf", timeout=4.0, heartbeat_timeout=2.0)
    families.append(family)
    record = the_record(tmp_path, "Fatal Python error: Aborted")
    assert "in deaf" in record["exception"]
    assert "watcher" not in record["line"]
    family.process.terminate()
    _, stderr = family.process.communicate(timeout=20)
    shown = [json.loads(line) for line in stderr.splitlines()]
    assert record in shown, "the same record stands on the supervisor's standard error"
    assert {one["process"] for one in shown} == {"supervisor", "publisher", "submissions", "comments"}
    for name in ("supervisor", "publisher", "submissions", "comments"):
        in_file = [json.loads(line) for line in (tmp_path / f"{name}.log").read_text().splitlines()]
        assert [one for one in shown if one["process"] == name] == in_file


def test_nobody_waits_for_a_reader_of_standard_error_who_does_not_read(families: list[Family], tmp_path: Path) -> None:
    """The pipe holds 64 KiB; the child prints megabytes, and the supervisor still works and stops in time."""
    family = Family(tmp_path, *OBEDIENT[:2], "comments=SOURCE:logging_for_ever")
    families.append(family)
    family.ready()
    log = tmp_path / "comments.log"
    wait_until(lambda: log.exists() and log.stat().st_size > 2_000_000, 30.0, "far more than the pipe takes")
    family.children()["submissions"].kill()
    family.ready(4)
    family.process.terminate()
    assert family.process.wait(10) == 0
    assert not family.events("child_hung")


def test_a_terminal_shows_it_for_people(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    family = Family(tmp_path, "comments=SOURCE:talking", stderr=theirs)
    os.close(theirs)
    try:
        text = wait_until(lambda: screen(ours, "failed on purpose"), what="the screen")
    finally:
        family.process.kill()
        family.process.wait()
        os.close(ours)
    assert "comments: by_the_logger" in text
    assert "comments: output" in text
    assert '{"timestamp"' not in text


def screen(descriptor: int, until: str) -> str:
    text = ""
    while until not in text:
        text += os.read(descriptor, 65536).decode()
    return text


def test_a_burst_passes_and_a_flood_is_cut_until_there_is_room_again() -> None:
    now = 0.0
    output_limit = OutputLimit(lambda: now)
    assert all(output_limit.take(1000, 1) for _ in range(200))
    passed = sum(output_limit.take(1000, 2) for _ in range(1000))
    assert passed < 100
    now = 5.0
    assert not output_limit.take(1, 2), "not crumb by crumb"
    assert output_limit.dropped() == {"lines": 2 * (1001 - passed), "bytes": 1000 * (1000 - passed) + 1}
    assert output_limit.dropped() == {}
    now = 20.0
    assert output_limit.take(1000, 1)
