"""The frontier: what is due, in which order, and in what spelling."""

import asyncio

import pytest

from scraper.store import Batch, Counts, Found, Lease, Progress, RemainingWork, SaveOutcome, Store
from tests.scraper.store.stage import Stage, a_subreddit, later, play

DAY = 86_400.0


async def _lease(store: Store, limit: int = 10, *, max_depth: int = 1, seconds: float = 60.0) -> list[Lease]:
    return await store.lease(limit, max_depth=max_depth, refresh_after=DAY, seconds=seconds)


async def _names(store: Store, limit: int = 10, *, max_depth: int = 1, seconds: float = 60.0) -> list[str]:
    return [lease.name for lease in await _lease(store, limit, max_depth=max_depth, seconds=seconds)]


async def _counts(store: Store) -> Counts:
    return await store.counts(max_depth=1, refresh_after=DAY)


async def _finish(store: Store, *names: str) -> None:
    await store.save(Batch(outcomes=[SaveOutcome(name, "open", finished=True) for name in names]))


def test_seeds_are_entered_once_whatever_their_case(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin", "ethereum", "BITCOIN"])
            await store.enter(["bitcoin"])
            await store.enter([])
            leases = await _lease(store)
        assert {lease.name.lower() for lease in leases} == {"bitcoin", "ethereum"}
        assert leases[0] == Lease(leases[0].name, 0, 0, None, None, later(60))

    play(scenario)


def test_shallow_ones_come_first_and_old_ones_before_young_ones(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("deep", 1), Found("deeper", 2)]))
            stage.clock.forward(1)
            await store.enter(["seed1"])
            stage.clock.forward(1)
            await store.enter(["seed2"])
            assert await _names(store, 1) == ["seed1"]
            assert await _names(store) == ["seed2", "deep"], "depth 2 is too deep"
            assert await _names(store, max_depth=5) == ["deeper"]

    play(scenario)


def test_of_several_depths_the_smallest_counts(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("x", 3, "far"), Found("X", 2, "near"), Found("x", 4)]))
            await store.save(Batch(found=[Found("x", 3)]))
            assert await stage.query("SELECT depth, found_in FROM reddit_frontier") == [(2, "near")]
            await store.enter(["x"])
        assert await stage.query("SELECT depth FROM reddit_frontier") == [(0,)]

    play(scenario)


def test_what_is_done_comes_again_after_the_refresh_time_and_not_before(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            await _lease(store)
            await _finish(store, "Bitcoin")
            stage.clock.forward(DAY - 1)
            assert await _names(store) == []
            stage.clock.forward(1)
            assert await _names(store) == ["Bitcoin"]

    play(scenario)


def test_what_was_never_done_comes_before_what_is_old(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["old"])
            await _lease(store)
            await _finish(store, "old")
            stage.clock.forward(2 * DAY)
            await store.save(Batch(found=[Found("new", 1)]))
            assert await _names(store) == ["new", "old"]

    play(scenario)


def test_what_failed_comes_again_at_its_time_with_its_attempts_counted(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            for attempt in range(3):
                (lease,) = await _lease(store)
                assert lease.attempts == attempt
                due = later(100.0 * (attempt + 1))
                await store.save(
                    Batch(outcomes=[SaveOutcome("bitcoin", "failed", finished=False, due_at=due, error="timeout")])
                )
                assert await _names(store) == []
                stage.clock.now = due
            (lease,) = await _lease(store)
            await _finish(store, "Bitcoin")
            assert await stage.query("SELECT attempts, todo, error, state FROM reddit_frontier") == [
                (0, None, None, "open")
            ]

    play(scenario)


def test_a_finished_one_may_name_the_time_of_its_next_visit(stage: Stage) -> None:
    """A private subreddit is done for today, and looked at again in a week."""

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Secret"])
            await _lease(store)
            await store.save(Batch(outcomes=[SaveOutcome("Secret", "private", finished=True, due_at=later(7 * DAY))]))
            stage.clock.forward(7 * DAY - 1)
            assert await _names(store) == []
            assert (await _counts(store)).refused == 1
            stage.clock.forward(1)
            assert await _names(store) == ["Secret"]

    play(scenario)


@pytest.mark.parametrize("todo", [RemainingWork((), ()), RemainingWork(("about", "hot"), None), None])
def test_what_is_left_to_do_is_read_as_it_was_written(sqlite_stage: Stage, todo: RemainingWork | None) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.enter(["Bitcoin"])
            await _lease(store)
            await store.save(Batch(progress=[Progress("bitcoin", todo)], given_back=["bitcoin"]))
            assert [lease.todo for lease in await _lease(store)] == [todo]

    play(scenario)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"parts": 3}'])
def test_a_todo_that_cannot_be_read_means_everything(text: str) -> None:
    assert RemainingWork.load(text) is None


def test_what_a_person_marks_is_skipped_or_told(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Never", "Some", "All", "Other"])
            await stage.query(
                "INSERT INTO reddit_subreddits (name, review) "
                "VALUES ('never', ' SKIP '), ('Some', ' Posts_Only'), ('other', '')"
            )
            assert (await _counts(store)).waiting == 3
            reviews = {lease.name: lease.review for lease in await _lease(store)}
            assert reviews == {"Some": "posts_only", "All": None, "other": None}

    play(scenario)


def test_it_is_asked_for_in_the_spelling_that_reddit_uses(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["bitcoin"])
            await store.save(Batch(subreddits=[a_subreddit("BitCoin")]))
            assert await _names(store) == ["BitCoin"]

    play(scenario)


def test_counts_tell_what_is_to_happen_to_each(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["done", "old", "held", "failed", "new"])
            await store.save(Batch(found=[Found("too deep", 2)]))
            await _lease(store)
            await _finish(store, "old")
            stage.clock.forward(DAY)
            await store.renew(["held"], 60)
            await _finish(store, "done")
            await store.save(
                Batch(
                    outcomes=[SaveOutcome("failed", "failed", finished=False, due_at=later(9 * DAY))],
                    given_back=["new"],
                )
            )
            counts = await _counts(store)
        assert (counts.waiting, counts.leased, counts.later, counts.done) == (2, 1, 1, 1)

    play(scenario)


def test_what_was_being_saved_when_all_is_given_back_is_not_to_be_done_again(stage: Stage) -> None:
    """A stop ends the tasks that save; their batches, still to be written, hold what is done of a subreddit."""
    left = RemainingWork((), ("Satoshi",))

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Done", "Halfway"])
            await _lease(store)
            halfway = Batch(subreddits=[a_subreddit("Halfway")], progress=[Progress("Halfway", left)])
            done = Batch(outcomes=[SaveOutcome("Done", "open", finished=True)])
            saving = [asyncio.create_task(store.save(batch)) for batch in (halfway, done)]
            await asyncio.sleep(0)
            for task in saving:
                task.cancel()
            await store.take_back()
            (lease,) = await _lease(store)
            assert (lease.name, lease.todo) == ("Halfway", left)

    play(scenario)
