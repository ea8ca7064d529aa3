"""Claims: a user is fetched by one task of one process, and not again while what is saved is fresh."""

from datetime import datetime

from scraper.reddit.rows import User
from scraper.store import Batch, Claims, Store
from tests.scraper.store.stage import NOON, Stage, a_post, a_user, later, play


async def _claim(store: Store, *usernames: str, refresh_after: float = 3600.0, seconds: float = 60.0) -> Claims:
    return await store.claim_users(usernames, refresh_after=refresh_after, seconds=seconds)


def test_each_user_goes_to_one(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            assert await _claim(first, "Satoshi", "hal") == Claims(("Satoshi", "hal"), (), ())
            assert await _claim(second, "satoshi", "nick") == Claims(("nick",), (), ("satoshi",))
            assert await _claim(first, "HAL") == Claims((), (), ("HAL",)), "another task of this process has him"
            assert await _claim(first) == Claims((), (), ())

    play(scenario)


def test_a_saved_user_is_fresh_for_a_while(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await _claim(store, "satoshi")
            await store.save(Batch(users=[a_user("Satoshi")]))
            assert await stage.query("SELECT * FROM reddit_user_claims") == [], "saving fulfils the claim"
            stage.clock.forward(3599)
            assert await _claim(store, "SATOSHI") == Claims((), ("SATOSHI",), ())
            assert await stage.query("SELECT * FROM reddit_user_claims") == []
            stage.clock.forward(1)
            assert await _claim(store, "Satoshi") == Claims(("Satoshi",), (), ())

    play(scenario)


def test_a_claim_comes_back_when_its_time_is_over_or_it_is_given_up(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            await _claim(first, "one", "two", "three")
            await first.save(Batch(released_users=["ONE"]))
            assert (await _claim(second, "one", "two")).mine == ("one",)
            await second.save(Batch(released_users=["two"]))
            assert (await _claim(second, "two")).mine == (), "only its holder gives it up"
            stage.clock.forward(60)
            assert (await _claim(second, "two")).mine == ("two",)
            await first.take_back()
            assert await stage.query("SELECT DISTINCT holder FROM reddit_user_claims") == [("b",)]

    play(scenario)


def test_renewing_keeps_claims(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open("a") as first, stage.open("b") as second:
            await _claim(first, "satoshi")
            stage.clock.forward(50)
            await first.renew([], 60)
            stage.clock.forward(50)
            assert (await _claim(second, "satoshi")).elsewhere == ("satoshi",)
            stage.clock.forward(10)
            await first.renew([], 60)
            assert (await _claim(second, "satoshi")).mine == ("satoshi",), "too late: what is over is over"

    play(scenario)


def test_a_claim_that_a_task_forgot_comes_back_however_often_it_is_renewed(sqlite_stage: Stage) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await _claim(store, "satoshi", seconds=90)
            minutes = 0
            while (await _claim(store, "satoshi")).elsewhere:
                sqlite_stage.clock.forward(60)
                minutes += 1
                await store.renew([], 90)
            assert minutes == 16

    play(scenario)


def test_facts_are_those_of_active_users(stage: Stage) -> None:
    born = datetime(2009, 1, 3, tzinfo=NOON.tzinfo)
    gone = [User("gone", "suspended", NOON), User("ghost", "missing", NOON)]

    async def scenario() -> None:
        async with stage.open() as store:
            active = [a_user("Satoshi", created_utc=born, comment_karma=3, link_karma=-4), a_user("blank")]
            await store.save(Batch(users=[*active, *gone]))
            facts = await store.author_facts(["satoshi", "SATOSHI", "blank", "gone", "ghost", "unknown"])
            assert sorted(facts, key=str) == sorted([(born, 3, -4), (None, None, None)], key=str)
            assert await store.author_facts([]) == []

    play(scenario)


def test_the_subreddits_of_saved_users_are_named_without_profiles(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            places = ("Bitcoin", "ethereum", "Bitcoin", "u_Satoshi", "uXkcd")
            mine = [a_post(f"p{at}", later(at), subreddit_name=name) for at, name in enumerate(places)]
            await store.save(Batch(posts=[*mine, a_post("other", author_username="hal", subreddit_name="lisp")]))
            assert sorted(await store.subreddits_of(["Satoshi", "nobody"])) == ["Bitcoin", "ethereum", "uXkcd"]
            assert await store.subreddits_of([]) == []

    play(scenario)
