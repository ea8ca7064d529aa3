"""A supervisor of dummy children (see family.py) as a process: tests send signals and read its log."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import living_children
from tests.support.waiting import wait_until, whole_lines

OBEDIENT = ("publisher=SINK:obedient", "submissions=SOURCE:obedient", "comments=SOURCE:obedient")
NAMES = ("publisher", "submissions", "comments")


class Family:
    """A supervisor of dummy children, controlled from outside."""

    def __init__(
        self,
        state_dir: Path,
        *children: str,
        timeout: float = 25.0,
        heartbeat_timeout: float = 30.0,
        stderr: int = subprocess.PIPE,
    ) -> None:
        self.state_dir = state_dir
        command = [sys.executable, "-m", "tests.supervisor.family", str(state_dir)]
        command += [str(timeout), str(heartbeat_timeout), *children]
        self.process = psutil.Popen(command, stderr=stderr, text=True, process_group=0)

    def events(self, event: str) -> list[dict[str, Any]]:
        path = self.state_dir / "supervisor.log"
        lines = whole_lines(path)
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def ready(self, times: int = len(NAMES)) -> None:
        wait_until(lambda: len(self.events("child_ready")) >= times, what=f"{times} children to be ready")

    def children(self) -> dict[str, psutil.Process]:
        return living_children(self.process, NAMES)

    def exit_code(self, timeout: float = 30.0) -> int:
        code = int(self.process.wait(timeout))
        if code:
            sys.stdout.write((self.state_dir / "supervisor.log").read_text())  # for the report, should it be wrong
        return code
