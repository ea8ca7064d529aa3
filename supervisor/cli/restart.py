"""`python -m supervisor restart`: replaces one process by a new one, or wakes it, and waits until it runs."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from core import control_client
from core.config import load_config
from core.control_client import ControlError
from core.errors import ExitCode
from core.masking.external import masked
from supervisor.cli.commands import Command
from supervisor.processes.restart_policy import describe_exit

_DESCRIPTION = """\
Replace a process by a new one, or start one that is parked (FATAL), and wait
for 30 s at most until it reports that it works. Needs a running supervisor."""

_EPILOG = """\
exit codes:
  0  the new process runs
  1  it does not run within 30 s, or the supervisor does not run
  2  bad command line or configuration, or no process of that name

example:
  python -m supervisor restart config.toml comments"""

_POLL_INTERVAL_S = 0.1
_READY_TIMEOUT_S = 30.0  # seconds to wait until the new process reports ready


def restart(
    path: Path,
    name: str,
    *,
    out: TextIO,
    err: TextIO,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> ExitCode:
    """Request the restart and wait until the process runs. Return 1 if it does not or nothing answers, 2 if unknown."""
    config = load_config(path, credentials=False)
    state_dir, log_dir = config.supervisor.state_dir, config.supervisor.log_dir
    started = clock()
    try:
        before = control_client.ask(state_dir, {"command": "restart", "process": name})
        process = before
        while clock() - started < _READY_TIMEOUT_S:
            sleep(_POLL_INTERVAL_S)
            process = _process(state_dir, name)
            if process["restarts"] > before["restarts"] and process["state"] in {"RUNNING", "FATAL"}:
                break
    except control_client.UnknownProcessError as error:
        print(error, file=err)
        return ExitCode.BAD_USAGE
    except ControlError as error:
        print(error, file=err)
        return ExitCode.GAVE_UP
    if process["restarts"] > before["restarts"] and process["state"] == "RUNNING":
        print(f"{name}: RUNNING, pid {process['pid']} (after {clock() - started:.1f} s)", file=out)
        return ExitCode.OK
    print(_failure(process, clock() - started, log_dir / f"{name}.log"), file=err)
    return ExitCode.GAVE_UP


def _process(state_dir: Path, name: str) -> dict[str, Any]:
    answer = control_client.ask(state_dir, {"command": "status"})
    for process in answer["processes"]:
        if process["name"] == name:
            found: dict[str, Any] = process
            return found
    raise ControlError(f"{name} no longer exists: a reload of the configuration has removed it")


def _failure(process: dict[str, Any], waited: float, log: Path) -> str:
    ended = "" if process["last_exit"] is None else f", last exit: {describe_exit(process['last_exit'])}"
    why = f" ({masked(process['why'])})" if process["why"] else ""
    return f"{process['name']}: {process['state']}{why} after {waited:.1f} s{ended}; see {log}"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "the name of the process, as `status` shows it, such as comments"
    parser.add_argument("process", metavar="PROCESS", help=text)


def _run(options: argparse.Namespace) -> int:
    return restart(options.config, options.process, out=sys.stdout, err=sys.stderr)


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run, operands="PROCESS")
