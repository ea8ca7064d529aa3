"""A clock was years ahead when a date was written: the date counts as now, and holds nothing back."""

from datetime import timedelta

import pytest
import structlog

from scraper.store.batches.batch import Batch, Found
from scraper.store.store import Store
from tests.scraper.store.stage import NOON, Stage, a_post, a_rule, a_subreddit, a_user, play

YEARS = timedelta(days=3650)
AHEAD = "2036-11-21 12:00:00"


async def leased(store: Store) -> list[str]:
    leases = await store.lease(10, max_depth=2, refresh_after=86400.0, seconds=60.0)
    return [lease.name for lease in leases]


@pytest.mark.parametrize(
    "written",
    [
        f"due_at = '{AHEAD}'",
        f"due_at = '{AHEAD}', settled = true",
        f"due_at = '{AHEAD}', leased_by = 'there/scraper-a', leased_until = '{AHEAD}'",
        f"avoided_by = 'here/scraper-a', avoided_until = '{AHEAD}'",
    ],
)
def test_a_subreddit_whose_date_is_years_ahead_is_due(stage: Stage, written: str) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("Bitcoin", 0)]))
        await stage.query(f"UPDATE reddit_frontier SET {written}")
        async with stage.open() as store:
            with structlog.testing.capture_logs() as logs:
                first = await leased(store)
            assert [line["rows"] for line in logs if line["event"] == "future_dates_corrected"] == [1]
        stage.clock.forward(90_000.0)  # what was done at that time is due for a refresh
        async with stage.open() as store:
            assert first or await leased(store) == ["Bitcoin"]

    play(scenario)


@pytest.mark.parametrize("days", [1, 7, 30])
def test_a_pause_of_ours_stays(stage: Stage, days: int) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("Bitcoin", 0)]))
            await stage.query(f"UPDATE reddit_frontier SET due_at = '{NOON + timedelta(days=days):%Y-%m-%d %H:%M:%S}'")
            assert await leased(store) == []
            stage.clock.forward(days * 86_400.0 + 1.0)
            assert await leased(store) == ["Bitcoin"]

    play(scenario)


def test_a_claim_that_is_years_ahead_is_dropped(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("there/scraper-b") as other:
            claims = await other.claim_users(["Satoshi"], refresh_after=86400.0, seconds=60.0)
            assert claims.mine == ("Satoshi",)
            await stage.query(f"UPDATE reddit_user_claims SET until = '{AHEAD}'")
            async with stage.open() as store:
                await leased(store)
                claims = await store.claim_users(["Satoshi"], refresh_after=86400.0, seconds=60.0)
                assert claims.mine == ("Satoshi",)

    play(scenario)


def test_rows_of_a_clock_that_was_ahead_are_replaced(stage: Stage) -> None:
    async def scenario() -> None:
        wrong, right = NOON + YEARS, NOON
        async with stage.open() as store:
            for at, text in ((wrong, "old"), (right, "new")):
                rules = {"Bitcoin": [a_rule(0, at, short_name=text)]}
                await store.save(
                    Batch(
                        subreddits=[a_subreddit(at=at, title=text)],
                        users=[a_user(at=at, public_description=text)],
                        posts=[a_post(at=at, title=text)],
                        rules=rules,
                    )
                )
                claims = await store.claim_users(["Satoshi"], refresh_after=86400.0, seconds=60.0)
                assert claims.mine == (("Satoshi",) if text == "old" else ())
        for sql in (
            "SELECT title FROM reddit_subreddits",
            "SELECT public_description FROM reddit_users",
            "SELECT title FROM reddit_posts",
            "SELECT short_name FROM reddit_rules",
        ):
            assert await stage.query(sql) == [("new",)], sql

    play(scenario)
