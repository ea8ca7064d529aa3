import io
import json
import logging
import os
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.config import load_config
from core.logging import log_setup
from tests.core.conftest import Lines

pytestmark = pytest.mark.usefixtures("restored")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, _text: str, /) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_each_record_is_one_object_with_the_fields_that_programs_rely_on(lines: Lines) -> None:
    before = datetime.now(UTC)
    log_setup.get_logger("streams.capture").info("poll", found=3, after="t1_x")
    (line,) = lines()
    assert list(line) == ["timestamp", "level", "event", "process", "pid", "logger", "found", "after"]
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "poll",
        "process": "submissions",
        "pid": os.getpid(),
        "logger": "streams.capture",
        "found": 3,
        "after": "t1_x",
    }
    assert line["timestamp"].endswith("Z")
    assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000000Z")
    assert timedelta() <= datetime.fromisoformat(line["timestamp"]) - before < timedelta(seconds=5)


def test_records_of_other_libraries_take_the_same_way(lines: Lines) -> None:
    logging.getLogger("prawcore").warning("retry %s in %d s", "x", 3, extra={"attempt": 2})
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    praw, warning = lines()
    assert (praw["level"], praw["event"], praw["logger"], praw["attempt"]) == (
        "warning",
        "retry x in 3 s",
        "prawcore",
        2,
    )
    assert set(praw) >= {"timestamp", "process", "pid"}
    assert (warning["logger"], "DeprecationWarning: old" in warning["event"]) == ("py.warnings", True)


def test_below_the_level_nothing_is_written(lines: Lines, tmp_path: Path) -> None:
    log_setup.get_logger("x").debug("no")
    logging.getLogger("urllib3").debug("no")
    assert not (tmp_path / "submissions.log").exists()
    log_setup.configure("submissions", tmp_path, "json", level="DEBUG", stream=io.StringIO())
    log_setup.get_logger("y").debug("yes")
    assert [line["event"] for line in lines()] == ["yes"]


def _fail(text: str) -> None:
    raise ValueError(text)


def test_an_exception_is_a_field(lines: Lines) -> None:
    for log in (log_setup.get_logger("ours"), logging.getLogger("theirs")):
        try:
            _fail("bad page")
        except ValueError:
            log.exception("crashed")
    for line in lines():
        assert line["event"] == "crashed"
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert line["exception"].endswith("ValueError: bad page")


def test_what_nobody_caught_is_logged(lines: Lines) -> None:
    def fail() -> None:
        raise RuntimeError("lost in a thread")

    thread = threading.Thread(target=fail, name="watcher")
    thread.start()
    thread.join()
    error = RuntimeError("lost")
    sys.excepthook(RuntimeError, error, None)
    in_thread, in_main = lines()
    assert (in_thread["level"], in_thread["in_thread"]) == ("critical", "watcher")
    assert in_thread["exception"].endswith("RuntimeError: lost in a thread")
    assert in_main["exception"] == "RuntimeError: lost"


def test_positional_arguments_find_their_places_or_stay(lines: Lines) -> None:
    log_setup.get_logger("x").info("%s of %d", "one", 2)
    log_setup.get_logger("x").info("sure to 100%", "one")
    good, bad = lines()
    assert good["event"] == "one of 2"
    assert (bad["event"], bad["positional_args"]) == ("sure to 100%", ["one"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("line\nline\u2028line\u0085\x00", "line\nline\u2028line\u0085\x00"),
        ("\ud800", "\ud800"),
        (2**80, 2**80),
        (b"\xffabc", "\\xffabc"),
        (Path("a/b"), "a/b"),
        ({"a": {1}, 2: (3,)}, {"a": [1], "2": [3]}),
        (logging.INFO, 20),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (float("nan"), None),
        (ValueError("x"), "ValueError('x')"),
        (None, None),
    ],
)
def test_any_value_fits_into_one_line(lines: Lines, value: object, expected: object) -> None:
    """Readers split in different ways; each finds exactly one line."""
    log_setup.get_logger("x").info("odd", value=value)
    assert log_setup.failures() == 0
    (line,) = lines()
    assert line["value"] == expected


def test_a_value_that_contains_itself_ends(lines: Lines) -> None:
    endless: list[object] = []
    endless.append(endless)
    log_setup.get_logger("x").info("deep", value=endless)
    assert len(lines()) == 1


def test_secrets_are_masked_wherever_they_stand(lines: Lines) -> None:
    log_setup.hide("hunter-22", "per%cent", "", "abc")
    log = log_setup.get_logger("x").bind(config={"client_secret": "hunter-1"})
    log.info("token hunter-22 fetched", access_token="hunter-2", nested=[{"Authorization": "hunter-3"}], tokens=5)
    log.info("proxy", url="http://me:hunter-4@host:1", header="Authorization: bearer hunter-5-0123456789")
    log.info("encoded", text="per%25cent per%cent", short="abc")
    logging.getLogger("other").error("cannot reach %s", "postgresql://me:hunter-6@host/name")
    try:
        _fail("with hunter-22")
    except ValueError:
        log.exception("failed")
    text = json.dumps(lines())
    assert "hunter" not in text
    assert "per%" not in text
    assert lines()[0]["tokens"] == 5
    assert lines()[2]["short"] == "abc", "texts this short would mask half of everything"
    assert "me:***@host" in text


def test_a_whole_configuration_can_be_logged(lines: Lines) -> None:
    environ = {"REDDIT_CLIENT_ID": "i", "REDDIT_CLIENT_SECRET": "hunter", "REDDIT_USER_AGENT": "u"}
    config = load_config(None, {"database.url": "postgresql://me:hunter@host/name"}, environ)
    log_setup.get_logger("x").info("starting", config=config)
    (line,) = lines()
    assert "postgresql://me:***@host/name" in line["config"]
    assert "hunter" not in line["config"]


@pytest.mark.parametrize(
    ("log_format", "terminal", "console"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("json", True, False),
        ("console", False, True),
    ],
)
def test_standard_error_is_for_people_on_a_terminal(
    tmp_path: Path, log_format: str, terminal: bool, console: bool
) -> None:
    """The file is JSON in any case."""
    stream = Terminal() if terminal else io.StringIO()
    log_setup.configure("comments", tmp_path, log_format, stream=stream)
    log_setup.get_logger("x").warning("late", stream="comments")
    in_file = (tmp_path / "comments.log").read_text()
    assert json.loads(in_file)["event"] == "late"
    if console:
        assert "comments: late" in stream.getvalue()
        assert ("\x1b[" in stream.getvalue()) == terminal
    else:
        assert stream.getvalue() == in_file


def test_no_text_from_outside_steers_the_terminal(tmp_path: Path) -> None:
    stream = io.StringIO()
    log_setup.configure("comments", tmp_path, "console", stream=stream)
    log_setup.get_logger("x").info("title \x1b[2J", author="\x9b31mred\x07", nested=["\x1b]0;x\x07"])
    assert not set(stream.getvalue()) & {"\x1b", "\x9b", "\x07"}


def test_the_console_shows_tracebacks_readably(tmp_path: Path) -> None:
    stream = io.StringIO()
    log_setup.configure("comments", tmp_path, "console", stream=stream)
    try:
        _fail("bad page")
    except ValueError:
        log_setup.get_logger("x").exception("crashed")
    assert stream.getvalue().rstrip().endswith("\n    ValueError: bad page")


def test_configuring_again_starts_anew(tmp_path: Path) -> None:
    first = io.StringIO()
    log_setup.configure("one", tmp_path, "json", stream=first)
    log_setup.configure("two", tmp_path, "json", stream=io.StringIO())
    log_setup.get_logger("x").info("hello")
    assert first.getvalue() == ""
    assert not (tmp_path / "one.log").exists()
    assert (tmp_path / "two.log").read_text().count("\n") == 1


def test_a_broken_standard_error_costs_nothing_but_its_lines(tmp_path: Path) -> None:
    """Its reader may be gone; the file goes on, and the count says what is missing."""
    log_setup.configure("one", tmp_path, "json", stream=Broken())
    log_setup.get_logger("x").info("first")
    log_setup.get_logger("x").info("second")
    assert (tmp_path / "one.log").read_text().count("\n") == 2
    assert log_setup.failures() == 2


def test_a_directory_that_cannot_be_made_is_counted_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    stream = io.StringIO()
    log_setup.configure("one", tmp_path / "file" / "logs", "json", stream=stream)
    for number in range(3):
        log_setup.get_logger("x").info("line", number=number)
    assert stream.getvalue().count("\n") == 3
    assert log_setup.failures() == 3
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 1, "said once in a while, not with each line"
    assert notes[0].startswith("one: cannot log to ")


def test_names_of_ours_stay_whatever_words_secrets_are_made_of(lines: Lines) -> None:
    log_setup.hide("kafka", "submissions", "error")
    log_setup.get_logger("x").error("kafka_away", error="of kafka")
    logging.getLogger("other").error("kafka")
    ours, others = lines()
    assert (ours["event"], ours["process"], ours["level"]) == ("kafka_away", "submissions", "error")
    assert ours["error"] == "of ***"
    assert others["event"] == "***"


def test_pieces_of_secrets_are_masked_in_what_others_write(lines: Lines) -> None:
    log_setup.hide("Zq8_vTn3-XwK5rPbYc7LdM2sJh4")
    logging.getLogger("urllib3").warning("Failed to parse headers, unparsed data: %r", b"n3-XwK5rPbYc7LdM2")
    try:
        _fail("data: 'n3-XwK5rPbYc7Ld" + "x" * 200_000)
    except ValueError:
        log_setup.get_logger("x").exception("crashed")
    for line in lines():
        assert "XwK5rP" not in json.dumps(line)
        assert len(json.dumps(line)) < 100_000
