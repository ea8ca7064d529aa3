"""The supervisor as process 1 of a pid namespace, as in a container: orphans, exit codes, signals, restarts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.logging import log_setup
from supervisor.runtime.zombies import reap_zombies, reaping_tasks
from tests.support.durations import allowed
from tests.support.processes import below, gone, is_zombie, living_children, name_of
from tests.support.waiting import wait_until, whole_lines

_UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
OBEDIENT = ("publisher=SINK:obedient", "submissions=SOURCE:obedient", "comments=SOURCE:obedient")
NAMES = ("publisher", "submissions", "comments")


def _why_not() -> str:
    if shutil.which("unshare") is None:
        return "unshare (util-linux) is not installed"
    tried = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no new pid namespace here: {tried.stderr.strip()}"


_WHY_NOT = _why_not()
pytestmark = pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "possible")


class Container:
    """A supervisor of dummy children that is process 1 in its own namespace."""

    def __init__(self, state_dir: Path, *children: str, timeout: float = 10.0) -> None:
        self.state_dir = state_dir
        self.timeout = timeout
        command = [*_UNSHARE, sys.executable, "-m", "tests.supervisor.family", str(state_dir), str(timeout), "30"]
        self.outside = psutil.Popen([*command, *children], stderr=subprocess.DEVNULL)
        self.init: psutil.Process = wait_until(self.outside.children, what="process 1")[0]

    def events(self, event: str, child: str | None = None) -> list[dict[str, Any]]:
        path = self.state_dir / "supervisor.log"
        lines = whole_lines(path)
        found = [entry for entry in map(json.loads, lines) if entry["event"] == event]
        return [entry for entry in found if child is None or entry["child"] == child]

    def ready(self, times: int = len(NAMES)) -> None:
        wait_until(lambda: len(self.events("child_ready")) >= times, what=f"{times} children to be ready")

    def children(self) -> dict[str, psutil.Process]:
        return living_children(self.init, NAMES)

    def zombies(self) -> set[int]:
        return {child.pid for child in below(self.init) if is_zombie(child)}

    def strangers(self) -> set[int]:
        """Return the orphans: processes that we did not start, with process 1 as their parent."""
        return {child.pid for child in below(self.init) if name_of(child) in {"sh", "sleep"}}

    def watch(self, wanted: int) -> set[int]:
        """Wait for this number of orphans; return all that were seen."""
        seen: set[int] = set()

        def enough() -> bool:
            seen.update(self.strangers())
            return len(seen) >= wanted

        wait_until(enough, what="strangers to come")
        return seen

    def exit_code(self) -> int:
        return int(self.outside.wait(20.0))

    def destroy(self) -> None:
        if self.outside.is_running():
            self.outside.kill()  # takes process 1 along, and that everybody in the namespace
        self.outside.wait()


@pytest.fixture
def containers() -> Iterator[list[Container]]:
    containers: list[Container] = []
    yield containers
    for container in containers:
        container.destroy()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_process_1_in_order(containers: list[Container], tmp_path: Path, number: signal.Signals) -> None:
    container = Container(tmp_path, *OBEDIENT)
    containers.append(container)
    container.ready()
    asked = time.monotonic()
    container.init.send_signal(number)
    assert container.exit_code() == 0
    assert time.monotonic() - asked < allowed(container.timeout)
    stopped = container.events("child_stopped")
    assert [entry["exit"] for entry in stopped] == ["code 0"] * 3
    assert stopped[-1]["child"] == "publisher"
    assert container.events("stopping")[0]["reason"] == number.name


def test_strangers_are_reaped_and_children_keep_their_exit_codes(containers: list[Container], tmp_path: Path) -> None:
    """One child leaves orphans continuously, one fails repeatedly with code 1, one is killed meanwhile."""
    marker = tmp_path / "revoked"
    litter, failing = "submissions=SOURCE:littering", "comments=SOURCE:failing"
    container = Container(tmp_path, f"publisher=SINK:hopeless_when_told:{marker}", litter, failing)
    containers.append(container)
    container.ready(2)
    seen = container.watch(40)
    container.children()["submissions"].kill()
    wait_until(lambda: container.events("child_died", "submissions"), what="the killed one to be missed")
    assert container.events("child_died", "submissions")[0]["exit"] == "SIGKILL"
    assert {entry["exit"] for entry in container.events("child_died", "comments")} == {"code 1"}
    container.ready(3)
    marker.touch()
    wait_until(lambda: container.events("child_fatal", "publisher"), what="the publisher to be parked")
    assert container.events("child_fatal", "publisher")[0]["why"] == "the credentials were revoked"
    wait_until(lambda: not container.zombies() & seen, what="those seen to be buried")
    container.children()["submissions"].suspend()  # it litters no more
    wait_until(lambda: not container.zombies() and not container.strangers(), what="the last stranger to be buried")
    container.children()["submissions"].resume()
    container.init.terminate()
    assert container.exit_code() == 0


def test_a_killed_child_of_process_1_is_back_and_when_process_1_is_killed_everybody_is_gone(
    containers: list[Container], tmp_path: Path
) -> None:
    container = Container(tmp_path, *OBEDIENT)
    containers.append(container)
    container.ready()
    before = container.children()
    before["comments"].kill()
    container.ready(4)
    after = container.children()
    assert after["comments"].pid != before["comments"].pid
    assert [after[name].pid for name in NAMES[:2]] == [before[name].pid for name in NAMES[:2]]
    container.init.kill()
    wait_until(lambda: all(map(gone, after.values())), what="the children to end")


def test_a_deaf_child_of_process_1_is_killed_within_the_deadline(containers: list[Container], tmp_path: Path) -> None:
    container = Container(tmp_path, *OBEDIENT[:2], "comments=SOURCE:deaf", timeout=2.0)
    containers.append(container)
    container.ready()
    asked = time.monotonic()
    container.init.terminate()
    assert container.exit_code() == 3
    assert time.monotonic() - asked < allowed(container.timeout + 1.0)


def test_who_is_not_process_1_has_no_strangers() -> None:
    log = log_setup.get_logger("reaper")
    assert not reaping_tasks(log)
    assert len(reaping_tasks(log, pid=1)) == 1


def test_a_child_of_ours_that_ends_while_strangers_are_looked_for_keeps_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its code waits for us
    monkeypatch.setattr("multiprocessing.active_children", lambda: [child])
    assert reap_zombies() == 0
    assert child.wait() == 7
