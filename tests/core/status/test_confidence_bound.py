"""The bounds against what is known about them: closed forms, the binomial sum, and what betting must not exceed."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.status.confidence_bound import betting, clopper_pearson


@pytest.mark.parametrize(("sampled", "bound"), [(1000, 0.0030), (3000, 0.0010), (59, 0.0495), (1, 0.95)])
def test_none_missing_of_independent_items(sampled: int, bound: float) -> None:
    assert clopper_pearson(0, sampled) == pytest.approx(bound, abs=0.00005)
    assert (1 - clopper_pearson(0, sampled)) ** sampled == pytest.approx(0.05)


@pytest.mark.parametrize(("missing", "sampled"), [(1, 20), (3, 100), (19, 20), (40, 400)])
def test_at_the_bound_so_few_or_fewer_are_missing_in_five_of_a_hundred_samples(missing: int, sampled: int) -> None:
    share = clopper_pearson(missing, sampled)
    seen = sum(math.comb(sampled, one) * share**one * (1 - share) ** (sampled - one) for one in range(missing + 1))
    assert seen == pytest.approx(0.05, rel=1e-6)


def test_known_values_of_the_binomial_bound() -> None:
    """From tables of the exact one-sided limit."""
    assert clopper_pearson(1, 10) == pytest.approx(0.3942, abs=0.0001)
    assert clopper_pearson(5, 50) == pytest.approx(0.1992, abs=0.0010)
    assert clopper_pearson(10, 1000, 0.99) > clopper_pearson(10, 1000) > 0.0169


def test_a_large_sample_needs_no_large_numbers() -> None:
    assert clopper_pearson(20_000, 200_000) == pytest.approx(0.1011, abs=0.0001)
    assert clopper_pearson(199_999, 200_000) < 1.0


def test_without_a_sample_nothing_is_known() -> None:
    assert clopper_pearson(0, 0) == 1.0
    assert betting([]) == 1.0
    assert clopper_pearson(7, 7) == betting([1.0] * 7) == 1.0


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be missing"):
        clopper_pearson(*wrong)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_shares_beyond_0_and_1_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        betting([0.5, wrong])


def test_betting_costs_little_where_nothing_is_missing() -> None:
    for clusters in (60, 300, 1000, 50_000):
        assert clopper_pearson(0, clusters) < betting({0.0: clusters}) < 1.2 * clopper_pearson(0, clusters)


def test_betting_uses_that_the_shares_of_clusters_vary_less_than_single_items() -> None:
    even = betting({0.1: 500})
    assert even < clopper_pearson(50, 500)
    assert even < betting({0.0: 450, 1.0: 50})


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40), st.randoms())
def test_the_order_plays_no_part_and_the_bound_is_above_the_mean(shares: list[float], chance: random.Random) -> None:
    bound = betting(shares)
    assert sum(shares) / len(shares) <= bound <= 1.0
    chance.shuffle(shares)
    assert betting(shares) == pytest.approx(bound)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40))
def test_more_missing_is_never_a_smaller_bound(shares: list[float]) -> None:
    assert betting([*shares[1:], 1.0]) >= betting(shares) - 1e-9


@given(st.integers(0, 30), st.integers(1, 300))
def test_the_binomial_bound_grows_with_what_is_missing_and_shrinks_with_the_sample(missing: int, more: int) -> None:
    sampled = missing + more
    assert clopper_pearson(missing, sampled) < clopper_pearson(missing + 1, sampled)
    assert clopper_pearson(missing, sampled + 1) < clopper_pearson(missing, sampled)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_a_capital_that_refutes_is_rare_at_the_true_mean(confidence: float) -> None:
    """Heavy losses in a few clusters, the hardest case: the bound is below the mean in few of 400 samples."""
    below = 0
    for seed in range(400):
        chance = random.Random(seed)
        shares = [1.0 if chance.random() < 0.03 else 0.0 for _ in range(100)]
        below += betting(shares, confidence) < 0.03
    assert below <= 400 * (1.0 - confidence) + 3.0 * math.sqrt(400 * (1.0 - confidence) * confidence)
