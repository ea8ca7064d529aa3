"""The messages to systemd: on a real socket, from the real supervisor, word by word."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from core.logging import log_setup
from core.process import core_dumps
from supervisor.processes.status_publisher import ProcessRow, Snapshot
from supervisor.runtime.systemd_notify import Notifier, describe
from tests.support.processes import living_children
from tests.support.waiting import wait_until

OBEDIENT = ("publisher=SINK:obedient", "submissions=SOURCE:obedient", "comments=SOURCE:obedient")
NAMES = ("publisher", "submissions", "comments")
LOG = log_setup.get_logger("notify")


class ServiceManager:
    """The socket of a service manager, and the messages that it received."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(0)

    def listen(self) -> list[str]:
        """Return all lines received so far."""
        while True:
            try:
                self.lines += self._socket.recv(65536).decode().split("\n")
            except BlockingIOError:
                return self.lines

    def hears(self, line: str, times: int = 1) -> None:
        wait_until(lambda: self.listen().count(line) >= times, what=f"{line} ({times} times); heard: {self.lines}")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """A service manager at an abstract address; tests without processes use a path."""
    manager = ServiceManager(f"@gapless-{tmp_path}")
    yield manager
    manager.close()


@pytest.fixture
def families() -> Iterator[list[psutil.Popen]]:
    families: list[psutil.Popen] = []
    yield families
    for family in families:
        if family.is_running():
            family.kill()
        family.wait()


def family(state_dir: Path, manager: ServiceManager, *children: str, **environ: str) -> psutil.Popen:
    command = [sys.executable, "-m", "tests.supervisor.family", str(state_dir), "10", "30", *children]
    env = {**os.environ, "NOTIFY_SOCKET": manager.address, **environ}
    return psutil.Popen(command, env=env, stderr=subprocess.DEVNULL)


def test_ready_when_all_run_alive_meanwhile_stopping_at_the_end(
    families: list[psutil.Popen], manager: ServiceManager, tmp_path: Path
) -> None:
    process = family(tmp_path / "state", manager, *OBEDIENT, WATCHDOG_USEC="400000", **{core_dumps.SWITCH: "1"})
    families.append(process)
    manager.hears("READY=1")
    assert manager.lines.count("STATUS=3 of 3 processes run") == 1
    before_ready = manager.lines[: manager.lines.index("READY=1")]
    assert before_ready[0].startswith("STATUS=0 of 3 processes run; publisher STARTING")
    manager.hears("WATCHDOG=1", times=manager.listen().count("WATCHDOG=1") + 3)
    children = list(living_children(process, NAMES).values())
    assert len(children) == 3
    for child in children:
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(child.environ())
    children[0].kill()
    manager.hears("STATUS=3 of 3 processes run", times=2)
    process.terminate()
    assert process.wait(20) == 0
    heard = manager.listen()
    assert heard.count("READY=1") == heard.count("STOPPING=1") == 1
    assert "STATUS=Stopping: publisher" in heard
    assert "WATCHDOG=1" not in heard[heard.index("STOPPING=1") :]
    assert heard[-1] == "STATUS=Stopped"


def test_a_stopped_supervisor_gives_no_sign_of_life(
    families: list[psutil.Popen], manager: ServiceManager, tmp_path: Path
) -> None:
    """The watchdog message comes from the loop itself: a stalled loop sends none."""
    process = family(tmp_path / "state", manager, *OBEDIENT, WATCHDOG_USEC="200000")
    families.append(process)
    manager.hears("READY=1")
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED, what="the supervisor to stand still")
    beats = manager.listen().count("WATCHDOG=1")
    process.resume()
    manager.hears("WATCHDOG=1", times=beats + 2)
    process.terminate()
    assert process.wait(20) == 0


def test_a_parked_child_does_not_keep_the_others_from_being_ready(
    families: list[psutil.Popen], manager: ServiceManager, tmp_path: Path
) -> None:
    process = family(tmp_path / "state", manager, *OBEDIENT[:2], "comments=SOURCE:hopeless")
    families.append(process)
    manager.hears("READY=1")
    assert "STATUS=2 of 3 processes run; comments FATAL" in manager.lines
    process.terminate()
    assert process.wait(20) == 0


def rows(*states: str) -> tuple[ProcessRow, ...]:
    return tuple(ProcessRow(f"p{n}", n, state, 0, None, 0.0, "", 0.0) for n, state in enumerate(states, 1))


def snapshot(*states: str, state: str = "RUNNING") -> Snapshot:
    return Snapshot(state, 0.0, rows(*states), tuple(0.0 for _ in states))


def test_without_a_service_manager_nothing_is_said() -> None:
    environ = {"PATH": "/bin", "WATCHDOG_USEC": "1000"}
    notifier = Notifier.from_environ(environ, LOG)
    with capture_logs() as logged:
        notifier.notify(snapshot("RUNNING"))
        assert notifier.during_reload(lambda: 5) == 5
        notifier.close()
    assert environ == {"PATH": "/bin"}
    assert not notifier.tasks()
    assert not logged


@pytest.mark.parametrize(
    ("variables", "interval"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time_where_it_means_us(
    variables: dict[str, str], interval: float | None, tmp_path: Path
) -> None:
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": str(tmp_path / "nobody"), **variables}, LOG)
    assert [task.interval for task in notifier.tasks()] == ([] if interval is None else [interval])
    notifier.close()


def test_what_could_not_be_said_is_said_with_the_next_snapshot(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": str(address)}, LOG)
    with capture_logs() as logged:
        notifier.notify(snapshot("RUNNING"))
        notifier.notify(snapshot("RUNNING"))
    assert [entry["event"] for entry in logged] == ["service_manager_unreachable"]
    manager = ServiceManager(str(address))
    notifier.notify(snapshot("RUNNING"))
    notifier.notify(snapshot("RUNNING"))
    assert manager.listen() == ["READY=1", "STATUS=1 of 1 processes run"]
    notifier.close()
    manager.close()


def test_reading_the_configuration_anew(tmp_path: Path) -> None:
    """Not before all are ready, and not during a stop: there READY=1 means something else."""
    manager = ServiceManager(str(tmp_path / "notify"))
    notifier = Notifier(manager.address, None, LOG, clock=lambda: 12.5)
    notifier.notify(snapshot("STARTING"))
    assert notifier.during_reload(lambda: "read") == "read"
    notifier.notify(snapshot("RUNNING"))
    assert notifier.during_reload(lambda: "read") == "read"
    with pytest.raises(ZeroDivisionError):
        notifier.during_reload(lambda: 1 // 0)
    notifier.notify(snapshot(state="STOPPING"))
    notifier.during_reload(lambda: "read")
    said = [line for line in manager.listen() if not line.startswith("STATUS=")]
    reload = ["RELOADING=1", "MONOTONIC_USEC=12500000", "READY=1"]
    assert said == ["READY=1", *reload, *reload, "STOPPING=1"]
    notifier.close()
    manager.close()


def test_the_state_in_words() -> None:
    assert describe(snapshot("RUNNING", "BACKOFF", "RUNNING")) == "2 of 3 processes run; p2 BACKOFF"
    assert describe(snapshot("STOPPING", "EXITED", state="STOPPING")) == "Stopping: p1, p2"
    assert describe(Snapshot("STOPPING", 0.0, (), ())) == "Stopped"
