"""Requests per CPU second without network latency, against a bare loop over the same documents.

The client alone does the work of the bare loop: it fetches and decodes. The scraper also parses and stores; the
CPU time of its event loop's thread is also shown without the database's threads, which pack the rows and run SQLite.
The least that any scraper of ours can cost is the bare client with the same parsers and statements.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from urllib.request import urlopen

from bench.figure import Figure, at_least
from bench.scraper.stage import Run, Stage
from tests.support.server import ServerProcess
from tests.support.simulator import ROOT
from tests.support.waiting import wait_until

_SUBREDDITS = 60
_CONCURRENCY = 20
_ROUNDS = 3  # the best round counts: other load only slows it


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
        """Return the number of requests so far."""
        with urlopen(f"{self.url}/_canned/log", timeout=30.0) as answer:
            self._asked += json.load(answer)
        return Counter(all=len(self._asked))

    def log(self) -> list[str]:
        """Return the requests since the last call, in order."""
        self.asked()
        paths, self._asked = self._asked, []
        return paths


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        with Stage(directory, _SUBREDDITS) as stage, CannedReddit(directory, stage.simulator.url) as reddit:
            _scrape(stage, reddit)  # the server learns the answers
            paths = reddit.log()
            paces: dict[str, list[float]] = defaultdict(list)
            for _ in range(_ROUNDS):  # in turn, so that all have the same neighbours
                paces["bare"].append(_loop("bare", reddit.url, paths))
                paces["client"].append(_loop("client", reddit.url, paths))
                paces["stored"].append(_loop("stored", reddit.url, paths))
                reddit.log()
                run = _scrape(stage, reddit)
                paths = reddit.log()
                paces["thread"].append(run.requests / run.loop_cpu)
                paces["all"].append(run.requests / run.cpu)
    best = {kind: max(rates) for kind, rates in paces.items()}
    return [
        Figure("baseline: bare aiohttp and orjson, a second of CPU", best["bare"], "requests"),
        Figure("our client, fetching and decoding alone", best["client"], "requests"),
        at_least("ratio of the two", best["client"] / best["bare"], 0.7, digits=2),
        Figure("the scraper's main thread: fetching, parsing", best["thread"], "requests"),
        at_least("its ratio to the baseline", best["thread"] / best["bare"], 0.7, digits=2),
        Figure("the least that also stores: no retries, frontier or checks", best["stored"], "requests"),
        Figure("its ratio to the baseline", best["stored"] / best["bare"], digits=2),
        Figure("the scraper with all its threads, SQLite's work with them", best["all"], "requests"),
        at_least("its ratio to the baseline", best["all"] / best["bare"], 0.45, digits=2),
    ]


def _scrape(stage: Stage, reddit: CannedReddit) -> Run:
    return stage.crawl(url=reddit.url, asked=reddit.asked, concurrency=_CONCURRENCY)


def _loop(kind: str, url: str, paths: list[str]) -> float:
    """Run a loop over the paths in its own process; return its requests per CPU second."""
    command = [sys.executable, "-m", "bench.scraper.loop", kind, url, str(_CONCURRENCY)]
    answer = subprocess.run(
        command, cwd=ROOT, input="\n".join(paths), capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    spent = json.loads(answer.stdout.splitlines()[-1])  # the store logs that it created the tables
    return float(spent["requests"] / spent["cpu"])
