"""Ten times the usual load: 200 items a second with a quota to match, in both delivery modes: delay, CPU, memory."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from bench.arrivals import Arrivals
from bench.figure import Figure, at_most, percentile, pss_mib
from tests.support.brokers import ApacheKafka, Broker, TansuBroker
from tests.support.kafka_jars import KafkaUnavailableError
from tests.support.ledger import Gap, Item
from tests.support.simulator import Simulator
from tests.support.system import System
from tests.support.waiting import wait_until

_SECONDS = 30.0
_SETTLE_S = 8.0
#: For late items: they surface within 12 s, and are found or recorded as a gap at the next late scan.
_LATE_S = 45.0
_TOPIC = "bench"
_WORLD: dict[str, Any] = {
    "comments_per_second": 190,
    "submissions_per_second": 10,
    "backlog": 100,
    "seed": 1,
    "quota": 10_000,
}
_REQUESTS_PER_MINUTE = 1000


def measure() -> list[Figure]:
    figures: list[Figure] = []
    for delivery, make in (("at_least_once", TansuBroker), ("exactly_once", ApacheKafka)):
        with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
            try:
                broker: Broker = make(Path(directory))
            except KafkaUnavailableError as missing:
                print(f"(no Apache Kafka: {missing})")
                continue
            figures += _run(Path(directory), broker, delivery)
    return figures


def _run(directory: Path, broker: Broker, delivery: str) -> list[Figure]:
    simulator = Simulator(directory, **_WORLD)
    with ExitStack() as stack:
        for server in (broker, simulator):
            server.start()
            stack.callback(server.stop)
        arrivals = Arrivals(broker.bootstrap_servers, _TOPIC)
        stack.callback(arrivals.close)
        system = System(
            directory / "system",
            reddit={
                "subreddits": list(simulator.subreddits),
                "reddit_url": simulator.url,
                "oauth_url": simulator.url,
                "requests_per_minute": _REQUESTS_PER_MINUTE,
            },
            kafka={"bootstrap_servers": broker.bootstrap_servers, "topic": _TOPIC, "delivery": delivery},
        )
        stack.callback(system.destroy)
        system.start()
        system.wait_up()
        wait_until(lambda: arrivals.records, 30.0, "the first record")
        time.sleep(_SETTLE_S)
        return _observe(system, simulator, arrivals, f"{broker.name}, {delivery}")


def _observe(system: System, simulator: Simulator, arrivals: Arrivals, how: str) -> list[Figure]:
    processes = [system.server.pid, *(process.pid for process in system.children().values())]
    began, before = time.time(), _cpu_seconds(processes)
    time.sleep(_SECONDS)
    ended, cpu = time.time(), _cpu_seconds(processes) - before
    memory = sum(map(pss_mib, processes))
    time.sleep(_LATE_S)
    due = [item for item in simulator.truth() if began < item.created < ended and item.due]
    missing = [item for item in due if item.fullname not in arrivals.times]
    gaps = [Gap.from_report(entry) for entry in system.gaps()]
    recorded = sum(any(gap.covers(item) for gap in gaps) for item in missing)
    delays = [arrivals.times[item.fullname] - item.created for item in due if _prompt(item) and item not in missing]
    return [
        Figure(f"{how}: items a second", len(due) / (ended - began), digits=1),
        at_most(f"{how}: lost outside the recorded gaps", len(missing) - recorded, 0),
        Figure(f"{how}: late items that passed too fast, in a recorded gap", recorded),
        at_most(f"{how}: doubled", arrivals.records - len(arrivals.times), 0),
        Figure(f"{how}: p50 delay from creation to Kafka", percentile(delays, 0.50), "s", digits=2),
        at_most(f"{how}: p99 delay from creation to Kafka", percentile(delays, 0.99), 4.0, "s", digits=2),
        at_most(f"{how}: CPU of the whole tree", cpu / (ended - began), 1.0, "cores", digits=2),
        at_most(f"{how}: PSS of the whole tree", memory, 150, "MiB"),
    ]


def _cpu_seconds(processes: list[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in processes]
    return sum(one.user + one.system for one in times)


def _prompt(item: Item) -> bool:
    """Return whether the item could be seen at once."""
    return item.surfaced_at is not None and item.surfaced_at - item.created < 0.5
