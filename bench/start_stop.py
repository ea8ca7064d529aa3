"""Time from the command to the first record in Kafka, and from SIGTERM to the exit when idle; median of three."""

import statistics
import tempfile
import time
from pathlib import Path

from bench.arrivals import Arrivals
from bench.figure import Figure, at_most
from bench.live import our_system
from tests.support.brokers import TansuBroker
from tests.support.simulator import Simulator
from tests.support.waiting import wait_until

_ROUNDS = 3


def measure() -> list[Figure]:
    rounds = [_round() for _ in range(_ROUNDS)]
    starts, stops = zip(*rounds, strict=True)
    return [
        at_most("from start to the first record in Kafka (median of 3)", statistics.median(starts), 3.0, "s", digits=2),
        at_most("from SIGTERM to exit when idle (median of 3)", statistics.median(stops), 1.5, "s", digits=2),
    ]


def _round() -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        broker, simulator = TansuBroker(directory), Simulator(directory, backlog=100)
        broker.start()
        simulator.start()
        arrivals = Arrivals(broker.bootstrap_servers, "bench")
        system = our_system(directory, simulator, broker)
        try:
            began = time.monotonic()
            system.start()
            wait_until(lambda: arrivals.records, 30.0, "the first record")
            started = time.monotonic() - began
            simulator.pause()
            time.sleep(3.0)  # now idle
            began = time.monotonic()
            system.terminate()
            code = system.server.wait(30.0)
            assert code == 0, f"the supervisor left with {code}"
            return started, time.monotonic() - began
        finally:
            system.destroy()
            arrivals.close()
            simulator.stop()
            broker.stop()
