"""`logs`: merged by time, filtered, and followed over rotation, deletion and restarts without losing a line."""

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import ExitCode
from supervisor.cli.log_line import dated, parse, renderer
from supervisor.cli.logs import show_logs
from tests.supervisor.household import configuration
from tests.support.system import ROOT
from tests.support.waiting import wait_until


def line(event: str, second: float, process: str = "comments", level: str = "info", **more: Any) -> str:
    timestamp = f"2026-01-02T03:04:{second:09.6f}Z"
    fields = {"timestamp": timestamp, "level": level, "event": event, "process": process, "pid": 7, **more}
    return json.dumps(fields) + "\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "comments.log").write_text(line("c1", 1) + line("c3", 3, level="error") + line("c5", 5))
    (home / "publisher.log").write_text(
        line("p2", 2, "publisher") + line("p4", 4, "publisher", level="warning", seconds=1.5)
    )
    return configuration(tmp_path, home)


def shown(config: Path, *names: str, **options: Any) -> list[str]:
    out, err = io.StringIO(), io.StringIO()
    settings = {"lines": 20, "follow": False, "level": None} | options
    assert show_logs(config, names, out=out, err=err, **settings) is ExitCode.OK
    return out.getvalue().splitlines()


def events(lines: list[str]) -> list[str]:
    return [found[1] for found in (re.search(r": ([cp]\d)\b", text) for text in lines) if found]


def test_they_are_merged_by_time(config: Path) -> None:
    assert events(shown(config)) == ["c1", "p2", "c3", "p4", "c5"]


def test_each_process_gives_its_last_lines(config: Path) -> None:
    assert events(shown(config, lines=1)) == ["p4", "c5"]
    assert shown(config, lines=0) == []


def test_by_process_and_by_level(config: Path) -> None:
    assert events(shown(config, "publisher")) == ["p2", "p4"]
    assert events(shown(config, level="warning")) == ["c3", "p4"]
    assert events(shown(config, level="error")) == ["c3"]
    assert events(shown(config, level="warning", lines=1)) == ["c3", "p4"], "so far back as it takes"


def test_a_line_says_when_who_how_severe_and_what(config: Path) -> None:
    (text,) = shown(config, "publisher", lines=1)
    assert re.match(r"2026-01-0\d \d\d:\d\d:04\.000 \[warning  \] publisher: p4 +seconds=1.5$", text)


def test_what_is_no_record_stays_in_its_place_as_it_is(config: Path) -> None:
    log = config.parent / "home" / "comments.log"
    crash = "Fatal Python error: Segmentation fault\n\n  File x"
    log.write_text(line("c1", 1) + crash + "\n" + line("c5", 5))
    lines = shown(config)
    assert lines[1:4] == crash.splitlines()
    assert events(lines) == ["c1", "p2", "p4", "c5"]
    assert shown(config, "comments", level="critical") == crash.splitlines(), "a crash is worth showing at any level"


def test_a_last_line_without_an_end_is_shown(config: Path) -> None:
    with (config.parent / "home" / "comments.log").open("a") as file:
        file.write("Killed in the midd")
    assert shown(config, "comments", lines=2)[-1] == "Killed in the midd"


def test_a_traceback_keeps_its_lines_and_nothing_steers_the_terminal() -> None:
    show = renderer(colours=False)
    text = show(parse(line("c1", 1, exception="Traceback:\n  x\nValueError: \x1b[2J").encode()))
    assert text.splitlines()[-1] == "    ValueError: \\x1b[2J"
    assert show(parse(b"raw \x1b[2J")) == "raw \\x1b[2J"


def test_colours_are_for_terminals() -> None:
    record = parse(line("c1", 1).encode())
    assert "\x1b[" in renderer(colours=True)(record)
    assert "\x1b[" not in renderer(colours=False)(record)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"event": 1, "timestamp": 7}', b"\xff", b"[" * 99_999])
def test_any_line_can_be_read_and_shown(raw: bytes) -> None:
    parsed = parse(raw)
    assert isinstance(renderer(colours=False)(parsed), str)
    assert isinstance(parsed.is_at_least("warning"), bool)


def test_a_line_without_a_moment_takes_that_of_its_neighbour() -> None:
    lines = [parse(b"early"), parse(line("c1", 1).encode()), parse(b"after")]
    assert [entry.timestamp[17:19] for entry in dated(lines)] == ["01", "01", "01"]
    assert dated([parse(b"x")], before="moment")[0].timestamp == "moment"


def test_an_unknown_process_is_refused_with_the_names_there_are(config: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    code = show_logs(config, ["coments"], lines=5, follow=False, level=None, out=out, err=err)
    assert code is ExitCode.BAD_USAGE
    assert "'coments'; there are: supervisor, publisher, submissions, comments" in err.getvalue()


def test_where_nothing_was_logged_it_says_so(tmp_path: Path) -> None:
    config = configuration(tmp_path, tmp_path / "home")
    out, err = io.StringIO(), io.StringIO()
    assert show_logs(config, [], lines=5, follow=False, level=None, out=out, err=err) is ExitCode.OK
    assert "no process has written a log in" in err.getvalue()


# Following, from the command line


def test_following_goes_on_over_rotation_deletion_and_a_new_process_and_ends_quietly(config: Path) -> None:
    log = config.parent / "home" / "comments.log"
    command = [sys.executable, "-u", "-m", "supervisor", "logs", str(config), "-n", "1", "-f"]
    output = config.parent / "followed.out"
    with output.open("wb") as sink:
        following = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink)
    try:

        def wait_for(*expected: str) -> None:
            wait_until(lambda: events(output.read_text().splitlines()) == list(expected), what=f"{expected}")

        wait_for("p4", "c5")
        log.rename(log.with_suffix(".log.1"))
        log.write_text(line("c6", 6))
        wait_for("p4", "c5", "c6")
        log.unlink()
        log.write_text(line("c7", 7))
        wait_for("p4", "c5", "c6", "c7")
        (log.parent / "submissions.log").write_text(line("c8", 8, "submissions"))
        wait_for("p4", "c5", "c6", "c7", "c8")
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 0
        assert "Traceback" not in output.read_text()
    finally:
        following.kill()
        following.wait()


def test_a_reader_that_goes_away_ends_it_quietly(config: Path) -> None:
    command = f"{sys.executable} -m supervisor logs {config} -f -n 5 comments publisher | head -n 1"
    log = config.parent / "home" / "comments.log"
    piped = subprocess.Popen(["bash", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert piped.stdout is not None
    assert b"c1" in piped.stdout.readline()

    def ended() -> bool:
        with log.open("a") as file:
            file.write(line("c9", 9))
        return piped.poll() is not None

    wait_until(ended, what="the follower to notice")
    assert piped.communicate()[1] == b""
