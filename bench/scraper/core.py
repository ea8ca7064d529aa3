"""Requests a second of one core where nothing has to be waited for, against a bare loop over the same documents.

The scraper also parses, reckons and stores what it fetched: its processor time counts all of it, with the threads.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from bench.figure import Figure, at_least
from bench.scraper.stage import Run, Stage
from tests.support.server import ServerProcess
from tests.support.simulator import ROOT
from tests.support.waiting import wait_until

_SUBREDDITS = 60
_CONCURRENCY = 20
_ROUNDS = 3  # the best counts: whatever else runs on the machine only takes away


class Pace(NamedTuple):
    """Requests a second."""

    by_cpu: float
    by_clock: float


class CannedReddit:
    """The answers of a simulator, from memory."""

    def __init__(self, directory: Path, upstream: str) -> None:
        command = [sys.executable, "-m", "bench.scraper.canned", upstream]
        self._server = ServerProcess(command, directory / "canned.out", cwd=ROOT)
        self._asked: list[str] = []
        self.url = ""

    def __enter__(self) -> "CannedReddit":
        self._server.start()
        wait_until(lambda: self._server.output.read_text().endswith("}\n"), 20.0, "the canned answers")
        self.url = json.loads(self._server.output.read_text().splitlines()[-1])["url"]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()

    def asked(self) -> Counter[str]:
        """How many requests came so far."""
        with urlopen(f"{self.url}/_canned/log", timeout=30.0) as answer:
            self._asked += json.load(answer)
        return Counter(all=len(self._asked))

    def log(self) -> list[str]:
        """Return what was asked since the last time, in order."""
        self.asked()
        paths, self._asked = self._asked, []
        return paths


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        with Stage(directory, _SUBREDDITS) as stage, CannedReddit(directory, stage.simulator.url) as reddit:
            _scrape(stage, reddit)  # the server learns the answers
            paths = reddit.log()
            ours, bare = [], []
            for _ in range(_ROUNDS):  # in turn, so that both have the same neighbours
                bare.append(_bare(reddit.url, paths))
                reddit.log()
                ours.append(_scrape(stage, reddit))
                paths = reddit.log()
    best, rival = _best([Pace(run.requests / run.cpu, run.requests / run.seconds) for run in ours]), _best(bare)
    return [
        Figure("baseline: bare aiohttp and orjson, a second of CPU", rival.by_cpu, "requests"),
        Figure("ours: fetched, parsed, stored, a second of CPU", best.by_cpu, "requests"),
        at_least("ratio of the two", best.by_cpu / rival.by_cpu, 0.7, digits=2),
        Figure("the same by the clock, where SQLite has a core of its own", best.by_clock / rival.by_clock, digits=2),
    ]


def _best(paces: list[Pace]) -> Pace:
    return Pace(max(pace.by_cpu for pace in paces), max(pace.by_clock for pace in paces))


def _scrape(stage: Stage, reddit: CannedReddit) -> Run:
    return stage.crawl(url=reddit.url, asked=reddit.asked, concurrency=_CONCURRENCY)


def _bare(url: str, paths: list[str]) -> Pace:
    command = [sys.executable, "-m", "bench.scraper.bare_loop", url, str(_CONCURRENCY)]
    answer = subprocess.run(
        command, cwd=ROOT, input="\n".join(paths), capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    spent = json.loads(answer.stdout)
    return Pace(spent["requests"] / spent["cpu"], spent["requests"] / spent["seconds"])
