"""Serves the supervisor's Unix socket from its own thread: no client, slow or hostile, can block the loop."""

import contextlib
import json
import selectors
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from core.control_client import LONGEST_REQUEST, SOCKET_NAME, encode, is_trusted, peer, socket_address
from core.storage.private_files import make_directory, remove_link
from supervisor.processes.control_inbox import ControlInbox, Restart
from supervisor.processes.status_publisher import StatusPublisher

_MAX_CLIENTS = 16
_BACKLOG = 128  # backlog: connected, not accepted yet
_CLIENT_TIMEOUT_S = 10.0  # seconds to wait for the next request, or for the client to read its answer
_CHECK_INTERVAL_S = 1.0  # seconds between checks that the socket still exists; also between signs of life
_JOIN_TIMEOUT_S = 5.0  # seconds to wait for the thread to end
_REFUSAL_LOG_INTERVAL_S = 60.0  # seconds between log lines about refused clients
_ACCEPT_RETRY_S = 0.5  # seconds to pause when no connection can be accepted (too many open files)

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def answers(status_publisher: StatusPublisher, inbox: ControlInbox) -> Answer:
    """Build the function that answers requests: it reads the status publisher and writes to the control inbox."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        state = status_publisher.as_message()
        match request:
            case {"command": "status"}:
                return {"ok": True, **state}
            case {"command": "restart", "process": str(name)}:
                return _restart(name, state, inbox)
            case _:
                return {"ok": False, "error": 'unknown request; "command" is "status", or "restart" with a "process"'}

    return answer


def _restart(name: str, state: dict[str, Any], inbox: ControlInbox) -> dict[str, Any]:
    processes = {process["name"]: process for process in state["processes"]}
    if name not in processes:
        error = f"unknown process {name!r}; there are: {', '.join(processes)}"
        return {"ok": False, "error": error, "known": list(processes)}
    if state["supervisor"]["state"] == "STOPPING":
        return {"ok": False, "error": "the supervisor is stopping and starts no process"}
    inbox.put(Restart(name))
    return {"ok": True, **processes[name]}


@dataclass(slots=True)
class _Client:
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


class ControlServer:
    """Listens from `start` to `close`. The caller holds the state directory's lock, so an older socket is stale."""

    def __init__(
        self,
        state_dir: Path,
        answer: Answer,
        log: structlog.stdlib.BoundLogger,
        sign_of_life: Callable[[], None] = lambda: None,
    ) -> None:
        self._state_dir = state_dir
        self._path = state_dir / SOCKET_NAME
        self._answer = answer
        self._log = log
        self._sign_of_life = sign_of_life
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, _Client] = {}
        self._listener: socket.socket | None = None
        self._inode: int | None = None
        self._failed = False
        self._refused = 0
        self._next_refusal_log = 0.0
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        """Listen; where that is impossible, log it: the supervisor runs on without the socket."""
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._listen()
        self._thread.start()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._wake.close()
        self._thread.join(_JOIN_TIMEOUT_S)
        if self._listener is not None and self._inode == self._inode_in_place():
            self._path.unlink(missing_ok=True)
        for connection in (*self._clients, self._listener, self._woken):
            if connection is not None:
                connection.close()
        self._selector.close()

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        try:
            remove_link(self._path)
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISSOCK(self._path.lstat().st_mode):
                    raise FileExistsError(f"{self._path} is not a socket: move or remove it")
                self._path.unlink()
            with socket_address(self._state_dir) as address:
                listener.bind(address)
            self._path.chmod(0o600)  # nobody can connect before `listen`, so the socket never has other permissions
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if not self._failed:
                self._log.error(
                    "control_unavailable",
                    error=str(error),
                    hint="status and restart do not work until it can be created; it is retried",
                )
            self._listener, self._failed = None, True
            return
        listener.settimeout(0.0)
        self._listener, self._inode, self._failed = listener, self._inode_in_place(), False
        self._selector.register(listener, selectors.EVENT_READ)

    def _inode_in_place(self) -> int | None:
        try:
            return self._path.lstat().st_ino
        except OSError:
            return None

    def _serve(self) -> None:
        next_check = 0.0
        while True:
            now = time.monotonic()
            if now >= next_check:
                next_check = now + _CHECK_INTERVAL_S
                self._check_socket()
            self._drop_idle(now)
            for key, _ in self._selector.select(max(0.0, next_check - now)):
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept(self._listener)
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._clients:
                    self._serve_client(key.fileobj)

    def _check_socket(self) -> None:
        """Give a sign of life; listen again when the socket or its directory was removed."""
        if not self._state_dir.is_dir():
            self._make_directory()
        self._sign_of_life()
        if self._listener is None or self._inode != self._inode_in_place():
            if self._listener is not None:
                self._log.warning("control_socket_gone", hint="it was removed from outside; it has been created again")
                self._selector.unregister(self._listener)
                self._listener.close()
            self._listen()

    def _make_directory(self) -> None:
        try:
            make_directory(self._state_dir)
        except OSError:
            return  # the function that creates the socket logs the reason
        hint = "it was removed from outside; each process creates its files again from memory"
        self._log.error("state_dir_gone", path=str(self._state_dir), hint=hint)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return  # the client has already disconnected
        except OSError as error:
            self._log.warning("control_client_refused", error=str(error))
            time.sleep(_ACCEPT_RETRY_S)
            return
        client = peer(connection)
        if client is not None and not is_trusted(client[1]):
            self._refuse(connection, *client)
            return
        connection.settimeout(0.0)
        if len(self._clients) >= _MAX_CLIENTS:
            self._drop(min(self._clients, key=lambda client: self._clients[client].deadline))
        self._clients[connection] = _Client(time.monotonic() + _CLIENT_TIMEOUT_S)
        self._selector.register(connection, selectors.EVENT_READ)

    def _refuse(self, connection: socket.socket, pid: int, user: int) -> None:
        """Close the connection of another user's process; normally the socket's mode already keeps it out."""
        connection.close()
        self._refused += 1
        now = time.monotonic()
        if now >= self._next_refusal_log:
            self._next_refusal_log = now + _REFUSAL_LOG_INTERVAL_S
            hint = f"only this user and root may send requests; logged once in {_REFUSAL_LOG_INTERVAL_S:g} s"
            count, self._refused = self._refused, 0
            process = {"pid": pid, "user": user, "count": count}
            self._log.warning("control_client_refused", error="another user", **process, hint=hint)

    def _serve_client(self, connection: socket.socket) -> None:
        """Read the available data, answer whole lines, send what the client accepts; never wait for the client."""
        client = self._clients[connection]
        try:
            # BlockingIOError: the client sent nothing, or accepts no more now. The selector reports when it does.
            with contextlib.suppress(BlockingIOError):
                if not client.unsent:
                    part = connection.recv(LONGEST_REQUEST)
                    client.received += part
                    if not part or len(client.received) > LONGEST_REQUEST:
                        self._drop(connection)
                        return
                    client.unsent += b"".join(map(self._respond, _lines(client.received)))
                if client.unsent:
                    del client.unsent[: connection.send(client.unsent)]
                    client.deadline = time.monotonic() + _CLIENT_TIMEOUT_S
        except OSError:
            self._drop(connection)  # the client disconnected
            return
        self._selector.modify(connection, selectors.EVENT_WRITE if client.unsent else selectors.EVENT_READ)

    def _respond(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return encode({"ok": False, "error": "a request must be one JSON object on one line"})
        try:
            return encode(self._answer(request if isinstance(request, dict) else {}))
        except Exception:  # noqa: BLE001 - whatever it is, the next client must find us here
            self._log.exception("control_failed", request=repr(request))
            return encode({"ok": False, "error": "the request failed; see supervisor.log"})

    def _drop_idle(self, now: float) -> None:
        for connection in [connection for connection, client in self._clients.items() if now >= client.deadline]:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        del self._clients[connection]
        self._selector.unregister(connection)
        connection.close()


def _lines(received: bytearray) -> Iterator[bytes]:
    """Remove the whole lines from the received data and return them."""
    while (end := received.find(b"\n")) >= 0:
        yield bytes(received[:end])
        del received[: end + 1]


@contextlib.contextmanager
def controlled(state_dir: Path, inbox: ControlInbox) -> Iterator[StatusPublisher]:
    """Yield the status publisher; inside the block its snapshots are answered on the socket."""
    log = structlog.stdlib.get_logger("control")
    status_publisher = StatusPublisher(state_dir, log)
    server = ControlServer(state_dir, answers(status_publisher, inbox), log, status_publisher.sign_of_life)
    server.start()
    try:
        yield status_publisher
    finally:
        server.close()
        status_publisher.close()
