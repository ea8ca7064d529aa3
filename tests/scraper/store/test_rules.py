"""Rules go with their subreddit, as a set; what comes before the subreddit's facts is kept."""

from scraper.reddit.rows import AuthorFigures, PostFigures
from scraper.store import Batch
from tests.scraper.store.stage import Stage, a_rule, a_subreddit, later, play


def test_rules_are_replaced_as_a_set(stage: Stage) -> None:
    rules = "SELECT position, short_name FROM reddit_rules ORDER BY position"

    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(subreddits=[a_subreddit()], rules={"Bitcoin": [a_rule(0), a_rule(1), a_rule(2)]}))
            await store.save(Batch(rules={"bitcoin": [a_rule(0, later(5), short_name="only")]}))
            assert await stage.query(rules) == [(0, "only")]
            await store.save(Batch(rules={"Bitcoin": [a_rule(0), a_rule(1), a_rule(2)]}))
            assert await stage.query(rules) == [(0, "only")], "an older set came late"
            stage.clock.forward(10)
            await store.save(Batch(rules={"Bitcoin": []}))
        assert await stage.query(rules) == []

    play(scenario)


def test_rules_and_figures_that_come_before_the_facts_are_kept(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(rules={"bitcoin": [a_rule(0)]}, post_figures={"bitcoin": PostFigures(2.5, 2.0)}))
            assert (await store.counts(max_depth=1, refresh_after=60)).subreddits == 0
            await store.save(Batch(subreddits=[a_subreddit()], author_figures={"BITCOIN": AuthorFigures(99.5)}))
        row = await stage.query("SELECT name, state, score_mean, account_age_days_p10 FROM reddit_subreddits")
        assert row == [("Bitcoin", "open", 2.5, 99.5)]
        assert await stage.query("SELECT subreddit_name, short_name FROM reddit_rules") == [("Bitcoin", "rule 0")]

    play(scenario)


def test_deleting_a_subreddit_deletes_its_rules(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(subreddits=[a_subreddit()], rules={"Bitcoin": [a_rule(0)]}))
        await stage.query("DELETE FROM reddit_subreddits")
        assert await stage.query("SELECT * FROM reddit_rules") == []

    play(scenario)
