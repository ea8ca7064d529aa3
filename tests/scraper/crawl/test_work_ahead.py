"""How many requests are ahead: those of known authors, and those to be expected of subreddits that have just begun."""

import pytest

from scraper.crawl.work_ahead import WorkAhead


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_subreddit_that_has_just_begun_counts_with_its_five_calls_and_the_most_authors_it_may_have() -> None:
    ahead = WorkAhead(4, Clock())
    ahead.begin("alpha")
    ahead.begin("beta")
    assert (ahead.calls_each, ahead.calls) == (5 + 2 * 4, 2 * 13)
    assert WorkAhead(500, Clock()).calls_each == 5 + 2 * 30, "no more than there are hot posts"


def test_known_authors_replace_the_estimate_and_go_one_by_one() -> None:
    ahead = WorkAhead(4, Clock())
    ahead.begin("alpha")
    assert not ahead.knows_authors
    ahead.known("alpha", 3)
    ahead.add(3)
    assert ahead.calls == 6
    ahead.done()
    assert ahead.calls == 4
    assert ahead.knows_authors


def test_the_estimate_follows_what_the_subreddits_bring_and_only_the_first_report_of_a_turn_counts() -> None:
    ahead = WorkAhead(30, Clock())
    for _ in range(40):
        ahead.begin("alpha")
        ahead.known("alpha", 5)
        ahead.known("alpha", 0)
    assert ahead.calls_each == pytest.approx(15, abs=0.1)


def test_a_subreddit_whose_first_calls_hang_is_not_waited_for() -> None:
    clock = Clock()
    ahead = WorkAhead(4, clock)
    ahead.begin("alpha")
    clock.now += 1.9
    assert ahead.calls > 0
    clock.now += 0.2
    assert ahead.calls == 0
