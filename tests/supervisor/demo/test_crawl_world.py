"""The part of the simulated Reddit that a configuration selects."""

from dataclasses import replace

from tests.supervisor.demo.reddit import WISH, world


def test_the_crawl_comes_to_what_its_authors_lead_to() -> None:
    """Nowhere does not exist and is requested; a user's profile is not; Zoe exceeds the number of authors."""
    assert world().reach(WISH) == {"alpha", "beta", "gamma", "nowhere"}
    assert world().reach(replace(WISH, max_depth=1)) == {"alpha", "beta", "nowhere"}
    assert world().reach(replace(WISH, discover=False)) == {"alpha"}
    assert world().reach(replace(WISH, users_per_subreddit=3)) >= {"delta"}


def test_every_row_of_what_is_visited_is_named() -> None:
    tables = world().rows(world().reach(WISH), WISH)
    assert set(tables["subreddits"]) == {"alpha", "beta", "gamma"}
    assert tables["subreddits"]["gamma"] == {"state": "private"}
    assert tables["subreddits"]["alpha"]["title"] == "all of Alpha"
    assert set(tables["rules"]) == {"alpha 0", "alpha 1"}
    assert set(tables["posts"]) == {"a1", "a2", "a3", "a4", "a5", "a6", "n1", "n2", "n3", "b1", "o1"}
    assert tables["users"]["sue"] == {"state": "suspended"}
    assert set(tables["users"]) == {"ann", "sue", "bob"}


def test_nobody_and_never_are_nothing_in_the_database() -> None:
    posts = world().rows(["alpha"], WISH)["posts"]
    assert (posts["a2"]["author_username"], posts["a2"]["edited_utc"]) == (None, None)
    assert (posts["a1"]["author_username"], posts["a1"]["edited_utc"]) == ("Ann", 2_000_000.0)
