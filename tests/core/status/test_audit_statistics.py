"""The audit's bound holds in at least 95 of 100 seeded runs, whatever the losses look like, and it is not useless."""

import random
from functools import cache

import pytest

from core.status.audit_bound import bound_of
from core.status.confidence_bound import clopper_pearson
from tests.core.status.sampled_losses import (
    ONE_BLOCK,
    SCATTERED,
    SHORT_BLOCKS,
    Population,
    lost,
    sampled_pages,
    sampled_posts,
    sampled_trees,
)

RUNS = 100
MUST_HOLD = 95
POSTS, DRAWS = 20_000, 1000
TREES = PAGES = 120
SHARES = (0.0, 0.001, 0.01, 0.1)
PATTERNS = (SCATTERED, ONE_BLOCK, SHORT_BLOCKS)
CASES = [(share, how) for share in SHARES for how in (PATTERNS if share else (SCATTERED,))]

#: The mean bound is at most this: by the share that is missing, for DRAWS posts and TREES trees.
WIDEST_OF_POSTS = {0.0: 0.0030, 0.001: 0.0065, 0.01: 0.021, 0.1: 0.13}
WIDEST_OF_TREES = {0.0: 0.028, 0.001: 0.035, 0.01: 0.055, 0.1: 0.22}


@cache
def population() -> Population:
    return Population.made(1)


@pytest.mark.parametrize(("share", "how"), CASES)
def test_the_bound_for_posts_one_by_one_holds(share: float, how: str) -> None:
    bounds = []
    for seed in range(RUNS):
        chance = random.Random(f"posts {seed} {share} {how}")
        gone = lost(POSTS, share, how, chance)
        bounds.append(bound_of(sampled_posts(POSTS, gone, DRAWS, chance)).at_most)
    assert sum(bound >= share for bound in bounds) >= MUST_HOLD
    assert sum(bounds) / RUNS <= WIDEST_OF_POSTS[share]


@pytest.mark.parametrize(("share", "how"), CASES)
def test_the_bound_for_comments_of_trees_holds(share: float, how: str) -> None:
    comments = len(population().comments)
    held, bounds = 0, []
    for seed in range(RUNS):
        chance = random.Random(f"trees {seed} {share} {how}")
        gone = lost(comments, share, how, chance)
        bound = bound_of(sampled_trees(population(), gone, TREES, chance))
        held += bound.at_most >= len(gone) / comments
        bounds.append(bound.at_most)
    assert held >= MUST_HOLD
    assert sum(bounds) / RUNS <= WIDEST_OF_TREES[share]


def test_a_bound_that_takes_each_comment_as_independent_fails_where_losses_cluster() -> None:
    """The control: these losses are able to show a wrong bound."""
    comments, held = len(population().comments), 0
    for seed in range(RUNS):
        chance = random.Random(f"trees {seed} 0.1 {ONE_BLOCK}")
        gone = lost(comments, 0.1, ONE_BLOCK, chance)
        outcomes = bound_of(sampled_trees(population(), gone, TREES, chance)).outcomes
        held += clopper_pearson(outcomes.missing, outcomes.expected) >= len(gone) / comments
    assert held < MUST_HOLD - 5


def pages(share: float, how: str, *, by_minute: bool = False) -> tuple[int, float]:
    """Return in how many runs the bound of 120 pages held, and its mean."""
    moments = population().comments
    held, bounds = 0, []
    for seed in range(RUNS):
        chance = random.Random(f"pages {seed} {share} {how}")
        gone = lost(len(moments), share, how, chance)
        bounds.append(bound_of(sampled_pages(moments, gone, PAGES, chance, by_minute=by_minute)).at_most)
        held += bounds[-1] >= len(gone) / len(moments)
    return held, sum(bounds) / RUNS


@pytest.mark.parametrize(("share", "how"), [(0.01, SHORT_BLOCKS), (0.1, SCATTERED), (0.1, ONE_BLOCK)])
def test_the_bound_for_pages_of_a_listing_holds(share: float, how: str) -> None:
    held, mean = pages(share, how)
    assert held >= MUST_HOLD
    assert mean <= WIDEST_OF_TREES[share]


def test_items_of_one_page_are_not_independent_even_if_each_is_of_another_minute() -> None:
    held, _ = pages(0.1, ONE_BLOCK, by_minute=True)
    assert held < MUST_HOLD - 5
