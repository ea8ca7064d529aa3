"""RedditClient: what a program that imports it sees, with the real processes below it."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.errors import GaplessError
from streams import RedditClient
from tests.support.durations import allowed
from tests.support.processes import command_line, gone
from tests.support.waiting import wait_until, whole_lines

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "http://127.0.0.1:9"  # the discard port: refuses at once
VARIABLES = ("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no variable of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in (*VARIABLES, "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC_REDDIT"):
        monkeypatch.delenv(name, raising=False)


def make_client(**more: Any) -> RedditClient:
    return RedditClient(
        subreddits=["Bitcoin"],
        kafka_bootstrap_servers="127.0.0.1:9",
        kafka_topic="posts",
        client_id="id",
        client_secret="very-secret-thing",
        user_agent="python:test:1 (by /u/x)",
        settings={"reddit.reddit_url": NOBODY, "reddit.oauth_url": NOBODY, "supervisor.shutdown_timeout": 8.0},
        **more,
    )


@pytest.fixture
def client() -> Iterator[RedditClient]:
    client = make_client()
    yield client
    client.shutdown()


def supervisor() -> psutil.Process:
    return next(child for child in psutil.Process().children() if "supervisor" in command_line(child))


def started(directory: Path, name: str = "comments") -> bool:
    path = directory / "logs" / "supervisor.log"
    lines = whole_lines(path)
    return any(entry["event"] == "child_started" and entry["child"] == name for entry in map(json.loads, lines))


def test_without_credentials_it_names_every_missing_variable_and_a_dotenv_to_copy() -> None:
    with pytest.raises(ValueError, match="REDDIT_CLIENT_ID") as caught:
        RedditClient()
    for name in VARIABLES:
        assert f"{name}=" in str(caught.value)


def test_other_mistakes_are_named_too() -> None:
    with pytest.raises(ValueError, match=r"kafka\.topic"):
        RedditClient(kafka_topic="no spaces please")


def test_a_password_among_the_settings_is_refused_since_it_would_show_on_the_command_line() -> None:
    with pytest.raises(ValueError, match="config="):
        RedditClient(
            client_id="id",
            client_secret="s",
            user_agent="u",
            settings={"kafka.producer": {"sasl.username": "me", "sasl.password": "hunter2"}},
        )


def test_before_the_start_all_is_zero_and_shutdown_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    client = make_client()
    assert client.stats["total_items"] == 0
    client.print_stats()
    assert "Queue size:            0" in capsys.readouterr().out
    client.wait_for_shutdown()
    client.shutdown()


def test_start_returns_at_once_and_shutdown_is_graceful_and_safe_to_call_twice(
    client: RedditClient, tmp_path: Path
) -> None:
    begun = time.monotonic()
    client.start_streaming()
    assert time.monotonic() - begun < allowed(0.5)
    process = supervisor()
    client.start_streaming()
    assert supervisor().pid == process.pid, "one is enough"
    wait_until(lambda: started(tmp_path), what="the processes to be started")
    client.shutdown()
    client.shutdown()
    assert not process.is_running()
    assert '"stopping"' in (tmp_path / "logs" / "supervisor.log").read_text()


def test_no_secret_stands_on_a_command_line_or_in_a_file(client: RedditClient, tmp_path: Path) -> None:
    client.start_streaming()
    wait_until(lambda: started(tmp_path), what="the processes to be started")
    assert "very-secret-thing" not in " ".join(supervisor().cmdline())
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"very-secret-thing" not in path.read_bytes(), path


def test_the_settings_stand_in_a_file_that_the_other_commands_take(client: RedditClient, tmp_path: Path) -> None:
    client.start_streaming()
    path = tmp_path / "state" / "client.toml"
    assert tomllib.loads(path.read_text())["kafka"]["topic"] == "posts"
    gaps = subprocess.run(
        [sys.executable, "-m", "supervisor", "gaps", str(path), "--json"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert json.loads(gaps.stdout)["gaps"] == []


def test_a_supervisor_that_dies_is_reported(client: RedditClient, tmp_path: Path) -> None:
    client.start_streaming()
    wait_until(lambda: started(tmp_path), what="the processes to be started")
    supervisor().kill()
    with pytest.raises(GaplessError, match=r"exited with code -9.*supervisor\.log"):
        client.wait_for_shutdown()


PROGRAM = """
from streams import RedditClient
from tests.streams.test_client import make_client
client = make_client()
client.start_streaming()
client.wait_for_shutdown()
client.print_stats()
print("over")
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[psutil.Popen]:
    """A program that uses the client, in a process group of its own like a foreground job."""
    with psutil.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        process_group=0,
    ) as program:
        wait_until(lambda: started(tmp_path), what="the processes to be started")
        yield program
        if program.is_running():
            program.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_wait_and_everything_below(program: psutil.Popen, number: signal.Signals) -> None:
    below = program.children(recursive=True)
    os.killpg(program.pid, number)
    output, _ = program.communicate(timeout=15)
    assert program.returncode == 0
    assert output.endswith("over\n")
    assert "STREAMING STATISTICS" in output
    assert all(map(gone, below))


def test_if_the_program_is_killed_the_processes_stop_by_themselves(program: psutil.Popen, tmp_path: Path) -> None:
    below = program.children(recursive=True)
    program.kill()
    wait_until(lambda: all(map(gone, below)), what="the processes to end")
    assert "the parent process has ended" in (tmp_path / "logs" / "supervisor.log").read_text()
