"""The whole system: a Reddit, a broker, two streams, publisher, monitor and a scraper, as people run them."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.arrivals import create_topic
from bench.scraper.stage import LATENCIES, as_installed
from core import control_client
from core.control_client import ControlError
from core.status.crawl import read_crawl
from core.status.stream_stats import StreamFlow, read_flow
from tests.support.brokers import TansuBroker
from tests.support.ports import free_port
from tests.support.simulator import ROOT, Simulator
from tests.support.system import System
from tests.support.waiting import wait_until

#: The children, in the order in which the figures name them, and what each is made of.
ENTRIES = {
    "submissions": "streams.capture.capture_process",
    "comments": "streams.capture.capture_process",
    "publisher": "streams.publisher.publisher_process",
    "scraper-direct": "scraper.scraper_process",
    "monitor": "supervisor.monitor.monitor_process",
}
TOPIC = "bench"
#: Together 50 items a second.
RATES = {"comments_per_second": 45, "submissions_per_second": 5}
_PATIENCE = 40.0


class Whole:
    """One running deployment. The scraper uses no token, so the streams have the quota for themselves."""

    def __init__(
        self,
        directory: Path,
        *,
        world: Mapping[str, Any] | None = None,
        reddit: Mapping[str, Any] | None = None,
        supervisor: Mapping[str, Any] | None = None,
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """`world`: further options of the simulator; `modules`: Python files that its processes find first."""
        latencies = [f"{address}={seconds}" for address, seconds in LATENCIES.items()]
        still = {"crawl_suspended_share": 0, "crawl_gone_share": 0, "crawl_closed_share": 0, "crawl_authors": 40}
        options = {**RATES, "backlog": 100, "seed": 1, "anonymous": True, "latencies": latencies, **still}
        self.broker = TansuBroker(directory)
        self.simulator = Simulator(directory, **{**options, **(world or {})})
        self.directory = directory
        self._monitor = free_port()
        self._reddit = dict(reddit or {})
        self._supervisor = dict(supervisor or {})
        self._modules = dict(modules or {})
        self._system: System | None = None

    def __enter__(self) -> "Whole":
        try:
            self._start()
            wait_until(self._all_run, _PATIENCE, "all to be RUNNING")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.broker.start()
        create_topic(self.broker.bootstrap_servers, TOPIC)
        self.simulator.start()
        for name, text in self._modules.items():
            (as_installed(self.directory) / name).write_text(text)
        url = self.simulator.url
        self._system = System(
            self.directory / "system",
            reddit={"subreddits": list(self.simulator.subreddits), "reddit_url": url, "oauth_url": url, **self._reddit},
            kafka={"bootstrap_servers": self.broker.bootstrap_servers, "topic": TOPIC},
            scraper={"subreddits": list(self.simulator.subreddits), "authentication": "none", "max_depth": 2},
            supervisor=self._supervisor,
            monitor=self._monitor,
            environment={"PYTHONPATH": self.path},
        )
        self._system.start()

    def __exit__(self, *_: object) -> None:
        if self._system is not None:
            self._system.destroy()
        self.simulator.stop()
        self.broker.stop()

    @property
    def system(self) -> System:
        """The product as it runs."""
        assert self._system is not None, "it is there once the block has been entered"
        return self._system

    @property
    def path(self) -> str:
        """Return PYTHONPATH for a baseline: exactly what the system's processes import."""
        return f"{as_installed(self.directory)}:{ROOT}"

    @property
    def address(self) -> str:
        """The monitor's."""
        return f"http://127.0.0.1:{self._monitor}"

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return the state of each child from the control socket; empty if there is no answer."""
        try:
            rows = control_client.ask(self.system.state_dir, {"command": "status"})["processes"]
        except ControlError:
            return {}
        return {row["name"]: row for row in rows}

    def pid(self, name: str) -> int:
        """Return the process id of a child that is there."""
        pid: int = self.processes()[name]["pid"]
        return pid

    def running(self, name: str, before: int) -> bool:
        """Return whether a successor of the process `before` is RUNNING."""
        row = self.processes().get(name)
        return row is not None and row["state"] == "RUNNING" and row["pid"] != before

    def flow(self) -> dict[str, StreamFlow]:
        """Read the statistics from the durable files."""
        return read_flow(self.system.state_dir, ("submissions", "comments"), 100, time.time()).streams

    def crawl_is_over(self) -> bool:
        """Return whether the scraper has nothing left to do."""
        frontier = read_crawl(self.system.state_dir, time.time()).frontier
        return frontier is not None and frontier.done > 0 and not frontier.to_do

    def wait_flowing(self, records: int = 100) -> None:
        """Return when this number of comments has reached Kafka."""
        self.wait(lambda: self.flow()["comments"].published >= records, "records in Kafka")

    def wait(self, predicate: Callable[[], object], what: str, timeout: float = _PATIENCE) -> None:
        """Wait for a condition; a failure shows the logs."""
        try:
            wait_until(predicate, timeout, what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.system.report()}") from None

    def _all_run(self) -> bool:
        assert self.system.server.running, f"the supervisor ended:\n{self.system.report()}"
        rows = self.processes()
        return len(rows) == len(ENTRIES) and all(row["state"] == "RUNNING" for row in rows.values())


@contextlib.contextmanager
def whole(**options: Any) -> Iterator[Whole]:  # noqa: ANN401 - those of Whole
    """Run one in a directory of its own, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name, Whole(Path(name), **options) as running:
        yield running
