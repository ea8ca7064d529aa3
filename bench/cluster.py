"""Two machines on Apache Kafka with default limits: how long a machine's subreddits have no record.

After a kill: from the kill to the first record that another machine sent, each subreddit. After a clean stop, a kill
with an immediate start, and a kill of the publisher alone: the longest time without a record of each subreddit. The
baseline is the longest time without a record when nothing happens: it contains the poll.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figure import Figure, at_most, percentile
from tests.support.follower import pauses
from tests.support.kafka_nodes import KafkaNodes
from tests.support.machines import Machine, Machines

_NAMES = ("m1", "m2")
_ROUNDS = 6
#: Seconds after an event in which a subreddit must flow again.
_WINDOW_S = 15.0
_CALM_S = 5.0
_WORLD: dict[str, Any] = {"comments_per_second": 58, "submissions_per_second": 2}


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        kafka = KafkaNodes(Path(name), 1, _NAMES)
        kafka.start()
        try:
            machines = Machines(Path(name), _NAMES, kafka, delivery="exactly_once", seed=1, **_WORLD)
            try:
                return _measure(machines)
            finally:
                machines.end()
        finally:
            kafka.close()


def _measure(machines: Machines) -> list[Figure]:
    for machine in machines.all():
        machine.start()
    machines.wait_settled()
    machines.wait_flowing(machines.subreddits, time.time())
    began = time.time()
    machines.pass_time(_WINDOW_S)
    calm = list(pauses(machines.follower.arrivals, machines.subreddits, began, time.time()).values())
    kills = [time for number in range(_ROUNDS) for time in _kill(machines, machines[_NAMES[number % 2]])]
    stops = _interruptions(machines, _stop)
    restarts = _interruptions(machines, _restart)
    publishers = _interruptions(machines, lambda machine: machine.system.kill_child("publisher"))
    return [
        *_figures("baseline: longest time without a record, undisturbed", calm),
        *_figures("SIGKILL of a machine, to the first record of another", kills, 10.0),
        *_figures("clean stop of a machine, time without a record", stops, 3.0),
        *_figures("SIGKILL of a machine and a start at once", restarts, 2.0),
        *_figures("SIGKILL of the publisher alone", publishers),
        at_most("longest time that a reader was blocked", machines.follower.blocked.longest, 15.0, "s", digits=1),
    ]


def _figures(what: str, values: list[float], limit: float | None = None) -> list[Figure]:
    p95 = percentile(values, 0.95)
    worst = Figure(f"{what}: p95", p95, "s", digits=2)
    if limit is not None:
        worst = at_most(f"{what}: p95", p95, limit, "s", digits=2)
    return [Figure(f"{what}: p50 ({len(values)})", percentile(values, 0.5), "s", digits=2), worst]


def _kill(machines: Machines, machine: Machine) -> list[float]:
    """Kill a machine; return how long each of its subreddits took, and let it return."""
    orphaned = machines.subreddits_of(_settled(machines, machine))
    killed = time.time()
    machine.kill()
    times = machines.wait_flowing(orphaned, killed)
    machine.start()
    return list(times.values())


def _interruptions(machines: Machines, disturb: Callable[[Machine], None]) -> list[float]:
    """Disturb each machine in turn; return the longest time without a record of each of its subreddits."""
    found: list[float] = []
    for number in range(_ROUNDS):
        machine = machines[_NAMES[number % 2]]
        own = machines.subreddits_of(_settled(machines, machine))
        began = time.time()
        disturb(machine)
        machines.wait_flowing(own, time.time())
        machines.pass_time(_WINDOW_S + began - time.time())
        found += pauses(machines.follower.arrivals, own, began, time.time()).values()
        machine.heal()
    return found


def _settled(machines: Machines, machine: Machine) -> frozenset[int]:
    shards = machines.wait_settled()[machine.name]
    machines.pass_time(_CALM_S)
    machines.wait_flowing(machines.subreddits, time.time())
    return shards


def _stop(machine: Machine) -> None:
    code = machine.system.stop()
    assert code == 0, f"{machine.name} left with {code}"


def _restart(machine: Machine) -> None:
    machine.kill()
    machine.start()
