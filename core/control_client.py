"""Sends requests to a running supervisor over its Unix socket: `state_dir/supervisor.sock`, for its owner only.

The protocol is one JSON object a line in each direction: {"command": "status"} or {"command": "restart", "process":
NAME}; the answer holds "ok": true, or "ok": false and an "error" message.
"""

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import GaplessError
from core.process import program

SOCKET_NAME = "supervisor.sock"

#: Longest accepted line, bytes: our requests are shorter.
LONGEST_REQUEST = 4096

_ROOT = 0
_CREDENTIALS = struct.Struct("3i")  # pid, user, group

_LONGEST_ANSWER = 1_000_000
_LONGEST_ADDRESS = 100  # bytes; the kernel's limit is 107, elsewhere 103
_DESCRIPTORS = Path("/proc/self/fd")
_TIMEOUT = 5.0
_PAUSE = 0.02


class ControlError(GaplessError):
    """The supervisor could not be reached, or refused; the message states why and what to do."""


class NotRunningError(ControlError):
    """No process listens: no supervisor runs on this state directory."""


class NotAnsweringError(ControlError):
    """A process listens and does not answer, or cannot be reached."""


class UnknownProcessError(ControlError):
    """There is no process of that name; the message lists the existing ones."""


@contextlib.contextmanager
def socket_address(state_dir: Path) -> Iterator[str]:
    """Yield an address of the socket that is short enough for the kernel, for any length of the directory's name."""
    path = state_dir / SOCKET_NAME
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    if not _DESCRIPTORS.exists():
        raise OSError(f"the path {path} is too long for a Unix socket: set supervisor.state_dir to a shorter path")
    directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield str(_DESCRIPTORS / str(directory) / SOCKET_NAME)
    finally:
        os.close(directory)


def peer(connection: socket.socket) -> tuple[int, int] | None:
    """Return pid and user of the process at the other end, None when the kernel does not report them."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, user


def is_trusted(user: int) -> bool:
    """Return whether a user may send commands: ours, and root."""
    return user in {os.geteuid(), _ROOT}


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as one line."""
    return json.dumps(message).encode() + b"\n"


def ask(state_dir: Path, request: dict[str, Any], timeout: float = _TIMEOUT) -> dict[str, Any]:
    """Send a request and return the answer. Raises ControlError: not running, not answering, or refused."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            with socket_address(state_dir) as address:
                _connect(connection, address, timeout)
            _refuse_impostor(connection, state_dir)
            connection.sendall(encode(request))
            answer = json.loads(_read_line(connection))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NotRunningError(
            f"no supervisor runs on {state_dir}: start one with `{program.command()} run CONFIG`"
        ) from None
    except PermissionError:
        raise NotAnsweringError(
            f"{state_dir / SOCKET_NAME} belongs to another user: run this command as the user that runs the supervisor"
        ) from None
    except (OSError, ValueError) as error:
        reason = f"within {timeout:g} s" if isinstance(error, TimeoutError) else f"({error})"
        raise NotAnsweringError(f"the supervisor on {state_dir} does not answer {reason}") from None
    if not isinstance(answer, dict):
        raise NotAnsweringError(f"the process that listens on {state_dir / SOCKET_NAME} is not a supervisor: end it")
    if not answer.get("ok"):
        raise (UnknownProcessError if "known" in answer else ControlError)(
            str(answer.get("error", "the supervisor refused the command"))
        )
    return answer


def _refuse_impostor(connection: socket.socket, state_dir: Path) -> None:
    """Raise NotAnsweringError when the listener's user is neither ours, nor root, nor the owner of the directory."""
    other = peer(connection)
    if other is not None and not is_trusted(other[1]) and other[1] != state_dir.stat().st_uid:
        raise NotAnsweringError(
            f"a process of another user (pid {other[0]}, user id {other[1]}) listens on {state_dir / SOCKET_NAME}: "
            f"end it, and make {state_dir} writable for its owner only"
        )


def _connect(connection: socket.socket, address: str, timeout: float) -> None:
    """Connect; the kernel refuses instead of waiting while too many connections are pending."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.connect(address)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(_PAUSE)
        else:
            return


def _read_line(connection: socket.socket) -> bytes:
    answer = bytearray()
    while not answer.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            raise OSError("it closed the connection")
        answer += part
        if len(answer) > _LONGEST_ANSWER:
            raise OSError("its answer is too long")
    return bytes(answer)
