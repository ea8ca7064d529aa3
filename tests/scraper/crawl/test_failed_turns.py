"""A part or an author that keeps failing: the subreddit is finished without it, and comes again as usual."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from core.reddit.request_errors import BadAnswer, RateLimited, ServerTrouble, Unreachable
from scraper.crawl.turn_schedule import MOST_TRIES, after_failure, are_used_up, tries_after_turn
from scraper.http.transport.route import ProxyResting
from tests.scraper.crawl.reddit import account, listing, post
from tests.scraper.crawl.stage import SETTINGS, START, Stage

TROUBLES = (ServerTrouble("Reddit answered 500"), BadAnswer("HTML instead of JSON"), Unreachable("no complete answer"))
FIGURES = "SELECT score_mean IS NOT NULL, comment_karma_p10 FROM reddit_subreddits"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    stage.settings = replace(SETTINGS, max_depth=0, discover=False)
    stage.reddit.subreddit("Bitcoin", post("a", "Bitcoin", "ann"), post("b", "Bitcoin", "bob"))
    stage.reddit.user("ann", post("c", "gardening", "ann"))
    stage.reddit.user("bob", post("d", "cooking", "bob"))
    return stage


def turns(stage: Stage, most: int = 10) -> int:
    """Play one turn after the other, each as soon as it is due, until it is done; return how many."""
    for number in range(1, most + 1):
        assert stage.turn() == ["Bitcoin"], f"turn {number}"
        settled, due = stage.rows("SELECT settled, due_at FROM reddit_frontier WHERE name = 'bitcoin'")[0]
        if settled:
            return number
        stage.now = max(stage.now, START.fromisoformat(f"{due}+00:00")) + timedelta(seconds=1)
    return most + 1


@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
@pytest.mark.parametrize("call", ["about", "submitted"])
def test_s04_an_author_that_always_fails_is_given_up_after_some_turns(
    stage: Stage, call: str, trouble: Exception
) -> None:
    stage.reddit.answers[f"/user/bob/{call}"] = trouble
    with structlog.testing.capture_logs() as lines:
        assert turns(stage) == MOST_TRIES
    assert stage.rows(FIGURES) == [(1, 100.0)]
    assert stage.rows("SELECT state, attempts, done_at IS NOT NULL FROM reddit_frontier WHERE name = 'bitcoin'") == [
        ("open", 0, 1)
    ]
    assert "user/bob" in stage.value("SELECT error FROM reddit_frontier WHERE name = 'bitcoin'")
    users = {name for (name,) in stage.rows("SELECT username FROM reddit_users")}
    posts = {name for (name,) in stage.rows("SELECT reddit_id FROM reddit_posts")}
    assert users == ({"ann", "bob"} if call == "submitted" else {"ann"}), "what came is stored"
    assert posts == ({"a", "b", "c"} if call == "submitted" else {"a", "b", "c", "d"})
    [told] = [line for line in lines if line["event"] == "parts_given_up"]
    assert told["parts"] == ["user/bob"]
    assert stage.reddit.asked["/user/ann/about"] == 1


@pytest.mark.parametrize("part", ["about/rules", "hot", "top week", "top year"])
def test_a_part_that_always_fails_is_given_up_after_some_turns(stage: Stage, part: str) -> None:
    stage.reddit.answers[f"/r/Bitcoin/{part}"] = ServerTrouble("Reddit answered 500")
    assert turns(stage) == MOST_TRIES
    [(has_scores, karma)] = stage.rows(FIGURES)
    assert (has_scores, karma) == ((0, None) if part == "hot" else (1, 100.0))
    assert stage.reddit.asked["/r/Bitcoin/about"] == 1
    assert stage.reddit.asked[f"/r/Bitcoin/{part}"] == MOST_TRIES


def test_facts_that_always_fail_do_not_keep_the_rest_away(stage: Stage) -> None:
    stage.reddit.answers["/r/Bitcoin/about"] = ServerTrouble("Reddit answered 500")
    assert turns(stage) == MOST_TRIES
    assert stage.rows(FIGURES) == [(1, 100.0)]
    assert stage.rows("SELECT state FROM reddit_frontier WHERE name = 'bitcoin'") == [("failed",)]
    assert stage.value("SELECT count(*) FROM reddit_users") == 2


def test_several_that_fail_are_given_up_together(stage: Stage) -> None:
    stage.reddit.answers["/r/Bitcoin/about/rules"] = ServerTrouble("Reddit answered 500")
    for name in ("ann", "bob"):
        stage.reddit.answers[f"/user/{name}/submitted"] = Unreachable("reset")
    assert turns(stage) == MOST_TRIES
    assert stage.rows(FIGURES) == [(1, 100.0)]
    error = stage.value("SELECT error FROM reddit_frontier WHERE name = 'bitcoin'")
    assert all(name in error for name in ("rules", "user/ann", "user/bob"))


def refresh(stage: Stage) -> None:
    stage.now += timedelta(seconds=SETTINGS.refresh_after + 1)


def test_at_the_next_refresh_one_more_failure_is_enough_and_one_answer_forgets(stage: Stage) -> None:
    good = dict(stage.reddit.answers)
    stage.reddit.answers["/user/bob/submitted"] = ServerTrouble("Reddit answered 500")
    assert turns(stage) == MOST_TRIES
    for _ in range(2):
        refresh(stage)
        assert stage.reddit.asked["/r/Bitcoin/hot"] < 4
        assert turns(stage) == 1
    stage.reddit.answers = good
    refresh(stage)
    assert turns(stage) == 1
    assert stage.rows("SELECT error FROM reddit_frontier WHERE name = 'bitcoin'") == [(None,)]
    assert stage.value("SELECT count(*) FROM reddit_posts") == 4
    stage.reddit.answers["/user/bob/submitted"] = ServerTrouble("Reddit answered 500")
    refresh(stage)
    assert turns(stage) == MOST_TRIES


def test_what_comes_in_time_is_no_failure(stage: Stage) -> None:
    good = dict(stage.reddit.answers)
    stage.reddit.answers["/user/bob/submitted"] = ServerTrouble("Reddit answered 500")
    assert turns(stage, MOST_TRIES - 1) == MOST_TRIES
    stage.reddit.answers = good
    assert turns(stage) == 1
    assert stage.rows("SELECT error FROM reddit_frontier WHERE name = 'bitcoin'") == [(None,)]
    assert "tries" not in stage.value("SELECT todo FROM reddit_frontier WHERE name = 'bitcoin'")


def test_a_part_that_begins_to_fail_later_has_all_its_tries(stage: Stage) -> None:
    """Alternation: it is never given up while something else has not failed as often."""
    stage.reddit.answers["/r/Bitcoin/hot"] = ServerTrouble("Reddit answered 500")
    assert turns(stage, MOST_TRIES - 1) == MOST_TRIES
    stage.reddit.answers["/r/Bitcoin/hot"] = listing(post("a", "Bitcoin", "ann"))
    stage.reddit.answers["/user/ann/about"] = ServerTrouble("Reddit answered 500")
    assert turns(stage) == MOST_TRIES
    assert stage.reddit.asked["/user/ann/about"] == MOST_TRIES


@pytest.mark.parametrize("trouble", [RateLimited(None), ProxyResting(5.0)], ids=repr)
def test_waits_that_all_have_are_no_failures_of_an_author(stage: Stage, trouble: Exception) -> None:
    stage.reddit.answers["/user/bob/about"] = trouble
    assert turns(stage, 6) == 7
    stage.reddit.answers["/user/bob/about"] = account("bob")
    assert turns(stage) == 1
    assert stage.value("SELECT count(*) FROM reddit_users") == 2


def test_a_subreddit_of_which_nothing_comes_waits_for_the_normal_refresh_in_the_end(stage: Stage) -> None:
    for path in stage.reddit.answers:
        if path.startswith("/r/"):
            stage.reddit.answers[path] = ServerTrouble("Reddit answered 500")
    assert turns(stage, 12) == 13
    assert stage.value("SELECT attempts FROM reddit_frontier") == 12
    pauses = [(after_failure(number, START, lambda: 0.5, 86400.0) - START).total_seconds() for number in range(12)]
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert pauses[-1] == 86400.0
    assert stage.value("SELECT count(*) FROM reddit_subreddits") == 0


def test_counting_is_by_part_and_author() -> None:
    trouble = ServerTrouble("500")
    once = tries_after_turn({}, {"rules": trouble, "user/ann": trouble})
    twice = tries_after_turn(once, {"user/ann": trouble})
    assert (once, twice) == ({"rules": 1, "user/ann": 1}, {"user/ann": 2})
    assert not are_used_up({})
    assert not are_used_up({"rules": 1, "user/ann": 5})
    assert are_used_up({"user/ann": 3})
