"""The whole system for a minute at 50 items/s: latency of the monitor's pages, memory of the tree; then idle."""

import time

from bench.figure import Figure, at_least
from bench.supervision import answers, footprint, idle
from bench.supervision.whole import RATES, Whole, whole

_FLOW = 60.0
_SETTLE = 3.0
_SUBREDDITS = 24  #: a minute of work for the scraper, so that it too is idle soon afterwards


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
        return [*pages, flow, *memory, *idle.measure(system)]


def _captured(system: Whole) -> int:
    return sum(stream.captured for stream in system.flow().values())
