"""Our system and plain PRAW streams on the same simulated Reddit at the same time: loss, requests, delay, memory."""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.arrivals import Arrivals
from bench.figure import Figure, at_most, percentile, pss_mib
from tests.support.brokers import TansuBroker
from tests.support.ledger import Item
from tests.support.server import ServerProcess
from tests.support.simulator import ROOT, Simulator
from tests.support.system import System
from tests.support.waiting import wait_until

SECONDS = 90.0
_LONG_ENOUGH = 10.0
_TOPIC = "bench"
_FAULTS = {"status_503": 0.05, "reset": 0.03, "truncated_json": 0.03, "html": 0.02}
_WORLD: dict[str, Any] = {
    "comments_per_second": 19,
    "submissions_per_second": 1,
    "backlog": 100,
    "late_share": 0.02,
    "late_seconds": (3, 12),
    "removed_share": 0.03,
    "seed": 1,
}
_TEMPERS = {"patient": "PRAW stream, 30 s of sleep on an error", "eager": "PRAW stream, started again at once"}


@dataclass(frozen=True, slots=True)
class Run:
    """The observations of one run."""

    truth: list[Item]
    arrivals: dict[str, float]
    records: int
    praw: dict[str, set[str]]  # by temper, the names
    requests: dict[str, float]  # by client, a minute
    pss: dict[str, float]
    began: float
    ended: float

    def due(self) -> list[Item]:
        """Items of the time in which all clients were running, including late ones.

        An item that was removed within seconds may have been shown to one client only, or to none: such items do not
        count as lost.
        """
        return [item for item in self.truth if self.began < item.created < self.ended and _stood(item)]


def _stood(item: Item) -> bool:
    if not item.due or item.surfaced_at is None:
        return False
    return item.removed_at is None or item.removed_at - item.surfaced_at > _LONG_ENOUGH


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        calm = _run(Path(directory) / "calm", 30.0, faults={}, tempers=())
        rough = _run(Path(directory) / "rough", SECONDS, faults=_FAULTS, tempers=tuple(_TEMPERS))
    return [*_losses(rough), *_requests(rough), *_delays("calm", calm), *_delays("with faults", rough), *_memory(calm)]


def _losses(run: Run) -> list[Figure]:
    due = run.due()
    ours = [item for item in due if item.fullname not in run.arrivals]
    for item in ours:
        print(f"(lost by us: {item.describe()})")
    figures = [Figure("items due while all clients ran", len(due)), at_most("lost by us", len(ours), 0)]
    for temper, name in _TEMPERS.items():
        lost = sum(item.fullname not in run.praw[temper] for item in due)
        figures.append(Figure(f"lost by: {name}", lost, f"({lost / len(due):.0%})"))
    figures.append(Figure("duplicates by us", run.records - len(run.arrivals)))
    return figures


def _requests(run: Run) -> list[Figure]:
    figures = [at_most("requests a minute, our two streams", run.requests["test-client"], 100)]
    figures += [Figure(f"requests a minute: {name}", run.requests[temper]) for temper, name in _TEMPERS.items()]
    return figures


def _delays(how: str, run: Run) -> list[Figure]:
    """Delay from creation to the consumer, of the items that were visible at once."""
    delays = [
        run.arrivals[item.fullname] - item.created
        for item in run.due()
        if item.fullname in run.arrivals and item.surfaced_at is not None and item.surfaced_at - item.created < 0.5
    ]
    return [
        at_most(f"p50 delay from creation to Kafka at 20 items/s, {how}", percentile(delays, 0.50), 1.5, "s", digits=2),
        at_most(f"p99 delay from creation to Kafka at 20 items/s, {how}", percentile(delays, 0.99), 4.0, "s", digits=2),
    ]


def _memory(run: Run) -> list[Figure]:
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sorted(run.pss.items()))
    return [at_most(f"PSS: {parts}", sum(run.pss.values()), 150, "MiB")]


def _run(directory: Path, seconds: float, *, faults: dict[str, float], tempers: tuple[str, ...]) -> Run:
    directory.mkdir()
    broker = TansuBroker(directory)
    simulator = Simulator(directory, **_WORLD)
    broker.start()
    simulator.start()
    arrivals = Arrivals(broker.bootstrap_servers, _TOPIC)
    system = our_system(directory, simulator, broker)
    rivals = {temper: _rival(directory, simulator, temper) for temper in tempers}
    try:
        system.start()
        for rival in rivals.values():
            rival.start()
        system.wait_up()
        wait_until(lambda: arrivals.records, 30.0, "the first record")
        _elapse(8.0)  # for everyone to have seen the present
        simulator.faults(**faults)
        return _observe(simulator, system, rivals, arrivals, seconds)
    finally:
        system.destroy()
        for rival in rivals.values():
            rival.kill()
        arrivals.close()
        simulator.stop()
        broker.stop()


def _observe(
    simulator: Simulator, system: System, rivals: dict[str, ServerProcess], arrivals: Arrivals, seconds: float
) -> Run:
    began, before = time.time(), simulator.stats()["by_client"]
    _elapse(seconds)
    ended, after = time.time(), simulator.stats()["by_client"]
    pss = {name: pss_mib(process.pid) for name, process in system.children().items()}
    pss["supervisor"] = pss_mib(system.server.pid)
    simulator.clear_faults()
    _elapse(70.0 if rivals else 5.0)  # a client may still sleep after an error; late items have a minute to surface
    return Run(
        truth=simulator.truth(),
        arrivals=dict(arrivals.times),
        records=arrivals.records,
        praw={temper: set(rival.output.read_text().split()) for temper, rival in rivals.items()},
        requests={client: (after[client] - before.get(client, 0)) * 60 / (ended - began) for client in after},
        pss=pss,
        began=began,
        ended=ended,
    )


def our_system(directory: Path, simulator: Simulator, broker: TansuBroker) -> System:
    """Prepare the product as shipped: no option differs from its default."""
    reddit = {"subreddits": list(simulator.subreddits), "reddit_url": simulator.url, "oauth_url": simulator.url}
    kafka = {"bootstrap_servers": broker.bootstrap_servers, "topic": _TOPIC}
    return System(directory / "system", reddit=reddit, kafka=kafka)


def _rival(directory: Path, simulator: Simulator, temper: str) -> ServerProcess:
    subreddits = "+".join(simulator.subreddits)
    command = [sys.executable, "-m", "bench.praw_stream", simulator.url, temper, subreddits, temper]
    return ServerProcess(command, directory / f"{temper}.out", cwd=ROOT)


def _elapse(seconds: float) -> None:
    time.sleep(seconds)
