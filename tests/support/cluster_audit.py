"""Judges what several machines did: losses, duplicates, takeover times, blocked readers and requests."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.follower import Arrival, longest_pause
from tests.support.ledger import Gap, Ledger, compare
from tests.support.machines import Machine, Machines
from tests.support.topic import Record, read_topic
from tests.support.waiting import wait_until

_SETTLE = 120.0

#: Seconds without a further record after which what is missing counts as lost: longer than any backoff.
_LAST_RECORD_S = 45.0

#: Reddit's quota, requests in a window of ten minutes, with the tolerance of the promise.
REQUESTS = 1000 * 1.05


class Takeover(NamedTuple):
    """What happened to a machine, and how long each of its subreddits had no record after it, seconds."""

    event: str  #: "kill" · "stop" · "restart"
    machine: str
    at: float  #: epoch seconds
    times: dict[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The figures of a run, and whether they keep the promise."""

    delivery: str
    ledger: Ledger
    gaps: int
    blocked: float  #: longest time that a partition held records back from readers, seconds
    pause: float  #: longest time without any record while items were created, seconds
    requests: int  #: most in a window of Reddit's quota
    per_minute: float = 0.0  #: requests, on average
    by_machine: dict[str, int] = field(default_factory=dict)

    def failures(self, *, blocked: float = 15.0, pause: float = 15.0) -> list[str]:
        """Return what breaks the promise, in words."""
        ledger = self.ledger
        found = []
        if ledger.lost_outside_gaps:
            found.append(f"lost outside gaps: {ledger.summary()}")
        if ledger.invented:
            found.append(f"the topic holds what Reddit never had: {ledger.invented[:5]}")
        if ledger.duplicated and self.delivery == "exactly_once":
            found.append(f"duplicated: {ledger.summary()}")
        if ledger.waiting:
            found.append(f"{ledger.waiting} items have not surfaced: the run was not over")
        if self.blocked > blocked:
            found.append(f"a reader was blocked for {self.blocked:.1f} s")
        if self.pause > pause:
            found.append(f"no record for {self.pause:.1f} s")
        if self.requests > REQUESTS:
            found.append(f"{self.requests} requests in ten minutes")
        return found

    def figures(self) -> dict[str, Any]:
        """Return the counts for the report of the tests."""
        return {
            "due": self.ledger.due,
            "delivered": self.ledger.delivered,
            "lost": len(self.ledger.lost),
            "outside gaps": len(self.ledger.lost_outside_gaps),
            "duplicated": len(self.ledger.duplicated),
            "gaps": self.gaps,
            "blocked": f"{self.blocked:.1f} s",
            "pause": f"{self.pause:.1f} s",
            "requests": f"{self.requests} in ten minutes, {self.per_minute:.0f} a minute",
            **self.by_machine,
        }


def takeover_times(takeovers: Iterable[Takeover], event: str) -> list[float]:
    """Return the times of all subreddits of one kind of event."""
    return [time for one in takeovers if one.event == event for time in one.times.values()]


def by_instance(records: Iterable[Record]) -> dict[str, int]:
    """Count the records of each machine, where they name it."""
    return dict(Counter(record.headers["instance"] for record in records if "instance" in record.headers))


def owners_shown(machine: Machine) -> dict[int, str | None]:
    """Return the owner of each shard as `status --json` of a machine shows it."""
    shards = (machine.system.status()["cluster"] or {"shards": []})["shards"]
    return {one["shard"]: one["owner"] for one in shards}


def finish(machines: Machines, *, at_least: int) -> Verdict:
    """Heal every machine, wait for all items, stop the machines, and judge the topic.

    The machines must all be running at the end, settled, and show the same owner of each shard.
    """
    for machine in machines.all():
        machine.heal()
    machines.wait_up()
    if machines.clustered:
        machines.wait_settled()
    machines.pass_time(_SETTLE, meanwhile=lambda: _due(machines) >= at_least)
    machines.simulator.pause()
    paused = max((one.at for one in _arrivals(machines)), default=0.0)
    began = min((one.at for one in _arrivals(machines)), default=0.0)
    _wait_for_all(machines)
    if machines.clustered:
        _check_status(machines)
    gaps = [Gap.from_report(entry) for machine in machines.all() for entry in machine.system.gaps()]
    for machine in machines.all():
        code = machine.system.stop()
        assert code == 0, f"{machine.name} left with {code} after SIGTERM"
    records = [one for follower in machines.followers for one in read_topic(_servers(machines), follower.topic)]
    return Verdict(
        delivery=machines.delivery,
        ledger=compare(machines.simulator.truth(), records, gaps),
        gaps=len(gaps),
        blocked=max(follower.blocked.longest for follower in machines.followers),
        pause=longest_pause([one.at for one in _arrivals(machines) if began <= one.at <= paused]),
        requests=machines.requests.most,
        per_minute=machines.requests.per_minute,
        by_machine=by_instance(records),
    )


def _wait_for_all(machines: Machines) -> None:
    """Wait until nothing is missing, or nothing more arrives: the verdict names what is missing."""
    last, count = time.monotonic(), 0

    def over() -> bool:
        nonlocal last, count
        arrivals = _arrivals(machines)
        if len(arrivals) != count:
            last, count = time.monotonic(), len(arrivals)
        ledger = compare(machines.simulator.truth(), [one.record for one in arrivals])
        return not (ledger.waiting or ledger.lost) or time.monotonic() - last > _LAST_RECORD_S

    wait_until(over, 4 * _SETTLE, "the last record")


def _check_status(machines: Machines) -> None:
    expected = {shard: name for name, shards in machines.wait_settled().items() for shard in shards}
    for machine in machines.all():
        shown = owners_shown(machine)
        assert shown == expected, f"status of {machine.name} shows the owners {shown}; they are {expected}"


def _arrivals(machines: Machines) -> list[Arrival]:
    found = [one for follower in machines.followers for one in list(follower.arrivals)]
    return sorted(found, key=lambda one: one.at)


def _due(machines: Machines) -> int:
    return sum(item.due for item in machines.simulator.truth())


def _servers(machines: Machines) -> str:
    return machines.kafka.bootstrap_servers
