"""What the frontier keeps of refusals that are not confirmed: on both databases, over restarts, between processes."""

from datetime import datetime

from scraper.reddit.rows import Subreddit, User
from scraper.store import Batch, Store
from scraper.store.batches.batch import Lease, Progress, RemainingWork, SaveOutcome
from tests.scraper.store.stage import NOON, Stage, later, play

A, B = "here/scraper-a", "here/scraper-b"


async def leased(store: Store) -> list[Lease]:
    return await store.lease(9, max_depth=0, refresh_after=86_400.0, seconds=60.0)


def put_back(doubts: str, due_at: datetime, avoid_until: datetime | None) -> Batch:
    outcome = SaveOutcome("Bitcoin", "unconfirmed", finished=False, due_at=due_at, error="403", doubts=doubts)
    return Batch(outcomes=[outcome._replace(avoid_until=avoid_until)])


def test_one_process_leaves_it_to_the_others_for_a_while(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open(A) as a, stage.open(B) as b:
            await a.enter(["Bitcoin"])
            assert len(await leased(a)) == 1
            await a.save(put_back("of a", NOON, later(450)))
            assert await leased(a) == []
            (lease,) = await leased(b)
            assert (lease.name, lease.doubts) == ("Bitcoin", "of a")
            await b.save(Batch(given_back=["bitcoin"]))
            assert await leased(a) == [], "given back, it is still not for a"
            stage.clock.forward(451)
            (lease,) = await leased(a)
            assert lease.doubts == "of a"
            await a.save(Batch(outcomes=[SaveOutcome("Bitcoin", "open", finished=True)]))
        columns = "doubts, avoided_by, avoided_until, settled"
        [row] = await stage.query(f"SELECT {columns} FROM reddit_frontier")
        assert (*row[:3], bool(row[3])) == (None, None, None, True)

    play(scenario)


def test_a_lease_of_a_process_that_died_is_still_not_for_itself(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open(A) as a:
            await a.enter(["Bitcoin"])
            await leased(a)
            await a.save(put_back("kept", NOON, later(450)))
        async with stage.open(A) as again:
            assert await leased(again) == []
        async with stage.open(B) as b:
            (lease,) = await leased(b)
            assert lease.doubts == "kept"

    play(scenario)


def test_what_is_done_save_for_a_part_counts_as_done_and_comes_again(stage: Stage) -> None:
    left = RemainingWork(("rules",), ("ann",))

    async def scenario() -> None:
        async with stage.open(A) as a:
            await a.enter(["Bitcoin"])
            await leased(a)
            done = SaveOutcome("Bitcoin", "open", finished=True, due_at=later(150), pending=True, doubts="rules")
            await a.save(Batch(progress=[Progress("Bitcoin", left)], outcomes=[done]))
            counts = await a.counts(max_depth=0, refresh_after=86_400.0)
            assert (counts.done, counts.later, counts.waiting) == (1, 0, 0)
            assert await leased(a) == []
            stage.clock.forward(150)
            (lease,) = await leased(a)
            assert (lease.todo, lease.doubts, lease.attempts) == (left, "rules", 0)

    play(scenario)


def test_doubts_stay_when_everything_is_fetched_again(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open(A) as a:
            await a.enter(["Bitcoin"])
            await leased(a)
            await a.save(Batch(outcomes=[SaveOutcome("Bitcoin", "open", finished=True, doubts="rules")]))
            stage.clock.forward(86_401)
            (lease,) = await leased(a)
            assert (lease.todo, lease.doubts) == (None, "rules")

    play(scenario)


def test_where_a_name_has_moved_to_goes_with_its_state(stage: Stage) -> None:
    """The other facts stay when it is closed; this one belongs to the state."""

    async def scenario() -> None:
        async with stage.open(A) as a:
            for seconds, state, moved_to in ((0, "open", None), (1, "moved", "new"), (2, "private", None)):
                title = "t" if state == "open" else None
                await a.save(
                    Batch(subreddits=[Subreddit("Bitcoin", state, later(seconds), title=title, moved_to=moved_to)])
                )
                assert await stage.query("SELECT state, title, moved_to FROM reddit_subreddits") == [
                    (state, "t", moved_to)
                ]
            await a.save(Batch(subreddits=[Subreddit("Bitcoin", "moved", later(3), moved_to="new")]))
            await a.save(Batch(missing=[("Bitcoin", later(4))]))
            assert await stage.query("SELECT state, moved_to FROM reddit_subreddits") == [("missing", None)]
            await a.save(Batch(users=[User("ann", "gated", NOON, moved_to="/login")]))
            await a.save(Batch(users=[User("ann", "active", later(1))]))
            assert await stage.query("SELECT state, moved_to FROM reddit_users") == [("active", None)]

    play(scenario)
