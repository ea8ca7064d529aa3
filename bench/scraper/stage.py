"""A static simulated Reddit, and crawls of it by the product as people run it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.figure import pss_mib
from tests.support.proxies import Proxy
from tests.support.simulator import ROOT, Simulator
from tests.support.system import System
from tests.support.tables import Tables
from tests.support.waiting import wait_until

#: Latency of each call at Reddit, seconds.
LATENCIES = {"about": 0.5, "rules": 0.4, "hot": 0.6, "week": 0.5, "year": 0.8, "user": 0.5, "submitted": 0.5}
_LOOK_EVERY = 0.1
_MEAN_LATENCY = "SELECT sum(mean_latency_ms * latency_count) / sum(latency_count) FROM reddit_proxies"
USER_AGENT = "python:gapless-bench:1 (by /u/nobody)"


@dataclass(frozen=True, slots=True)
class Run:
    """One crawl, from its first request to its last finished subreddit."""

    subreddits: int
    seconds: float
    calls: dict[str, int]  #: by address
    mean_latency: float  #: seconds, as the scrapers measured it
    cpu: float  #: seconds of the scraper's processes, in that time
    loop_cpu: float  #: those of their main threads, without the database's
    pss: dict[str, float]  #: MiB at the end, by process
    begun_pss: float  #: MiB of the first process when a tenth was done

    @property
    def per_minute(self) -> float:
        """Subreddits a minute."""
        return self.subreddits * 60 / self.seconds

    @property
    def requests(self) -> int:
        """All calls."""
        return sum(self.calls.values())

    def bound(self, connections: int) -> float:
        """Return the least time of the calls, seconds: the latency that no program can avoid."""
        return sum(LATENCIES[address] * count for address, count in self.calls.items()) / connections


class Stage:
    """A simulator, and successive crawls of it."""

    def __init__(
        self, directory: Path, subreddits: int, latencies: Mapping[str, float] | None = None, **world: float
    ) -> None:
        self._directory = directory
        self.names = tuple(f"Bench{number}" for number in range(subreddits))
        still: dict[str, Any] = {"comments_per_second": 0, "submissions_per_second": 0, "seed": 1, "anonymous": True}
        # forty authors, as many as are asked for at most; what is closed or gone is not what is measured
        still |= {"crawl_authors": 40, "crawl_suspended_share": 0, "crawl_gone_share": 0}
        if latencies:
            still["latencies"] = [f"{address}={seconds}" for address, seconds in latencies.items()]
        self.simulator = Simulator(directory, subreddits=self.names, **{**still, **world})
        self._runs = 0

    def __enter__(self) -> "Stage":
        self.simulator.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.simulator.stop()

    def asked(self) -> dict[str, int]:
        """Return the number of requests so far, by address."""
        answer: dict[str, int] = self.simulator.asked()["asked"]["by_address"]
        return answer

    def crawl(
        self,
        proxies: Sequence[Proxy] = (),
        *,
        first: int = 0,
        count: int | None = None,
        url: str | None = None,
        asked: Callable[[], Mapping[str, int]] | None = None,
        timeout: float = 150.0,
        **scraper: str | int,
    ) -> Run:
        """Scrape this number of subreddits into an empty database; `url`, `asked`: of a server before the simulator."""
        self._runs += 1
        names = self.names[first : first + (count or len(self.names))]
        asked, url = asked or self.asked, url or self.simulator.url
        plain = {"authentication": "none", "discover": False, "users_per_subreddit": 40, "concurrency": 20}
        tables = [proxy.table for proxy in proxies]
        system = System(
            self._directory / f"system-{self._runs}",
            reddit={"reddit_url": url, "oauth_url": url},
            scraper={"subreddits": list(names), **plain, **scraper, "proxies": tables},
            environment={"REDDIT_USER_AGENT": USER_AGENT, "PYTHONPATH": f"{as_installed(self._directory)}:{ROOT}"},
        )
        before = asked()
        system.start()
        try:
            return _watch(system, len(names), before, asked, timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{system.report()}") from None
        finally:
            system.destroy()


def as_installed(directory: Path) -> Path:
    """Return a folder that hides what tools for tests bring along: structlog loads rich, 4 MiB, where it is."""
    folder = directory / "as-installed"
    folder.mkdir(exist_ok=True)
    (folder / "rich.py").write_text('raise ImportError("not in requirements.lock")\n')
    return folder


def _watch(
    system: System, subreddits: int, before: Mapping[str, int], asked: Callable[[], Mapping[str, int]], timeout: float
) -> Run:
    wait_until(lambda: sum(asked().values()) > sum(before.values()), 30.0, "the first request")
    began, processes = time.monotonic(), system.children()
    cpu, loop_cpu = _cpu(processes), _loop_cpu(processes)
    tables = Tables(system.database)

    def done() -> int:
        time.sleep(_LOOK_EVERY)  # sampling costs CPU time, too
        count: int = tables.value("SELECT count(*) FROM reddit_frontier WHERE settled") or 0
        return count

    wait_until(lambda: done() * 10 >= subreddits, timeout, "a tenth of the crawl")
    begun_pss = pss_mib(next(iter(processes.values())).pid)
    wait_until(lambda: done() >= subreddits, timeout, f"{subreddits} subreddits to be done")
    seconds = time.monotonic() - began
    return Run(
        subreddits=subreddits,
        seconds=seconds,
        calls={address: count - before.get(address, 0) for address, count in asked().items() if count},
        mean_latency=(tables.value(_MEAN_LATENCY) or 0.0) / 1000,
        cpu=_cpu(processes) - cpu,
        loop_cpu=_loop_cpu(processes) - loop_cpu,
        pss={name: pss_mib(process.pid) for name, process in processes.items()},
        begun_pss=begun_pss,
    )


def _cpu(processes: Mapping[str, psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes.values()))


def _loop_cpu(processes: Mapping[str, psutil.Process]) -> float:
    threads = {process.pid: process.threads() for process in processes.values()}
    return sum(one.user_time + one.system_time for pid, some in threads.items() for one in some if one.id == pid)
