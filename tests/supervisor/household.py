"""A supervisor of dummy children with a configuration file, and the commands that query it."""

import io
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import ExitCode
from supervisor.cli.status import show_status
from tests.supervisor.dummies import OBEDIENT
from tests.support.server import ServerProcess
from tests.support.system import ROOT
from tests.support.waiting import wait_until


class Household:
    """`tests.supervisor.family` on its own directory; state and logs are in `home`."""

    def __init__(self, directory: Path, *children: str, timeout: float = 10.0) -> None:
        self.home = directory / "home"
        self.config = configuration(directory, self.home)
        command = [sys.executable, "-m", "tests.supervisor.family", str(self.home), str(timeout), "30", *children]
        self.server = ServerProcess(command, directory / "family.out", cwd=ROOT)

    def status(self) -> dict[str, Any]:
        return ask_status(self.config)[1]

    def process(self, name: str) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = {process["name"]: process for process in self.status()["processes"]}
        return found.get(name, {"state": None, "pid": None})

    def wait_until_all_run(self) -> None:
        for name in ("publisher", "submissions", "comments"):
            self.wait_for(name, "RUNNING")

    def wait_for(self, name: str, state: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            process = self.process(name)
            return process if process["state"] == state else None

        process = wait_until(look, what=f"{name} to be {state}")
        assert process is not None
        return process


def configuration(directory: Path, home: Path) -> Path:
    path = directory / "config.toml"
    path.write_text(f"[supervisor]\nstate_dir = {json.dumps(str(home))}\nlog_dir = {json.dumps(str(home))}\n")
    return path


def ask_status(config: Path) -> tuple[ExitCode, dict[str, Any]]:
    out = io.StringIO()
    code = show_status(config, as_json=True, watch=False, out=out)
    return code, json.loads(out.getvalue())


def status_text(config: Path) -> str:
    out = io.StringIO()
    show_status(config, as_json=False, watch=False, out=out)
    return out.getvalue()


@contextmanager
def living(directory: Path, *children: str, timeout: float = 10.0) -> Iterator[Household]:
    """Run a household inside the block, with all children ready that can be."""
    household = Household(directory, *children or OBEDIENT, timeout=timeout)
    household.server.start()
    try:
        yield household
    finally:
        if household.server.running:
            household.server.signal(signal.SIGCONT)
        household.server.kill()
