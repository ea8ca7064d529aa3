"""A storm against several machines, planned from a seed: kills, freezes, cut networks, stops, and brokers that leave.

The plan is data. At any moment one machine at least is left alone, and one broker at most is away.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.support.cluster_audit import Takeover
from tests.support.kafka_nodes import KafkaNodes
from tests.support.machines import Machine, Machines
from tests.support.waiting import wait_until

#: Each kind of trouble: its weight, and the range of its length in seconds.
_TROUBLES: dict[str, tuple[float, tuple[float, float]]] = {
    "kill": (3.0, (0.0, 15.0)),
    "stop": (1.0, (0.0, 10.0)),
    "freeze": (3.0, (8.0, 20.0)),  # longer than a session
    "cut kafka": (2.0, (3.0, 20.0)),
    "cut kafka silently": (2.0, (3.0, 20.0)),
    "cut reddit": (1.0, (3.0, 15.0)),
    "cut reddit silently": (1.0, (3.0, 15.0)),
    "stop broker": (1.0, (1.0, 8.0)),
    "kill broker": (1.0, (0.0, 8.0)),
}
_BETWEEN = (2.0, 8.0)
_RECOVERY = 10.0  #: after a machine's trouble until the next one there
_BROKER_RECOVERY = 30.0
#: A kill with this much calm around it shows how long a takeover takes.
_CALM_BEFORE, _CALM_AFTER = 15.0, 20.0
_CALM_EVERY = 6


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble: when it begins, seconds after the storm, what happens to whom, and for how long."""

    at: float
    kind: str
    target: str
    seconds: float
    calm: bool = False  #: a kill without another trouble near it

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.kind} {self.target} for {self.seconds:.1f} s{', calm' if self.calm else ''}"


def plan(seed: int, seconds: float, machines: Sequence[str], brokers: Sequence[int] = ()) -> list[Trouble]:
    """Return the troubles of a storm of this length, ascending."""
    chance = random.Random(seed)
    kinds = {kind: weight for kind, (weight, _) in _TROUBLES.items() if brokers or "broker" not in kind}
    free_at = dict.fromkeys([*machines, "broker"], 0.0)
    found: list[Trouble] = []
    at = chance.uniform(*_BETWEEN)
    while at < seconds:
        if len(found) % _CALM_EVERY == _CALM_EVERY - 1:
            at = max(at, *(free - _RECOVERY for free in free_at.values())) + _CALM_BEFORE
            found.append(Trouble(at, "kill", chance.choice(list(machines)), _CALM_AFTER, calm=True))
            free_at = dict.fromkeys(free_at, at + _CALM_AFTER + _RECOVERY)
            at += _CALM_AFTER
        else:
            kind = chance.choices(list(kinds), list(kinds.values()))[0]
            length = chance.uniform(*_TROUBLES[kind][1])
            free = [name for name in machines if free_at[name] <= at]
            if "broker" in kind:
                if free_at["broker"] <= at:
                    found.append(Trouble(at, kind, str(chance.choice(list(brokers))), length))
                    free_at["broker"] = at + length + _BROKER_RECOVERY
            elif len(free) > 1:
                name = chance.choice(free)
                found.append(Trouble(at, kind, name, length))
                free_at[name] = at + length + _RECOVERY
        at += chance.uniform(*_BETWEEN)
    return found


class Storm:
    """Plays a plan. `takeovers` holds the times of the calm kills, once it is over."""

    def __init__(self, machines: Machines, troubles: Sequence[Trouble]) -> None:
        self.takeovers: list[Takeover] = []
        self._machines = machines
        self._troubles = troubles
        self._kills: list[tuple[Trouble, float, frozenset[int]]] = []

    def play(self) -> None:
        """Play it to the end; everything is restored then, except what the audit heals."""
        counter = itertools.count()
        waiting: list[tuple[float, int, Callable[[Trouble], None], Trouble]] = []
        for one in self._troubles:
            heapq.heappush(waiting, (one.at, next(counter), self._begin, one))
        began = time.monotonic()
        while waiting:
            at, _, act, trouble = heapq.heappop(waiting)
            self._machines.pass_time(max(0.0, began + at - time.monotonic()))
            act(trouble)
            if act == self._begin:
                end = max(time.monotonic() - began, at) + trouble.seconds
                heapq.heappush(waiting, (end, next(counter), self._end, trouble))
        for trouble, moment, shards in self._kills:
            times = self._machines.first_after(self._machines.subreddits_of(shards), moment)
            self.takeovers.append(Takeover("kill", trouble.target, moment, times))

    def _begin(self, trouble: Trouble) -> None:
        print(f"{time.strftime('%H:%M:%S')} {trouble}", flush=True)
        if "broker" in trouble.kind:
            self._lose_broker(trouble)
            return
        machine = self._machines[trouble.target]
        silently = trouble.kind.endswith("silently")
        if trouble.kind == "kill":
            shards, moment = machine.shards(), time.time()
            machine.kill()
            if trouble.calm:
                self._kills.append((trouble, moment, shards))
        elif trouble.kind == "stop":
            machine.system.terminate()
        elif trouble.kind == "freeze":
            machine.freeze()
        elif trouble.kind.startswith("cut kafka"):
            machine.cut_kafka(silently=silently)
        else:
            machine.cut_reddit(silently=silently)

    def _end(self, trouble: Trouble) -> None:
        if "broker" in trouble.kind:
            nodes, node = self._nodes(), int(trouble.target)
            wait_until(lambda: not nodes.servers[node].running, what=f"broker {node} to end")
            nodes.start_node(node)
            return
        machine = self._machines[trouble.target]
        if trouble.kind == "stop":
            _await_exit(machine)
        machine.heal()

    def _lose_broker(self, trouble: Trouble) -> None:
        nodes, node = self._nodes(), int(trouble.target)
        nodes.await_all()  # two must hold each record: the last one that left has to be back
        if trouble.kind == "stop broker":
            nodes.terminate_node(node)
        else:
            nodes.kill_node(node)

    def _nodes(self) -> KafkaNodes:
        assert isinstance(self._machines.kafka, KafkaNodes)
        return self._machines.kafka


def _await_exit(machine: Machine) -> None:
    wait_until(lambda: not machine.system.server.running, 60.0, f"{machine.name} to stop")
    code = machine.system.server.returncode
    assert code == 0, f"{machine.name} left with {code} after SIGTERM"
