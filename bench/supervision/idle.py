"""CPU time of the supervisor while nothing flows, against a bare loop that receives the same messages."""

import sys
import time

import psutil

from bench.figure import Figure, at_most
from bench.supervision.whole import ENTRIES, Whole
from tests.support.server import ServerProcess
from tests.support.simulator import ROOT
from tests.support.waiting import wait_until

_SECONDS = 30.0
_LIMIT = 0.5  # % of a core


def measure(system: Whole) -> list[Figure]:
    command = [sys.executable, "-m", "bench.supervision.bare_loop", str(len(ENTRIES))]
    bare = ServerProcess(command, system.directory / "bare-loop.out", cwd=ROOT)
    bare.start()
    try:
        wait_until(bare.output.read_text, 20.0, "the bare loop")
        processes = {"supervisor": psutil.Process(system.system.server.pid), "bare": psutil.Process(bare.pid)}
        before = {name: _cpu(process) for name, process in processes.items()}
        began = time.monotonic()
        time.sleep(_SECONDS)
        seconds = time.monotonic() - began
        used = {name: (_cpu(process) - before[name]) / seconds * 100 for name, process in processes.items()}
    finally:
        bare.stop()
    return [
        Figure(
            f"baseline: a bare loop, {len(ENTRIES)} children heard twice a second",
            used["bare"],
            "% of a core",
            digits=2,
        ),
        at_most(
            f"idle for {seconds:.0f} s: the supervisor's own CPU", used["supervisor"], _LIMIT, "% of a core", digits=2
        ),
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
