"""Batches are collected into transactions, whole or not at all, and one's fault is not the others' loss."""

import asyncio

import pytest
import structlog

from scraper.store import Batch, Found, ProxyDelta, RowsRefused, SaveOutcome, StoreUnavailable
from scraper.store import saver as saver_module
from scraper.store.batches.merged_batch import MergedBatch
from scraper.store.saver import MOST_ROWS, Saver
from tests.scraper.store.stage import NOON, Stage, a_post, a_rule, a_subreddit, a_user, later, play


class Notebook:
    """Takes the place of the database where the test is about who is written with whom."""

    def __init__(self) -> None:
        self.written: list[MergedBatch] = []
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, work: MergedBatch) -> None:
        await self.open.wait()
        self.written.append(work)


def test_what_comes_within_a_moment_is_one_transaction() -> None:
    async def scenario() -> None:
        notebook = Notebook()
        saver = Saver(notebook.write)
        await asyncio.gather(*(saver.save(Batch(posts=[a_post(f"p{at}")])) for at in range(20)))
        assert [len(work.posts) for work in notebook.written] == [20]

    play(scenario)


def test_many_rows_are_written_without_waiting_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saver_module, "LONGEST_WAIT", 3600.0)

    async def scenario() -> None:
        notebook = Notebook()
        saver = Saver(notebook.write)
        async with asyncio.timeout(10):
            await saver.save(Batch(posts=[a_post(f"p{at}") for at in range(MOST_ROWS)]))
        assert len(notebook.written) == 1

    play(scenario)


def test_while_one_transaction_is_written_the_next_one_collects() -> None:
    async def scenario() -> None:
        notebook = Notebook()
        saver = Saver(notebook.write)
        notebook.open.clear()
        saves = [asyncio.create_task(saver.save(Batch(posts=[a_post(f"p{at}")] * MOST_ROWS))) for at in range(3)]
        await asyncio.sleep(0)
        notebook.open.set()
        await asyncio.gather(*saves)
        assert sum(len(work.posts) for work in notebook.written) == 3
        assert len(notebook.written) <= 2

    play(scenario)


def test_an_empty_batch_costs_nothing() -> None:
    async def scenario() -> None:
        notebook = Notebook()
        await Saver(notebook.write).save(Batch(rules={}, found=[]))
        assert notebook.written == []

    play(scenario)


def test_who_is_cancelled_leaves_the_batch_behind(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            saving = asyncio.create_task(store.save(Batch(posts=[a_post()])))
            await asyncio.sleep(0)
            saving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await saving
        assert await stage.query("SELECT reddit_id FROM reddit_posts") == [("abc",)]

    play(scenario)


def test_nothing_is_saved_after_closing(sqlite_stage: Stage) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            pass
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.save(Batch(posts=[a_post()]))

    play(scenario)


def test_what_cannot_be_stored_is_replaced_counted_and_told_once(stage: Stage) -> None:
    odd = "a\0b\ud83dc"

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            await store.lease(1, max_depth=1, refresh_after=60, seconds=60)
            with structlog.testing.capture_logs() as logs:
                for at in (0.0, 1.0):
                    await store.save(
                        Batch(
                            subreddits=[a_subreddit(at=later(at), title=odd, subscribers=2**63)],
                            posts=[a_post(at=later(at), selftext=odd, score=-(2**63) - 1), a_post("fine", score=2**62)],
                            users=[a_user(at=later(at), icon_url=odd, link_karma=2**70)],
                            rules={"Bitcoin": [a_rule(0, later(at), description=odd)]},
                            outcomes=[SaveOutcome("Bitcoin", "failed", finished=False, error=odd)],
                            proxy=ProxyDelta("a", last_error=odd),
                        )
                    )
            assert (store.replaced.texts, store.replaced.integers) == (12, 6)
        told = [line["kind"] for line in logs if line["event"] == "unstorable_values_replaced"]
        assert sorted(told) == ["integers", "texts"]
        clean = "a\ufffdb\ufffdc"
        assert await stage.query("SELECT selftext, score FROM reddit_posts ORDER BY 2") in (
            [(None, 2**62), (clean, None)],
            [(clean, None), (None, 2**62)],
        )
        for column in ("title FROM reddit_subreddits", "icon_url FROM reddit_users", "description FROM reddit_rules"):
            assert await stage.query(f"SELECT {column}") == [(clean,)]
        assert await stage.query("SELECT error FROM reddit_frontier") == [(clean,)]
        assert await stage.query("SELECT last_error FROM reddit_proxies") == [(clean,)]

    play(scenario)


def test_a_text_that_only_speaks_of_nul_is_left_alone(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(posts=[a_post(title=r"\u0000 and \\u0000")]))
            assert not store.replaced
        assert await stage.query("SELECT title FROM reddit_posts") == [(r"\u0000 and \\u0000",)]

    play(scenario)


def test_rows_that_are_refused_fail_their_batch_and_no_other(stage: Stage) -> None:
    # a title is never missing in what parsing gives: the database insists on it
    broken = Batch(posts=[a_post("first"), a_post("broken", title=None)], found=[Found("never", 1)])

    async def scenario() -> None:
        async with stage.open() as store:
            results = await asyncio.gather(
                store.save(Batch(posts=[a_post("before")])),
                store.save(broken),
                store.save(Batch(posts=[a_post("after")])),
                return_exceptions=True,
            )
            assert [type(result) for result in results] == [type(None), RowsRefused, type(None)]
            await store.save(Batch(posts=[a_post("later")]))
        saved = await stage.query("SELECT reddit_id FROM reddit_posts ORDER BY 1")
        assert saved == [("after",), ("before",), ("later",)], "a batch is never split"
        assert await stage.query("SELECT * FROM reddit_frontier") == []

    play(scenario)


def test_a_proxys_counts_add_up(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            delta = ProxyDelta("p", "http://user:secret@host:1", "healthy", 3, 1, 1.5, 3, 2, "reset", NOON, later(9))
            await first.save(Batch(proxy=delta))
            await asyncio.gather(
                first.save(Batch(proxy=ProxyDelta("p", state="resting", success_count=1))),
                second.save(Batch(proxy=ProxyDelta("p", "host:1", "healthy", 0, 0, 2.5, 1))),
                second.save(Batch(proxy=ProxyDelta("never answered", error_count=1))),
            )
        (row,) = await stage.query(
            "SELECT success_count, error_count, mean_latency_ms, last_error, consecutive_failures "
            "FROM reddit_proxies WHERE name = 'p'"
        )
        assert row == (4, 1, 1000.0, "reset", 0)
        rest = await stage.query("SELECT mean_latency_ms, error_count FROM reddit_proxies WHERE name <> 'p'")
        assert rest == [(None, 1)]
        assert "secret" not in str(await stage.query("SELECT * FROM reddit_proxies"))

    play(scenario)
