"""A killed child: from the SIGKILL until its successor is RUNNING, against a bare interpreter with its imports."""

import os
import select
import signal
import statistics
import subprocess
import sys
import time

from bench.figure import Figure, at_most
from bench.supervision.whole import ENTRIES, Whole, whole

_ROUNDS = 3
_AIM = 1.0
_LONGEST_IMPORT = 30.0


def measure() -> list[Figure]:
    back: dict[str, list[float]] = {name: [] for name in ENTRIES}
    bare: dict[str, list[float]] = {name: [] for name in ENTRIES}
    for _ in range(_ROUNDS):
        with whole() as system:
            system.wait_flowing()
            for name in ENTRIES:
                back[name].append(_kill(system, name))
                bare[name].append(_import(ENTRIES[name], system.path))
    ours = {name: statistics.median(seconds) for name, seconds in back.items()}
    theirs = {name: statistics.median(seconds) for name, seconds in bare.items()}
    figures = [
        Figure(
            f"{name}, SIGKILL to RUNNING (baseline, its imports alone: {theirs[name]:.2f})", ours[name], "s", digits=2
        )
        for name in ENTRIES
    ]
    worst = max(ours, key=lambda name: ours[name])
    return [
        *figures,
        at_most(f"the slowest, {worst} (medians of {_ROUNDS}, each killed once)", ours[worst], _AIM, "s", digits=2),
    ]


def _kill(system: Whole, name: str) -> float:
    """Kill a child that was never killed before; return the seconds until the next one is RUNNING."""
    pid = system.pid(name)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    system.wait(lambda: system.running(name, before=pid), f"the next {name}")
    return time.monotonic() - began


def _import(module: str, path: str) -> float:
    """Return the seconds from starting an interpreter until it has imported a module and what every child needs."""
    command = [sys.executable, "-c", f"import core.child, {module}; print(flush=True); input()"]
    environment = {**os.environ, "PYTHONPATH": path}
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], _LONGEST_IMPORT)
            assert ready, f"{module} was not imported within {_LONGEST_IMPORT:g} s"
            return time.monotonic() - began
        finally:
            process.kill()
