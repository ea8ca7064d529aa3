"""The monitor as a child of a real supervisor: after a kill it has the same address; it stops at once."""

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.monitor.web.listen_address import read_address
from tests.support.server import ServerProcess
from tests.support.system import ROOT
from tests.support.waiting import wait_until


class Alone:
    """`python -m supervisor run` with a monitor only."""

    def __init__(self, directory: Path) -> None:
        self.state_dir = directory / "state"
        config = directory / "config.toml"
        config.write_text(
            "[streams]\nsubmissions = false\ncomments = false\n[scraper]\nenabled = false\n[monitor]\nport = 0\n"
            f'[supervisor]\nstate_dir = "{self.state_dir}"\nlog_dir = "{directory / "logs"}"\n'
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MONITOR_TOKEN": "x" * 20}
        command = [sys.executable, "-m", "supervisor", "run", str(config)]
        self.server = ServerProcess(command, directory / "out", cwd=directory, env=environment)

    def ask(self, path: str) -> str | None:
        address = read_address(self.state_dir)
        if address is None:
            return None
        try:
            with urllib.request.urlopen(f"{address.url}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def monitor(self) -> dict[str, Any] | None:
        document = json.loads(self.ask("api/status") or '{"processes": []}')
        return next(
            (row for row in document["processes"] if row["name"] == "monitor" and row["state"] == "RUNNING"), None
        )


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    alone = Alone(tmp_path)
    alone.server.start()
    yield alone
    alone.server.kill()


def test_it_is_supervised_like_every_other_process(alone: Alone) -> None:
    monitor = wait_until(alone.monitor, what="the monitor to run")
    assert monitor is not None
    address = read_address(alone.state_dir)
    assert address is not None
    assert monitor["pid"] == address.pid

    os.kill(monitor["pid"], signal.SIGKILL)

    def back() -> dict[str, Any] | None:
        row = alone.monitor()
        return row if row is not None and row["restarts"] == 1 else None

    again = wait_until(back, what="it to be back")
    assert again is not None
    assert again["pid"] != monitor["pid"]
    here = read_address(alone.state_dir)
    assert here is not None
    assert here.url == address.url, "a page that is open finds it again"
    assert 'process_restarts_total{process="monitor"} 1.0' in (alone.ask("metrics") or "")

    assert alone.server.stop(timeout=20.0) == 0
