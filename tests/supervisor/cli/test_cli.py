"""The command line: its commands, its errors, and the meaning of its options."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import Config
from core.errors import ExitCode
from core.process import program
from supervisor.cli import main
from supervisor.cli.arguments import overrides
from supervisor.cli.commands import COMMANDS, CommandEntry

ROOT = Path(__file__).resolve().parents[3]
CREDENTIALS = {"REDDIT_CLIENT_ID": "id", "REDDIT_CLIENT_SECRET": "s3cr3t-s3cr3t", "REDDIT_USER_AGENT": "python:t:1"}


def call(*arguments: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REDDIT_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-m", "supervisor", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        timeout=30,
    )


@pytest.mark.parametrize("command", ["run", "check", "status", "logs", "restart", "gaps", "audit", "demo"])
def test_every_command_has_a_help_and_the_general_one_names_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([command, "--help"], ["--help"]):
        with pytest.raises(SystemExit) as caught:
            main.main(arguments)
        assert caught.value.code == 0
        assert command in capsys.readouterr().out


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return a help text at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(command: str) -> str:
        with pytest.raises(SystemExit):
            main.parse([*command.split(), "--help"])
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_a_help_fits_80_columns_and_tells_exit_codes_and_examples_that_work(
    command: str, shown: Callable[[str], str]
) -> None:
    text = shown(command)
    assert [line for line in text.splitlines() if len(line) > 79] == []
    codes = re.findall(r"^  (\d)  \w", text.partition("exit codes:")[2], re.MULTILINE)
    assert {"0", "2"} <= set(codes) <= {str(int(code)) for code in ExitCode}
    examples = re.findall(rf"^  python -m supervisor ({command or r'[a-z]'}.*)$", text, re.MULTILINE)
    assert examples
    for example in examples:
        main.parse(re.split(r"\s{3,}", example)[0].split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_says_what_it_does_and_what_holds_without_it(command: str, shown: Callable[[str], str]) -> None:
    text = shown(command).partition("exit codes:")[0]
    described = re.findall(r"^  (?:-\w, )?(--[a-z-]+)(.*(?:\n {8,}.*)*)", text, re.MULTILINE)
    for option, words in described:
        assert len(words.split()) > 3, option
        if re.match(r" [A-Z]", words) and command in ("logs", "demo"):
            assert "default" in words, option
    assert len(described) >= (0 if command == "restart" else 1)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("fly", "unknown command 'fly'; there are: run, check, status, logs, restart, gaps, dead-letters, "),
        ("run c.toml --durations 4", "did you mean --duration?"),
        ("run --subreddits Bitcoin c.toml", "usage: python -m supervisor run CONFIG"),
        ("status", "required: CONFIG"),
        ("logs c.toml --level loud", f"For help: `{program.command()} logs --help`"),
    ],
)
def test_a_mistake_is_answered_with_what_would_be_right(
    line: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main.main(line.split())
    assert hint in capsys.readouterr().err


def test_without_a_command_everything_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main([])
    assert caught.value.code == 2
    assert "exit codes:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "",
        "fly",
        "run",
        "run c.toml --duration soon",
        "run c.toml --duration -1",
        "run c.toml --set nonsense",
        "status c.toml comments",
        "restart c.toml",
        "restart c.toml comments publisher",
        "logs c.toml -n -3",
        "logs c.toml --level loud",
        "logs c.toml comments --fast",
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(line.split())
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_overrides_of_run_become_keys_of_the_configuration() -> None:
    line = "run c.toml --subreddits Bitcoin ethereum --kafka-servers a:1,b:2 --topic t --set streams.comments=false"
    options = main.build_parser().parse_args([*line.split(), "--set", "supervisor.state_dir=some/where"])
    assert overrides(options) == {
        "reddit.subreddits": ["Bitcoin", "ethereum"],
        "kafka.bootstrap_servers": "a:1,b:2",
        "kafka.topic": "t",
        "streams.comments": False,
        "supervisor.state_dir": "some/where",
    }


@pytest.mark.parametrize("line", ["a b -n 5 -f", "-n 5 -f a b", "a -n 5 b -f"])
def test_the_processes_of_logs_may_stand_on_either_side_of_its_options(line: str) -> None:
    options = main.parse(["logs", "c.toml", *line.split()])
    assert (options.process, options.lines, options.follow) == (["a", "b"], 5, True)


def test_a_bad_configuration_ends_with_2_and_all_its_problems(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[reddit]\nsubredits = ["Bitcoin"]\n[kafka]\ndelivery = "maybe"\n')
    result = call("run", "config.toml", cwd=tmp_path)
    assert result.returncode == 2
    for part in ("subredits", "reddit.subreddits", "exactly_once", "REDDIT_CLIENT_SECRET"):
        assert part in result.stderr
    assert not (tmp_path / "state").exists()


def test_a_state_directory_that_cannot_be_made_ends_with_2_and_says_which(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "state").write_text("a file stands in the way")
    result = call("run", "config.toml", cwd=tmp_path, **CREDENTIALS)
    assert result.returncode == 2
    assert "supervisor.state_dir" in result.stderr


#: What is proven in an empty state directory, with the subreddits that are configured by default.
PROVEN_OF_NOTHING = {stream: dict.fromkeys(Config().reddit.subreddits) for stream in ("submissions", "comments")}


def test_gaps_needs_no_credentials(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    result = call("gaps", "config.toml", "--json", "--since", "2h", "--until", "2040-01-01", cwd=tmp_path)
    assert (result.returncode, json.loads(result.stdout)) == (0, {"proven_until": PROVEN_OF_NOTHING, "gaps": []})


def test_check_says_ok(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    result = call("check", "config.toml", cwd=tmp_path, **CREDENTIALS)
    assert result.returncode == 0
    assert "OK" in result.stdout


@pytest.mark.parametrize(
    ("line", "redirected", "code", "complaint"),
    [
        ("status config.toml", ">&-", 1, ""),
        ("status config.toml", "<&- >&- 2>&-", 1, ""),
        ("status config.toml", ">/dev/full", 1, "[Errno 28] No space left on device\n"),
        ("check config.toml", "| true", 0, ""),
    ],
)
def test_an_output_that_takes_nothing_is_no_traceback(
    tmp_path: Path, line: str, redirected: str, code: int, complaint: str
) -> None:
    (tmp_path / "config.toml").write_text("")
    script = f"set -o pipefail; {sys.executable} -m supervisor {line} {redirected}"
    environ = {**os.environ, **CREDENTIALS, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    assert (result.returncode, result.stderr) == (code, complaint)


def replace_command(monkeypatch: pytest.MonkeyPatch, name: str, run: Callable[[object], int]) -> None:
    """Replace the function of a command."""
    command = replace(COMMANDS[name].load(), run=run)
    monkeypatch.setattr(CommandEntry, "load", lambda _entry: command)


def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_options: object) -> int:
        raise KeyboardInterrupt

    replace_command(monkeypatch, "restart", interrupted)
    assert main.main(["restart", "config.toml", "comments"]) == 1


def test_another_user_s_files_are_a_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_options: object) -> int:
        raise PermissionError(13, "Permission denied", "logs/comments.log")

    replace_command(monkeypatch, "logs", refused)
    monkeypatch.setattr(main, "discard_output", lambda _out: None)
    assert main.main(["logs", "config.toml"]) == 1
    assert capsys.readouterr().err == "[Errno 13] Permission denied: 'logs/comments.log'\n"


def test_a_line_that_no_encoding_knows_is_shown_with_escapes(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "logs").mkdir()
    line = {"timestamp": "2026-11-22T10:00:00Z", "level": "info", "event": "half \ud83d of it", "process": "comments"}
    (tmp_path / "logs" / "comments.log").write_text(json.dumps(line) + "\n")
    result = call("logs", "config.toml", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "half \\ud83d of it" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_everything_is_imported_is_heard(tmp_path: Path, number: int) -> None:
    """Otherwise process 1 would never receive it, and any other process would end in the middle of an import."""
    (tmp_path / "config.toml").write_text("")
    early = tmp_path / "early"
    early.mkdir()
    (early / "tomllib.py").write_text(
        f"import os, sys\nos.kill(os.getpid(), {int(number)})\n"
        f"sys.path.remove({str(early)!r})\ndel sys.modules['tomllib']\nimport tomllib\n"
    )
    result = call("run", "config.toml", cwd=tmp_path, **CREDENTIALS, PYTHONPATH=f"{early}:{ROOT}")
    events = [json.loads(line)["event"] for line in (tmp_path / "logs" / "supervisor.log").read_text().splitlines()]
    assert result.returncode == 0
    assert events[:2] == ["stopping", "stopped"]
