"""The figures, against values reckoned by hand and by the standard library."""

import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.parse.figures import author_figures, post_figures, quantile
from scraper.reddit.rows import AuthorFigures, Post, PostFigures

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOTHING = PostFigures(None, None, None, None)


def post(score: int | None = 1, comments: int | None = 0, hours: float | None = 1.0, **fields: Any) -> Post:
    created = None if hours is None else NOW - timedelta(hours=hours)
    return Post("p", "Bitcoin", "a", "t", NOW, score=score, num_comments=comments, created_utc=created, **fields)


def test_four_posts_by_hand() -> None:
    rows = [post(10, 5, 48), post(20, 10, 24), post(0, 1, 12), post(50, 4, 6)]
    assert post_figures(rows, NOW) == PostFigures(
        score_mean=20.0,  # 80 ÷ 4
        score_median=15.0,  # between 10 and 20
        comments_per_upvote=0.25,  # 20 ÷ 80
        posts_per_day=2.0,  # 4 in two days
    )


def test_stickied_posts_do_not_count() -> None:
    rows = [post(1_000, 900, 24 * 365, stickied=True), post(10, 5, 24, stickied=False), post(30, 5, 12)]
    assert post_figures(rows, NOW) == PostFigures(20.0, 20.0, 0.25, 2.0)


def test_where_all_are_stickied_all_count() -> None:
    assert post_figures([post(10, 5, 24, stickied=True)], NOW) == PostFigures(10.0, 10.0, 0.5, 1.0)


def test_no_posts() -> None:
    assert post_figures([], NOW) == NOTHING


def test_posts_that_say_nothing() -> None:
    assert post_figures([post(None, None, None)], NOW) == NOTHING


def test_upvotes_that_come_to_nothing() -> None:
    """Nothing can be divided by it; the scores themselves stand."""
    figures = post_figures([post(-3, 5), post(3, 5)], NOW)
    assert (figures.score_mean, figures.comments_per_upvote) == (0.0, None)


def test_a_post_without_one_of_the_two_is_no_part_of_their_ratio() -> None:
    figures = post_figures([post(10, None), post(None, 50), post(4, 2)], NOW)
    assert figures.comments_per_upvote == 0.5


def test_a_post_from_the_future_makes_no_pace() -> None:
    assert post_figures([post(hours=-1)], NOW).posts_per_day is None
    assert post_figures([post(hours=0)], NOW).posts_per_day is None


def test_a_number_that_counts_nothing_is_left_out() -> None:
    assert post_figures([post(10**400, 10**400), post(4, 2)], NOW)[:3] == (4.0, 4.0, 0.5)


def test_authors_by_hand() -> None:
    """Of eleven values in order, the second is the 0.1-quantile."""
    people = [(NOW - timedelta(days=100 + 10 * n), 1_000 * n, 7 * n) for n in range(11)]
    assert author_figures(reversed(people), NOW) == AuthorFigures(110.0, 1_000.0, 7.0)


def test_between_two_authors() -> None:
    people = [(NOW - timedelta(days=1), -100, 0), (NOW - timedelta(days=11), 100, 10)]
    assert author_figures(people, NOW) == AuthorFigures(2.0, -80.0, 1.0)


def test_one_author() -> None:
    assert author_figures([(NOW - timedelta(hours=36), 5, 7)], NOW) == AuthorFigures(1.5, 5.0, 7.0)


def test_no_authors() -> None:
    assert author_figures([], NOW) == AuthorFigures(None, None, None)


def test_each_figure_is_of_what_is_known() -> None:
    people = [(None, 5, None), (NOW - timedelta(days=3), None, None)]
    assert author_figures(people, NOW) == AuthorFigures(3.0, 5.0, None)


def test_an_account_from_the_future_is_new() -> None:
    assert author_figures([(NOW + timedelta(seconds=9), 0, 0)], NOW).account_age_days_p10 == 0.0


@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=60))
def test_the_quantiles_are_those_of_the_standard_library(values: list[int]) -> None:
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    assert quantile(values, 0.1) == pytest.approx(tenths[0], rel=1e-9, abs=1e-6)
    assert quantile(values, 0.5) == pytest.approx(statistics.median(values), rel=1e-9, abs=1e-6)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=60))
def test_the_mean_is_that_of_the_standard_library(scores: list[int]) -> None:
    figures = post_figures([post(score) for score in scores], NOW)
    assert figures.score_mean == pytest.approx(statistics.fmean(scores), rel=1e-9, abs=1e-6)
