"""One child's storm of kills, and what its siblings get done meanwhile: within 5 % of what they did before and after.

A stream that waits for what people write would make up for any stall, and hide it. So the siblings are kept busy all
the time, and what they miss they have missed: `submissions` walks down a long backlog, a page after the other, each
taking Reddit's time to answer; the scraper has more to fetch than its twenty connections can. The publisher has time to
spare and could catch up, so of it the delay is shown too. `comments` has 45 new items a second and twenty thousand old
ones to take, and is killed every second, or as soon as its backoff lets it be there.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bench.arrivals import Arrivals
from bench.figure import Figure, at_least, percentile
from bench.supervision.whole import TOPIC, Whole, whole
from tests.support.topic import read_topic

_CALM = 15.0  #: before and after the storm: what changes slowly counts for neither side, seconds
_STORM = 30.0
_EVERY = 1.0
_LISTING = 20_000  #: names: two hundred pages, of which the time is enough for some hundred and eighty
_AIM = 0.95
#: a request takes 0.3 s more than on this machine, and the quota limits no process
_WORLD = {"cap": _LISTING, "backlog": _LISTING, "quota": 1_000_000, "crawl_subreddits": 200, "latency": 0.3}
_LOOK = 0.01
_NAMES = {
    "captured": "submissions, items captured",
    "published": "publisher, of these in Kafka",
    "fetched": "scraper, answers",
}


@dataclass(slots=True)
class Phase:
    """What the siblings did in one stretch of time, or several."""

    seconds: float = 0.0
    kills: int = 0
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_NAMES, 0))
    spans: list[tuple[float, float]] = field(default_factory=list)  #: on the wall clock

    def rate(self, what: str) -> float:
        """Return how much of it was done a second."""
        return self.done[what] / self.seconds


def measure() -> list[Figure]:
    with whole(world=_WORLD, reddit={"requests_per_minute": 100_000}) as system:
        arrivals = Arrivals(system.broker.bootstrap_servers, TOPIC, create=False)
        try:
            system.wait_flowing()
            calm, storm = Phase(), Phase()
            for phase, seconds in ((calm, _CALM), (storm, _STORM), (calm, _CALM)):
                _watch(system, phase, seconds, kill=phase is storm)
            waits = _waits(system, arrivals.times)
        finally:
            arrivals.close()
    figures = [Figure(f"kills of comments in {storm.seconds:.0f} s", storm.kills)]
    for what, name in _NAMES.items():
        figures.append(Figure(f"baseline: {name}, undisturbed", calm.rate(what), "a second", digits=1))
        figures.append(Figure(f"{name}, in the storm", storm.rate(what), "a second", digits=1))
        figures.append(at_least("ratio of the two", storm.rate(what) / calm.rate(what), _AIM, digits=3))
    for how, phase in (("baseline: undisturbed", calm), ("in the storm", storm)):
        ours = [wait for at, wait in waits if any(start <= at < end for start, end in phase.spans)]
        figures.append(Figure(f"{how}: p99 from capture to a consumer", percentile(ours, 0.99), "s", digits=2))
    return figures


def _watch(system: Whole, phase: Phase, seconds: float, *, kill: bool) -> None:
    """Let the system run for some seconds; add what it did to the phase."""
    before, began, wall = _counts(system), time.monotonic(), time.time()
    next_kill = began
    while (now := time.monotonic()) < began + seconds:
        if kill and now >= next_kill and _kill(system):
            phase.kills += 1
            next_kill = now + _EVERY
        time.sleep(_LOOK)
    phase.seconds += time.monotonic() - began
    phase.spans.append((wall, time.time()))
    for what, count in _counts(system).items():
        phase.done[what] += count - before[what]


def _kill(system: Whole) -> bool:
    """SIGKILL comments; return whether it was running."""
    row = system.processes().get("comments")
    if row is None or row["pid"] is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(row["pid"], signal.SIGKILL)
        return True
    return False


def _counts(system: Whole) -> dict[str, int]:
    flow = system.flow()["submissions"]
    fetched = sum(system.simulator.asked()["asked"]["by_address"].values())
    return {"captured": flow.captured, "published": flow.published, "fetched": fetched}


def _waits(system: Whole, arrivals: Mapping[str, float]) -> list[tuple[float, float]]:
    """Return when each submission was captured, and how long it took from there to the consumer."""
    records = read_topic(system.broker.bootstrap_servers, TOPIC)
    moments = [
        (datetime.fromisoformat(record.value["timestamp"]).timestamp(), arrivals.get(record.key))
        for record in records
        if record.stream == "submissions"
    ]
    return [(captured, arrived - captured) for captured, arrived in moments if arrived is not None]
