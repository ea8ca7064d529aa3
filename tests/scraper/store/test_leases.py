"""Leases: who holds what, until when, and how it comes back."""

from scraper.store import Batch, Lease, Progress, RemainingWork, SaveOutcome, Store
from tests.scraper.store.stage import Stage, play

DAY = 86_400.0


async def _lease(store: Store, limit: int = 10, *, max_depth: int = 1, seconds: float = 60.0) -> list[Lease]:
    return await store.lease(limit, max_depth=max_depth, refresh_after=DAY, seconds=seconds)


async def _names(store: Store, limit: int = 10, *, max_depth: int = 1, seconds: float = 60.0) -> list[str]:
    return [lease.name for lease in await _lease(store, limit, max_depth=max_depth, seconds=seconds)]


def test_nobody_gets_what_another_holds(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            await first.enter(["One", "Two", "Three"])
            taken = await _names(first, 2)
            assert set(taken) | set(await _names(second)) == {"One", "Two", "Three"}
            assert await _names(first) == []

    play(scenario)


def test_a_lease_that_nobody_ends_comes_back_when_its_time_is_over(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("dead") as dead, stage.open("alive") as alive:
            await dead.enter(["Bitcoin"])
            await _lease(dead, seconds=60)
            stage.clock.forward(59.9)
            assert await _names(alive) == []
            stage.clock.forward(0.1)
            assert await _names(alive) == ["Bitcoin"]

    play(scenario)


def test_a_successor_takes_back_what_its_predecessor_held_and_nothing_else(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            await first.enter(["One", "Two"])
            mine, theirs = await _names(first, 1), await _names(second, 1)
            async with stage.open("a") as successor:
                await successor.take_back()
                assert await _names(successor) == mine
            assert theirs != mine

    play(scenario)


def test_closing_gives_back_what_is_still_held(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first:
            await first.enter(["Bitcoin"])
            await _lease(first)
            await first.claim_users(["Satoshi"], refresh_after=DAY, seconds=60)
        async with stage.open("b") as second:
            assert await _names(second) == ["Bitcoin"]
            claims = await second.claim_users(["Satoshi"], refresh_after=DAY, seconds=60)
            assert claims.mine == ("Satoshi",)

    play(scenario)


def test_what_is_given_back_is_due_at_once_and_keeps_what_is_left_to_do(stage: Stage) -> None:
    todo = RemainingWork(("week",), ("Satoshi", "hal"))

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            await _lease(store)
            await store.save(Batch(progress=[Progress("bitcoin", todo)], given_back=["bitcoin"]))
            (lease,) = await _lease(store)
            assert (lease.attempts, lease.todo) == (0, todo)

    play(scenario)


def test_renewing_keeps_what_is_held_and_says_what_is_lost(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            await first.enter(["One", "Two"])
            await _lease(first, seconds=60)
            stage.clock.forward(50)
            assert await first.renew(["ONE"], 60) == {"one"}
            stage.clock.forward(20)
            assert await _names(second) == ["Two"], "its lease was not renewed"
            assert await first.renew(["One", "Two"], 60) == {"one"}
            assert await first.renew([], 60) == frozenset()

    play(scenario)


def test_who_lost_a_lease_does_not_end_the_new_holders(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("slow") as slow, stage.open("quick") as quick:
            await slow.enter(["Bitcoin"])
            await _lease(slow, seconds=10)
            stage.clock.forward(10)
            assert await _names(quick) == ["Bitcoin"]
            await slow.save(
                Batch(
                    progress=[Progress("Bitcoin", RemainingWork((), ()))],
                    outcomes=[SaveOutcome("Bitcoin", "open", finished=True)],
                    given_back=["Bitcoin"],
                )
            )
            assert await stage.query("SELECT leased_by, todo, done_at FROM reddit_frontier") == [("quick", None, None)]

    play(scenario)


def test_giving_back_after_the_end_does_not_bring_it_back(stage: Stage) -> None:
    """A task that is cancelled while its last batch is on the way still has it saved."""

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            await _lease(store)
            await store.save(Batch(outcomes=[SaveOutcome("Bitcoin", "open", finished=True)], given_back=["Bitcoin"]))
            assert await _names(store) == []

    play(scenario)
