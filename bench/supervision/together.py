"""The whole system for a minute at 50 items/s: latency of the monitor's pages, memory of the tree; then idle CPU."""

import sys
import time

import psutil

from bench.figure import Figure, at_least, at_most
from bench.supervision import answers, footprint
from bench.supervision.whole import ENTRIES, RATES, Whole, whole
from tests.support.server import ServerProcess
from tests.support.simulator import ROOT
from tests.support.waiting import wait_until

_FLOW = 60.0
_SETTLE = 3.0
_SUBREDDITS = 24  #: a minute of work for the scraper, so that it too is idle soon afterwards
_IDLE_SECONDS = 30.0
_IDLE_LIMIT = 0.5  # % of a core


def measure() -> list[Figure]:
    with whole(world={"crawl_subreddits": _SUBREDDITS}) as system:
        system.wait_flowing()
        began, before = time.monotonic(), _captured(system)
        pages = answers.measure(system)  # loaded like this the monitor counts in what the tree occupies
        time.sleep(max(0.0, began + _FLOW - time.monotonic()))
        rate = (_captured(system) - before) / (time.monotonic() - began)
        flow = at_least("items a second that flowed meanwhile", rate, 0.95 * sum(RATES.values()), digits=1)
        memory = footprint.measure(system)
        system.simulator.pause()
        system.wait(system.crawl_is_over, "the crawl to be over", timeout=120.0)
        time.sleep(_SETTLE)
        return [*pages, flow, *memory, *_measure_idle(system)]


def _captured(system: Whole) -> int:
    return sum(stream.captured for stream in system.flow().values())


def _measure_idle(system: Whole) -> list[Figure]:
    """Measure CPU time while nothing flows, against a bare loop that receives the same messages."""
    command = [sys.executable, "-m", "bench.supervision.bare_loop", str(len(ENTRIES))]
    bare = ServerProcess(command, system.directory / "bare-loop.out", cwd=ROOT)
    bare.start()
    try:
        wait_until(bare.output.read_text, 20.0, "the bare loop")
        processes = {"supervisor": psutil.Process(system.system.server.pid), "bare": psutil.Process(bare.pid)}
        before = {name: _cpu(process) for name, process in processes.items()}
        began = time.monotonic()
        time.sleep(_IDLE_SECONDS)
        seconds = time.monotonic() - began
        used = {name: (_cpu(process) - before[name]) / seconds * 100 for name, process in processes.items()}
    finally:
        bare.stop()
    return [
        Figure(
            f"baseline: a bare loop, {len(ENTRIES)} children, two messages per second each",
            used["bare"],
            "% of a core",
            digits=2,
        ),
        at_most(
            f"idle for {seconds:.0f} s: the supervisor's own CPU",
            used["supervisor"],
            _IDLE_LIMIT,
            "% of a core",
            digits=2,
        ),
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
