"""The loop of one process: connections kept busy, stops that are heard at once, and errors that end it or do not."""

import asyncio
import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.errors import PermanentError
from core.reddit.request_errors import CredentialsRejected
from scraper.crawl.crawl_counters import CrawlCounters, FinishRate
from scraper.crawl.crawl_loop import Crawl
from scraper.crawl.subreddit_job import SubredditJob
from scraper.reddit.question import Kind, Question
from scraper.store.connection.database_errors import StoreUnavailable
from scraper.store.statements.claims import Claims
from scraper.store.store import Store
from tests.scraper.crawl.reddit import ScriptedReddit, post
from tests.support.scraper_config import scraper_config_of
from tests.support.waiting import wait_until_async

NAMES = tuple(f"sub{number:02}" for number in range(12))
CONCURRENCY = 20


class Connections:
    """As many as the scripted Reddit is not busy with."""

    def __init__(self, reddit: ScriptedReddit) -> None:
        self._reddit = reddit
        self.rests = False
        self.paused = False
        self.checks = 0  #: how often the crawl has checked whether the proxy rests

    @property
    def resting(self) -> bool:
        self.checks += 1
        return self.rests

    @property
    def idle(self) -> int:
        return max(0, CONCURRENCY - self._reddit.at_once)


class Scene:
    """A crawl over a dozen subreddits, with a database of its own."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "reddit.db"
        self.reddit = ScriptedReddit()
        self.connections = Connections(self.reddit)
        self.stop = asyncio.Event()
        self.crawl: Crawl | None = None
        self.stands_still = False  #: whether the clock of the estimate of work ahead stands still
        for name in NAMES:
            self.reddit.subreddit(name, post(f"p{name}", name, f"u{name}"))
            self.reddit.user(f"u{name}")

    def play(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run the crawl until `act` has ended and set `stop`."""

        async def run() -> None:
            store = await Store.open(f"sqlite:///{self.path}", holder="here/scraper-a")
            try:
                await store.enter(NAMES)
                config = scraper_config_of(subreddits=NAMES, concurrency=CONCURRENCY, max_depth=0, discover=False)
                job = SubredditJob(
                    self.reddit, store, config, CrawlCounters(FinishRate(0.0)), now=lambda: datetime.now(UTC)
                )
                if self.stands_still:
                    job.ahead._clock = lambda: 0.0  # noqa: SLF001 (its clock is an argument, but not of a job)
                self.crawl = Crawl(self.connections, store, job, config)
                acting = asyncio.create_task(self._act(act))
                async with asyncio.timeout(20):
                    await self.crawl.run(self.stop)
                await acting
                await store.take_back()
            finally:
                await store.close()

        asyncio.run(run())

    async def _act(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        finally:
            self.stop.set()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await wait_until_async(condition, what)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as connection:
            return connection.execute(query).fetchall()

    def done(self) -> int:
        return int(self.rows("SELECT count(*) FROM reddit_frontier WHERE settled")[0][0])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_as_many_subreddits_begin_as_there_are_connections_for(scene: Scene) -> None:
    scene.reddit.hold = asyncio.Event()

    async def act() -> None:
        await scene.until(lambda: scene.reddit.at_once == CONCURRENCY, "four subreddits' five calls under way")
        assert scene.crawl is not None
        assert scene.crawl.jobs == 4
        assert scene.reddit.hold is not None
        scene.reddit.hold.set()
        await scene.until(lambda: scene.done() == len(NAMES), "all of them done")

    scene.play(act)
    assert scene.rows("SELECT count(*) FROM reddit_users") == [(len(NAMES),)]
    assert set(scene.reddit.asked.values()) == {1}


def test_connections_that_wait_for_the_last_of_the_first_answers_serve_other_subreddits(scene: Scene) -> None:
    last, ask = asyncio.Event(), scene.reddit.ask

    async def slow(question: Question) -> object:
        answer = await ask(question)
        if question.kind is Kind.YEAR:
            await last.wait()
        return answer

    scene.reddit.ask = slow  # type: ignore[method-assign]
    scene.stands_still = True  # or the first ones would soon count as late, and no longer as work ahead

    async def act() -> None:
        await scene.until(lambda: scene.crawl is not None and scene.crawl.jobs == 10, "more than the first four")
        assert scene.done() == 0
        last.set()
        await scene.until(lambda: scene.done() == len(NAMES), "all of them done")

    scene.play(act)
    assert set(scene.reddit.asked.values()) == {1}


def test_a_stop_ends_what_waits_and_leaves_the_rest_to_others(scene: Scene) -> None:
    scene.reddit.hold = asyncio.Event()  # never set: no answer will ever come

    async def act() -> None:
        await scene.until(lambda: scene.reddit.at_once > 0, "requests under way")

    scene.play(act)
    assert scene.reddit.at_once == 0
    assert scene.rows("SELECT DISTINCT leased_by, attempts, settled FROM reddit_frontier") == [(None, 0, 0)]


def test_while_the_proxy_rests_nothing_is_taken(scene: Scene) -> None:
    scene.connections.rests = True

    async def act() -> None:
        await scene.until(lambda: scene.connections.checks >= 5, "the crawl to check the proxy five times")
        assert not scene.reddit.asked
        scene.connections.rests = False
        await scene.until(lambda: scene.done() == len(NAMES), "all of them done")

    scene.play(act)


def test_what_no_turn_can_mend_ends_the_process(scene: Scene) -> None:
    scene.reddit.answers["/r/sub00/hot"] = CredentialsRejected("no such client")

    async def act() -> None:
        await scene.until(scene.stop.is_set, "the end")

    with pytest.raises(PermanentError, match="no such client"):
        scene.play(act)


def test_an_error_of_ours_with_one_subreddit_leaves_the_others_alone(scene: Scene) -> None:
    scene.reddit.answers["/r/sub00/hot"] = ZeroDivisionError("division by zero")

    async def act() -> None:
        await scene.until(lambda: scene.done() == len(NAMES) - 1, "the other eleven done")

    scene.play(act)
    assert scene.rows("SELECT name, error FROM reddit_frontier WHERE NOT settled") == [
        ("sub00", "ZeroDivisionError: division by zero")
    ]


def test_a_database_away_in_the_middle_of_a_turn_costs_no_attempt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_users, calls = Store.claim_users, itertools.count()

    async def away_now_and_then(store: Store, usernames: Sequence[str], **how: float) -> Claims:
        if next(calls) % 3 == 1:
            raise StoreUnavailable("away")
        return await claim_users(store, usernames, **how)

    monkeypatch.setattr(Store, "claim_users", away_now_and_then)

    async def act() -> None:
        await scene.until(lambda: scene.done() == len(NAMES), "all of them done")

    scene.play(act)
    assert next(calls) > len(NAMES) + 1
    assert scene.rows("SELECT count(*) FROM reddit_frontier WHERE attempts OR error IS NOT NULL") == [(0,)]
    assert set(scene.reddit.asked.values()) == {1}, "what was saved is not fetched again"
