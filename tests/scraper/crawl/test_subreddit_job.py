"""A subreddit's turn, with a scripted Reddit and a real database."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from core.reddit.request_errors import ServerTrouble, Unavailable, Unreachable
from scraper.crawl.subreddit_job import SubredditJob
from scraper.http.transport.route import ProxyResting
from scraper.store.batches.batch import Batch, Found
from scraper.store.store import Store
from tests.scraper.crawl.reddit import account, listing, post
from tests.scraper.crawl.stage import SETTINGS, Stage
from tests.support.scraper_config import scraper_config_of
from tests.support.waiting import wait_until


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_turn_brings_in_the_subreddit_its_posts_its_authors_and_what_they_lead_to(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"), post("b", "Bitcoin", "AutoModerator"))
    stage.reddit.user("ann", post("c", "Bitcoin", "ann"), post("d", "gardening", "ann"), post("e", "u_ann", "ann"))
    assert stage.turn() == ["Bitcoin"]
    assert stage.rows("SELECT name, state, subscribers FROM reddit_subreddits") == [("Bitcoin", "open", 7)]
    assert stage.rows("SELECT subreddit_name, position, short_name FROM reddit_rules") == [("Bitcoin", 0, "be kind")]
    assert [row[0] for row in stage.rows("SELECT reddit_id FROM reddit_posts ORDER BY 1")] == ["a", "b", "c", "d", "e"]
    assert stage.rows("SELECT username, state FROM reddit_users") == [("ann", "active")]
    assert stage.rows("SELECT name, depth, found_in FROM reddit_frontier ORDER BY depth") == [
        ("bitcoin", 0, None),
        ("gardening", 1, "Bitcoin"),
    ]
    figures = stage.rows(
        "SELECT score_mean, comments_per_upvote, comment_karma_p10, post_karma_p10 FROM reddit_subreddits"
    )
    assert figures == [(10.0, 0.5, 100.0, 50.0)]
    assert stage.counters.as_dict() == {
        "subreddits": 1, "users": 1, "posts": 5, "rules": 1, "failures": 0, "leases_given_back": 0,
    }  # fmt: skip


def test_what_is_younger_than_the_refresh_time_is_not_fetched_again(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    stage.reddit.user("ann")
    stage.turn()
    before = stage.reddit.asked.copy()
    stage.now += timedelta(hours=23)
    assert stage.turn() == []
    assert stage.reddit.asked == before
    stage.now += timedelta(hours=2)
    assert stage.turn() == ["Bitcoin"]
    assert stage.reddit.asked["/user/ann/about"] == 2


@pytest.mark.parametrize(
    ("reason", "state", "days", "rows"),
    [
        ("private", "private", 7, 1),
        ("banned", "banned", 30, 1),
        ("missing", "missing", 1, 0),
        ("odd", "forbidden", 1, 1),
    ],
)
def test_a_refused_subreddit_is_a_fact_with_its_own_time_of_the_next_try(
    stage: Stage, reason: str, state: str, days: int, rows: int
) -> None:
    """Of a subreddit that does not exist no row is made up."""
    stage.reddit.answers["/r/Bitcoin/about"] = Unavailable(reason)
    stage.turn()
    assert stage.rows("SELECT state FROM reddit_subreddits") == [(state,)] * rows
    assert stage.value("SELECT state FROM reddit_frontier") == state
    stage.now += timedelta(days=days, seconds=-1)
    assert stage.turn() == []
    stage.now += timedelta(seconds=2)
    stage.reddit.subreddit("Bitcoin")
    assert stage.turn() == ["Bitcoin"]
    assert stage.value("SELECT state FROM reddit_subreddits") == "open"


def test_only_what_failed_is_fetched_again(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"), post("b", "Bitcoin", "bob"))
    stage.reddit.user("ann")
    stage.reddit.user("bob")
    good = dict(stage.reddit.answers)
    stage.reddit.answers["/r/Bitcoin/top year"] = ServerTrouble("503")
    stage.reddit.answers["/user/bob/submitted"] = Unreachable("reset")
    stage.turn()
    assert stage.value("SELECT count(*) FROM reddit_users") == 1
    assert (
        stage.value("SELECT todo FROM reddit_frontier")
        == '{"parts":["year"],"authors":["ann","bob"],"tries":{"year":1,"user/bob":1}}'
    )
    assert stage.value("SELECT error FROM reddit_frontier") == "503"
    assert stage.counters.failures == 1
    before = stage.reddit.asked.copy()
    stage.reddit.answers = good
    stage.now += timedelta(seconds=6)
    assert stage.turn() == ["Bitcoin"]
    assert stage.reddit.asked - before == {"/r/Bitcoin/top year": 1, "/user/bob/about": 1, "/user/bob/submitted": 1}
    assert stage.value("SELECT count(*) FROM reddit_users") == 2
    assert stage.rows("SELECT error, attempts FROM reddit_frontier") == [(None, 0)]


def test_about_decides_and_comes_first_the_next_time(stage: Stage) -> None:
    """The others stand; but nobody's authors are fetched for a subreddit that may be closed."""
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    about = stage.reddit.answers["/r/Bitcoin/about"]
    stage.reddit.answers["/r/Bitcoin/about"] = ServerTrouble("503")
    stage.turn()
    assert stage.value("SELECT count(*) FROM reddit_posts") == 1
    assert stage.reddit.asked["/user/ann/about"] == 0
    stage.reddit.answers["/r/Bitcoin/about"] = about
    stage.now += timedelta(seconds=6)
    stage.turn()
    assert stage.reddit.asked["/r/Bitcoin/hot"] == 1
    assert stage.reddit.asked["/user/ann/about"] == 1
    assert stage.rows("SELECT state, score_mean FROM reddit_subreddits") == [("open", 10.0)]
    assert stage.value("SELECT count(*) FROM reddit_rules") == 1


def test_a_resting_proxy_costs_the_subreddit_nothing_but_time(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    stage.reddit.answers["/user/ann/about"] = ProxyResting(5.0)
    stage.reddit.answers["/user/ann/submitted"] = listing()
    stage.turn()
    assert stage.rows("SELECT attempts, leased_by, error FROM reddit_frontier") == [(0, None, None)]
    assert stage.counters.given_back == 1
    stage.reddit.user("ann")
    assert stage.turn() == ["Bitcoin"], "another proxy takes it at once"
    assert stage.reddit.asked["/r/Bitcoin/about"] == 1


def test_suspended_and_vanished_users_are_facts(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "sue"), post("b", "Bitcoin", "gone"))
    stage.reddit.answers["/user/sue/about"] = account("sue", is_suspended=True)
    stage.turn()
    assert sorted(stage.rows("SELECT username, state FROM reddit_users")) == [("gone", "missing"), ("sue", "suspended")]
    assert stage.counters.failures == 0


def test_posts_only_and_skip_steer_the_crawl(stage: Stage) -> None:
    stage.settings = scraper_config_of(subreddits=("Bitcoin", "ethereum"))
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    stage.reddit.subreddit("ethereum", post("b", "ethereum", "ann"))

    async def write(store: Store, job: SubredditJob) -> None:
        """Only have the tables made."""

    stage.play(write)
    with sqlite3.connect(stage.path) as connection:
        connection.execute(
            "INSERT INTO reddit_subreddits (name, review) VALUES ('Bitcoin', 'posts_only'), ('Ethereum', 'skip')"
        )
    assert stage.turn() == ["Bitcoin"]
    assert stage.reddit.asked["/user/ann/about"] == 0
    assert stage.rows("SELECT name, review, state FROM reddit_subreddits ORDER BY review") == [
        ("Bitcoin", "posts_only", "open"),
        ("Ethereum", "skip", None),
    ]


def test_an_author_known_from_further_out_still_leads_on(stage: Stage) -> None:
    """Whoever fetched ann at the border of the crawl had no use for the subreddits that her posts lead to."""
    stage.settings = scraper_config_of(subreddits=("Bitcoin",), max_depth=0)
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    stage.reddit.user("ann", post("c", "gardening", "ann"))
    stage.turn()
    assert stage.value("SELECT count(*) FROM reddit_frontier") == 1
    stage.settings = scraper_config_of(subreddits=("ethereum",))
    stage.reddit.subreddit("ethereum", post("b", "ethereum", "ann"))
    stage.turn()
    assert stage.reddit.asked["/user/ann/about"] == 1
    assert stage.rows("SELECT depth, found_in FROM reddit_frontier WHERE name = 'gardening'") == [(1, "ethereum")]


def test_what_is_found_again_on_a_shorter_way_leads_on_without_being_fetched_again(stage: Stage) -> None:
    """Depth 2 is the border: gardening was found there first, and then from a seed, at depth 1."""
    seeds = ("Bitcoin", "ethereum")
    stage.settings = replace(SETTINGS, subreddits=seeds[:1], max_depth=2)
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    stage.reddit.user("ann", post("b", "cooking", "ann"))
    stage.reddit.subreddit("cooking", post("c", "cooking", "bob"))
    stage.reddit.user("bob", post("d", "gardening", "bob"))
    stage.reddit.subreddit("gardening", post("e", "gardening", "cid"))
    stage.reddit.user("cid", post("f", "roses", "cid"))
    assert [stage.turn() for _ in range(4)] == [["Bitcoin"], ["cooking"], ["gardening"], []]
    stage.settings = replace(stage.settings, subreddits=seeds)
    stage.reddit.subreddit("ethereum", post("g", "ethereum", "dan"))
    stage.reddit.user("dan", post("h", "gardening", "dan"))
    before = stage.reddit.asked.copy()
    assert stage.turn() == ["ethereum"]
    assert stage.rows("SELECT depth, found_in FROM reddit_frontier WHERE name = 'gardening'") == [(1, "ethereum")]
    assert stage.turn() == ["gardening"]
    assert {path for path in stage.reddit.asked - before if "ethereum" not in path} == {
        "/user/dan/about",
        "/user/dan/submitted",
    }
    assert stage.rows("SELECT depth, found_in FROM reddit_frontier WHERE name = 'roses'") == [(2, "gardening")]


def test_a_shorter_way_that_is_found_during_the_turn_counts_too(stage: Stage) -> None:
    stage.settings = replace(SETTINGS, max_depth=0)
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin"))

    async def scene(store: Store, job: SubredditJob) -> None:
        await store.save(Batch(found=[Found("gardening", 2)]))
        [_, lease] = await store.lease(10, max_depth=2, refresh_after=86400.0, seconds=60.0)
        await store.save(Batch(found=[Found("gardening", 1)]))
        stage.reddit.subreddit("gardening")
        await job.run(lease)

    stage.play(scene)
    assert stage.rows("SELECT settled, depth FROM reddit_frontier WHERE name = 'gardening'") == [(0, 1)]


def test_an_author_whom_another_process_fetches_is_waited_for(stage: Stage) -> None:
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"))
    stage.reddit.user("ann")

    async def scene(store: Store, job: SubredditJob) -> None:
        other = await Store.open(f"sqlite:///{stage.path}", holder="there/scraper-b", clock=lambda: stage.now)
        claims = await other.claim_users(["ann"], refresh_after=86400.0, seconds=60.0)
        assert claims.mine == ("ann",)
        [lease] = await stage.lease(store)
        run = asyncio.create_task(job.run(lease))
        saved = partial(stage.value, "SELECT count(*) FROM reddit_posts")
        await asyncio.to_thread(wait_until, saved, 10.0, "the hot posts in the database")
        assert not run.done()
        stage.now += timedelta(seconds=61)  # the other one died: its claim runs out
        await run
        await other.close()

    stage.play(scene)
    assert stage.reddit.asked["/user/ann/about"] == 1
    assert stage.rows("SELECT username FROM reddit_users") == [("ann",)]


def test_a_visit_that_an_error_of_ours_breaks_off_comes_again_later(stage: Stage) -> None:
    async def scene(store: Store, job: SubredditJob) -> None:
        [lease] = await stage.lease(store)
        await job.fail(lease, ZeroDivisionError("division by zero"))

    stage.play(scene)
    assert stage.rows("SELECT attempts, leased_by, error FROM reddit_frontier") == [
        (1, None, "ZeroDivisionError: division by zero")
    ]
