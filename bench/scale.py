"""Thousands of subreddits with Zipf rates on one machine, as shipped: loss, requests, delay, memory."""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.arrivals import Arrivals
from bench.figure import Figure, at_most, percentile, pss_mib
from tests.support.brokers import TansuBroker
from tests.support.ledger import Gap, Item
from tests.support.ports import free_port
from tests.support.simulator import Simulator
from tests.support.system import System
from tests.support.waiting import wait_until

_TOPIC = "bench"
#: of all items; the rest are comments
_SUBMISSIONS = 0.12
_UNAVAILABLE = ("private", "banned", "missing")
#: what was surfaced later than this after its creation has no meaningful delay, seconds
_AT_ONCE = 0.5
_LONG_ENOUGH = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """The simulated Reddit: number of subreddits, items per second, share of subreddits that cannot be read."""

    subreddits: int
    items: float
    unavailable: float = 0.0
    #: seconds of the measurement, after the first walks
    seconds: float = 240.0


@dataclass(slots=True)
class Observed:
    """What a run showed: seconds to the first record, requests of each full minute, memory in MiB per process."""

    first_record: float = 0.0
    minutes: list[float] = field(default_factory=list)
    pss: dict[str, float] = field(default_factory=dict)
    truth: list[Item] = field(default_factory=list)
    arrivals: dict[str, float] = field(default_factory=dict)
    records: int = 0
    gaps: list[Gap] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0


def measure() -> list[Figure]:
    """Measure both loads of the aims."""
    return [*figures(Load(1200, 22.0)), *figures(Load(5000, 40.0, unavailable=0.01))]


def figures(load: Load) -> list[Figure]:
    """Run the load and compare it with the aims."""
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        seen = _run(Path(directory), load)
    due = [item for item in seen.truth if seen.began < item.created < seen.ended and _stood(item)]
    missing = [item for item in due if item.fullname not in seen.arrivals]
    lost = [item for item in missing if not any(gap.covers(item) for gap in seen.gaps)]
    for item in lost[:10]:
        print(f"(lost: {item.describe()})")
    delays = [
        seen.arrivals[item.fullname] - item.created
        for item in due
        if item.fullname in seen.arrivals and (item.surfaced_at or 0.0) - item.created < _AT_ONCE
    ]
    name = f"{load.subreddits:,} subreddits"
    parts = ", ".join(f"{process} {size:.0f}" for process, size in sorted(seen.pss.items()))
    print(f"(memory: {parts}; requests of each minute: {', '.join(f'{one:.0f}' for one in seen.minutes)})")
    return [
        Figure(f"{name}: items due", len(due)),
        at_most(f"{name}: lost outside gaps", len(lost), 0),
        Figure(f"{name}: lost inside gaps", len(missing) - len(lost)),
        Figure(f"{name}: published twice", seen.records - len(seen.arrivals)),
        Figure(f"{name}: gaps in the ledger", len(seen.gaps)),
        at_most(f"{name}: first record after the start", seen.first_record, 60, "s", digits=1),
        at_most(f"{name}: requests a minute, mean after the first", statistics.mean(seen.minutes[1:] or [0]), 105),
        Figure(f"{name}: p50 delay", percentile(delays, 0.5), "s", digits=1),
        at_most(f"{name}: p99 delay", percentile(delays, 0.99), 30, "s", digits=1),
        at_most(f"{name}: memory of all processes (PSS)", sum(seen.pss.values()), 400, "MiB"),
    ]


def _stood(item: Item) -> bool:
    if not item.due or item.surfaced_at is None:
        return False
    return item.removed_at is None or item.removed_at - item.surfaced_at > _LONG_ENOUGH


def _run(directory: Path, load: Load) -> Observed:
    names = tuple(f"Subreddit_{number:05d}" for number in range(load.subreddits))
    broker = TansuBroker(directory)
    simulator = Simulator(
        directory,
        subreddits=names,
        comments_per_second=round(load.items * (1 - _SUBMISSIONS), 2),
        submissions_per_second=round(load.items * _SUBMISSIONS, 2),
        backlog=5000,
        late_share=0.02,
        late_seconds=(3, 12),
        removed_share=0.01,
        removed_seconds=(60, 300),
        seed=1,
    )
    broker.start()
    simulator.start()
    step = round(1 / load.unavailable) if load.unavailable else 0
    for number, name in enumerate(names[step // 2 :: step] if step else ()):
        simulator.subreddit(name, _UNAVAILABLE[number % len(_UNAVAILABLE)])
    arrivals = Arrivals(broker.bootstrap_servers, _TOPIC)
    reddit = {"subreddits": list(names), "reddit_url": simulator.url, "oauth_url": simulator.url}
    kafka = {"bootstrap_servers": broker.bootstrap_servers, "topic": _TOPIC}
    system = System(directory / "system", reddit=reddit, kafka=kafka, monitor=free_port())
    seen = Observed()
    try:
        started = time.monotonic()
        system.start()
        wait_until(lambda: arrivals.records, 120.0, "the first record")
        seen.first_record = time.monotonic() - started
        seen.began = time.time()
        _minutes(simulator, seen, load.seconds)
        seen.ended = time.time()
        seen.pss = {name: pss_mib(process.pid) for name, process in system.children().items()}
        seen.pss["supervisor"] = pss_mib(system.server.pid)
        time.sleep(90.0)  # each group is polled again, late items included
        seen.gaps = [Gap.from_report(entry) for entry in system.gaps()]
        seen.truth, seen.arrivals, seen.records = simulator.truth(), dict(arrivals.times), arrivals.records
        system.stop()
    finally:
        system.destroy()
        arrivals.close()
        simulator.stop()
        broker.stop()
    return seen


def _minutes(simulator: Simulator, seen: Observed, seconds: float) -> None:
    """Count the requests of each minute."""
    before = 0.0
    for _ in range(max(1, round(seconds / 60))):
        time.sleep(60.0)
        total = simulator.stats()["by_client"].get("test-client", 0)
        seen.minutes.append(total - before)
        before = total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("subreddits", type=int)
    parser.add_argument("items", type=float)
    parser.add_argument("--unavailable", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=240.0)
    chosen = parser.parse_args()
    for figure in figures(Load(chosen.subreddits, chosen.items, chosen.unavailable, chosen.seconds)):
        print(figure.line())
    sys.exit(0)
