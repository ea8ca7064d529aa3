"""What is to do, as `status` tells it."""

from scraper.store.batches.batch import Batch, Found, SaveOutcome
from tests.scraper.store.stage import Stage, a_post, a_rule, a_subreddit, a_user, later, play


def test_every_subreddit_of_the_frontier_is_counted_once(stage: Stage) -> None:
    """Of those that are open, what is at the last depth leads nowhere; what is refused is nothing to wait for."""

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Done", "Private", "Failed", "Leased", "Waiting"])
            await store.save(Batch(found=[Found("Deep", 1, "Done"), Found("TooDeep", 2, "Done")]))
            for _ in range(4):
                await store.lease(1, max_depth=0, refresh_after=60.0, seconds=60.0)
            stands = await store.counts(max_depth=1, refresh_after=60.0)
            assert (stands.waiting, stands.leased, stands.later, stands.done) == (2, 4, 0, 0)
            outcomes = [
                SaveOutcome("Done", "open", finished=True),
                SaveOutcome("Private", "private", finished=True, due_at=later(7 * 86400)),
                SaveOutcome("Failed", "failed", finished=False, due_at=later(5)),
            ]
            await store.save(Batch(outcomes=outcomes))
            stands = await store.counts(max_depth=1, refresh_after=60.0)
            assert (stands.waiting, stands.leased, stands.later, stands.done) == (2, 1, 2, 1)
            assert (stands.refused, stands.growing) == (1, 3), "Failed, Leased and Waiting may lead on"
            assert (await store.counts(max_depth=0, refresh_after=60.0)).growing == 0
            stage.clock.forward(70.0)
            stands = await store.counts(max_depth=1, refresh_after=60.0)
            assert (stands.waiting, stands.leased, stands.later, stands.done) == (5, 0, 1, 0)

    play(scenario)


def test_rows_are_counted_by_their_table(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            rules = {"Bitcoin": [a_rule(0), a_rule(1)]}
            await store.save(Batch(subreddits=[a_subreddit()], rules=rules, posts=[a_post()], users=[a_user()]))
            stands = await store.counts(max_depth=1, refresh_after=60.0)
            assert (stands.subreddits, stands.rules, stands.posts, stands.users) == (1, 2, 1, 1)

    play(scenario)
