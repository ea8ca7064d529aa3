"""Several processes on one database: no error reaches anyone, nothing is done twice, and a kill costs nothing."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from scraper.store import Store
from tests.scraper.store.stage import Stage, play
from tests.scraper.store.worker import BATCH
from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[3]


class Worker:
    """A process of tests.scraper.store.worker; what it says is heard line by line."""

    def __init__(self, url: str, holder: str, errors: Path, *before: str) -> None:
        self.holder = holder
        self.said: list[tuple[str, str]] = []
        self._errors = errors.open("ab")
        command = [*before, sys.executable, "-m", "tests.scraper.store.worker", holder, str(os.getpid())]
        environment = {**os.environ, "DATABASE_URL": url}
        self._process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            verb, _, what = line.strip().partition(" ")
            if what:
                self.said.append((verb, what))

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)

    def end(self, timeout: float = 60.0) -> int:
        code = self._process.wait(timeout)
        self._listener.join(timeout)
        self._errors.close()
        return code


class Crew:
    """Workers that die with their test."""

    def __init__(self, url: str, errors: Path) -> None:
        self.url = url
        self._errors = errors
        self.all: list[Worker] = []

    def hire(self, holder: str, *before: str) -> Worker:
        self.all.append(Worker(self.url, holder, self._errors, *before))
        return self.all[-1]

    def dismiss(self) -> None:
        for worker in self.all:
            if worker.running:
                worker.kill()
                worker.end()

    def said(self, verb: str) -> list[str]:
        return [what for worker in self.all for word, what in worker.said if word == verb]

    def errors(self) -> str:
        return self._errors.read_text()


@pytest.fixture
def crew(stage: Stage, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(stage.url, tmp_path / "errors")
    yield crew
    crew.dismiss()


def _enter(stage: Stage, names: list[str]) -> None:
    async def scenario() -> None:
        store = await Store.open(stage.url, holder="test")
        await store.enter(names)
        await store.close()

    play(scenario)


def test_four_processes_share_the_work_and_nobody_hears_of_a_lock(stage: Stage, crew: Crew) -> None:
    names = [f"sub{at}" for at in range(80)]
    _enter(stage, names)
    for at in range(4):
        crew.hire(f"p{at}")
    assert [worker.end() for worker in crew.all] == [0, 0, 0, 0], crew.errors()
    assert crew.errors() == ""
    assert Counter(crew.said("leased")) == dict.fromkeys(names, 1)
    assert play(lambda: stage.query("SELECT count(*) FROM reddit_posts")) == [(len(names) * BATCH,)]
    assert play(lambda: stage.query("SELECT count(*) FROM reddit_users")) == [(len(names),)]


def test_kills_lose_nothing_that_was_promised_and_leave_nothing_half_done(stage: Stage, crew: Crew) -> None:
    seed = int(os.environ.get("STORE_SEED", time.time_ns() % 1_000_000))
    print(f"STORE_SEED={seed}")
    chance = random.Random(seed)
    names = [f"sub{at}" for at in range(40)]
    _enter(stage, names)
    working = [crew.hire(f"p{at}") for at in range(3)]
    for _ in range(4):
        victim = chance.choice(working)
        heard = len(victim.said) + chance.randrange(1, 10)
        wait_until(lambda: len(victim.said) >= heard or not victim.running, 60.0, "a worker to work")  # noqa: B023
        time.sleep(chance.random() * 0.02)  # in the middle of something, wherever that is
        victim.kill()
        victim.end()
        working.remove(victim)
        if victim.holder != "p2":  # nobody succeeds this one: what it held comes back when its time is over
            working.append(crew.hire(victim.holder))
    codes = [worker.end() for worker in working]

    assert set(codes) == {0}, crew.errors()
    batches = play(lambda: stage.query("SELECT title, count(*) FROM reddit_posts GROUP BY title"))
    assert {count for _, count in batches} == {BATCH}, "a batch was written in part"
    assert set(crew.said("saved")) <= {label for label, _ in batches}, "what was promised is not there"
    assert {label.partition(".")[0] for label, _ in batches} == set(names)
    frontier = play(lambda: stage.query("SELECT count(*), count(done_at), count(leased_by) FROM reddit_frontier"))
    assert frontier == [(len(names), len(names), 0)], "a lease did not come back"
    assert play(lambda: stage.query("SELECT count(*) FROM reddit_users")) == [(len(names),)]
