"""The control socket: its users, its robustness; no client blocks another one, or the loop."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from core import control_client
from core.control_client import LONGEST_REQUEST, NotAnsweringError, NotRunningError, UnknownProcessError
from supervisor.processes import control_server as serving
from supervisor.processes.control_inbox import ControlInbox, Reload, Restart
from supervisor.processes.control_server import ControlServer
from supervisor.processes.status_publisher import ProcessRow, Snapshot, StatusPublisher
from tests.support.durations import allowed
from tests.support.files import remove_directory_in_use
from tests.support.strangers import as_nobody, needs_root, public_directory, umask
from tests.support.waiting import wait_until

LOG = structlog.stdlib.get_logger("test")


def echo(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("command") == "fail":
        raise RuntimeError("on purpose")
    return {"ok": True, "heard": request, "much": "x" * int(request.get("much", 0))}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    server = ControlServer(tmp_path, echo, LOG)
    server.start()
    yield server
    server.close()


def connect(state_dir: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5.0)
    with control_client.socket_address(state_dir) as address:
        connection.connect(address)
    return connection


@pytest.mark.usefixtures("server")
def test_it_answers_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.sock"
    assert control_client.ask(tmp_path, {"command": "status"})["heard"] == {"command": "status"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_uid == os.getuid()


def test_closing_takes_the_socket_away(tmp_path: Path) -> None:
    server = ControlServer(tmp_path, echo, LOG)
    server.start()
    server.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotRunningError, match="no supervisor runs on"):
        control_client.ask(tmp_path, {"command": "status"})


def test_a_state_directory_with_a_very_long_name_works_too(tmp_path: Path) -> None:
    state_dir = tmp_path / ("d" * 120) / ("e" * 120)
    state_dir.mkdir(parents=True)
    server = ControlServer(state_dir, echo, LOG)
    server.start()
    try:
        assert control_client.ask(state_dir, {})["ok"]
        assert stat.S_IMODE((state_dir / "supervisor.sock").stat().st_mode) == 0o600
    finally:
        server.close()
    assert list(state_dir.iterdir()) == []


def test_a_stale_socket_means_not_running_and_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "supervisor.sock"))
    with pytest.raises(NotRunningError):
        control_client.ask(tmp_path, {})
    server = ControlServer(tmp_path, echo, LOG)
    server.start()
    try:
        assert control_client.ask(tmp_path, {})["ok"]
    finally:
        server.close()


def test_what_is_no_socket_is_left_alone_and_the_supervisor_runs_on(tmp_path: Path) -> None:
    (tmp_path / "supervisor.sock").write_text("somebody's notes")
    server = ControlServer(tmp_path, echo, LOG)
    server.start()
    server.close()
    assert (tmp_path / "supervisor.sock").read_text() == "somebody's notes"


def test_a_socket_that_somebody_cleared_away_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_CHECK_INTERVAL_S", 0.05)
    signs: list[float] = []
    server = ControlServer(tmp_path, echo, LOG, lambda: signs.append(time.monotonic()))
    server.start()
    try:
        (tmp_path / "supervisor.sock").unlink()
        wait_until((tmp_path / "supervisor.sock").exists, what="a new socket")
        wait_until(lambda: control_client.ask(tmp_path, {})["ok"], what="an answer")
        wait_until(lambda: len(signs) >= 3, what="signs of life")
    finally:
        server.close()


def test_a_state_directory_that_somebody_removed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_CHECK_INTERVAL_S", 0.05)
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    status_publisher = StatusPublisher(state_dir, LOG)
    server = ControlServer(state_dir, echo, LOG, status_publisher.sign_of_life)
    server.start()
    try:
        remove_directory_in_use(state_dir)
        wait_until((state_dir / "supervisor.sock").exists, what="a new socket")
        wait_until(lambda: control_client.ask(state_dir, {})["ok"], what="an answer")
        status_publisher.publish(Snapshot("RUNNING", 40.0, (), ()))
        assert (state_dir / "supervisor.json").exists()
    finally:
        server.close()


@pytest.mark.usefixtures("server")
def test_one_connection_may_ask_many_times_and_in_pieces(tmp_path: Path) -> None:
    with connect(tmp_path) as connection, connection.makefile("rb") as answers:
        for piece in (b'{"n"', b": 1}", b'\n{"n": 2}\n{"n"', b": 3}\n"):
            connection.sendall(piece)
        assert [json.loads(answers.readline())["heard"]["n"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "nonsense", [b"GET / HTTP/1.1\n", b"\xff\xfe\n", b"[" * 3000 + b"\n", b'{"command": "fail"}\n']
)
def test_nonsense_gets_an_error_and_harms_nobody(tmp_path: Path, nonsense: bytes) -> None:
    with connect(tmp_path) as connection, connection.makefile("rb") as answers:
        connection.sendall(nonsense + b"\n")
        assert json.loads(answers.readline())["ok"] is False
    assert control_client.ask(tmp_path, {})["ok"]


@pytest.mark.usefixtures("server")
def test_a_request_without_end_is_hung_up_on(tmp_path: Path) -> None:
    with connect(tmp_path) as connection:
        connection.sendall(b"x" * (LONGEST_REQUEST + 1))
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert control_client.ask(tmp_path, {})["ok"]


@pytest.mark.usefixtures("server")
def test_silent_clients_and_such_that_take_no_answer_keep_nobody_waiting(tmp_path: Path) -> None:
    crowd = [connect(tmp_path) for _ in range(40)]
    for connection in crowd[::2]:
        with contextlib.suppress(BrokenPipeError):  # the crowd is larger than what is let in
            connection.sendall(control_client.encode({"much": 900_000}))  # and never reads it
    asked = time.monotonic()
    for _ in range(20):
        assert control_client.ask(tmp_path, {})["ok"]
    assert time.monotonic() - asked < allowed(2.0)
    for connection in crowd:
        connection.close()


def test_a_late_client_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_CHECK_INTERVAL_S", 0.05)
    monkeypatch.setattr(serving, "_CLIENT_TIMEOUT_S", 0.2)
    server = ControlServer(tmp_path, echo, LOG)
    server.start()
    try:
        with connect(tmp_path) as connection:
            assert connection.recv(1) == b""
    finally:
        server.close()


def test_a_supervisor_that_hangs_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "supervisor.sock"))
        hanging.listen(1)
        with pytest.raises(NotAnsweringError, match=r"does not answer within 0.2 s"):
            control_client.ask(tmp_path, {}, timeout=0.2)


def board_with(tmp_path: Path, state: str) -> StatusPublisher:
    status_publisher = StatusPublisher(tmp_path, LOG, clock=lambda: 100.0)
    row = ProcessRow("comments", os.getpid(), "RUNNING", 3, -9, 60.0, "", 0.0, 70.0)
    status_publisher.publish(Snapshot(state, 40.0, (row,), (99.5,)))
    return status_publisher


def test_what_stands_on_the_board_is_answered(tmp_path: Path) -> None:
    answer = serving.answers(board_with(tmp_path, "RUNNING"), ControlInbox())({"command": "status"})
    assert answer["supervisor"] == {"pid": os.getpid(), "state": "RUNNING", "uptime_s": 60.0}
    (process,) = answer["processes"]
    assert process["rss_bytes"] > 1_000_000
    assert (process["name"], process["restarts"], process["last_exit"]) == ("comments", 3, -9)
    assert (process["uptime_s"], process["heartbeat_age_s"], process["state_age_s"]) == (40.0, 0.5, 30.0)


def test_a_restart_is_handed_to_the_loop_or_refused(tmp_path: Path) -> None:
    inbox = ControlInbox()
    answer = serving.answers(board_with(tmp_path, "RUNNING"), inbox)
    assert answer({"command": "restart", "process": "comments"})["ok"]
    assert inbox.collect() == [Restart("comments")]
    assert answer({"command": "restart", "process": "nobody"})["known"] == ["comments"]
    assert not answer({"command": "restart"})["ok"]
    assert not answer({"command": "dance"})["ok"]
    stopping = serving.answers(board_with(tmp_path, "STOPPING"), inbox)
    assert "stopping" in stopping({"command": "restart", "process": "comments"})["error"]
    assert inbox.collect() == []


def test_an_unknown_process_is_an_error_of_its_own(tmp_path: Path) -> None:
    server = ControlServer(tmp_path, serving.answers(board_with(tmp_path, "RUNNING"), ControlInbox()), LOG)
    server.start()
    try:
        with pytest.raises(UnknownProcessError, match="'nobody'; there are: comments"):
            control_client.ask(tmp_path, {"command": "restart", "process": "nobody"})
    finally:
        server.close()


def test_a_storm_of_one_signal_asks_for_one_thing() -> None:
    inbox = ControlInbox()
    for number in (signal.SIGHUP,) * 50 + (signal.SIGTERM,) * 50 + (signal.SIGHUP,):
        inbox._handle(number, None)  # noqa: SLF001
    assert inbox.collect() == [Reload(), "SIGTERM", Reload()]


#: Connects, sends a line, and prints what comes back.
_ASK = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.settimeout(5)
one.connect(sys.argv[1])
try:
    one.sendall(b'{"command": "status"}\\n')
    print(one.recv(100))
except OSError:
    print(b"")
"""

#: Listens there, and answers everybody.
_LISTEN = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.bind(sys.argv[1])
one.listen()
print("listens", flush=True)
while True:
    other, _ = one.accept()
    other.recv(100)
    other.sendall(b'{"ok": true}\\n')
"""

PYTHON = "/usr/bin/python3"
needs_python = pytest.mark.skipif(
    not Path(PYTHON).exists(), reason="another user needs an interpreter that it can read"
)


@needs_root
@needs_python
def test_another_user_is_not_answered_even_where_the_socket_is_open_to_all() -> None:
    with public_directory() as state_dir, umask(0), structlog.testing.capture_logs() as logs:
        server = ControlServer(state_dir, echo, LOG)
        server.start()
        (state_dir / "supervisor.sock").chmod(0o777)
        command = as_nobody([PYTHON, "-c", _ASK, str(state_dir / "supervisor.sock")])
        answers = [subprocess.run(command, capture_output=True, timeout=10, check=True).stdout for _ in range(3)]
        assert control_client.ask(state_dir, {"command": "status"})["ok"]
        server.close()
    assert answers == [b"b''\n"] * 3
    refused = [entry for entry in logs if entry["event"] == "control_client_refused"]
    assert len(refused) == 1, "logged with a count, not a line each"
    assert (refused[0]["user"], refused[0]["count"]) == (65534, 1)


@needs_root
@needs_python
def test_what_another_user_listens_with_is_not_believed() -> None:
    with public_directory() as state_dir:
        state_dir.chmod(0o777)
        command = as_nobody([PYTHON, "-c", _LISTEN, str(state_dir / "supervisor.sock")])
        with subprocess.Popen(command, stdout=subprocess.PIPE) as impostor:
            assert impostor.stdout is not None
            assert impostor.stdout.readline() == b"listens\n"
            with pytest.raises(NotAnsweringError, match="another user"):
                control_client.ask(state_dir, {"command": "status"})
            impostor.kill()


def test_a_link_in_the_place_of_the_socket_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "supervisor.sock").symlink_to(tmp_path / "elsewhere")
    server = ControlServer(tmp_path, echo, LOG)
    server.start()
    assert control_client.ask(tmp_path, {"command": "status"})["ok"]
    assert not (tmp_path / "elsewhere").exists()
    server.close()
