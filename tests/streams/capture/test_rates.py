"""Rates per subreddit: from creation times, corrected for a short time of observation."""

import random

import pytest

from streams.capture.rates import NameRates

NOW = 1_700_000_000.0


def test_a_backlog_of_some_minutes_shows_the_rate_at_once() -> None:
    rates = NameRates(NOW)
    rates.observe([("Bitcoin", NOW - age / 2) for age in range(600)], NOW)
    assert rates.rate("bitcoin", NOW) == pytest.approx(2.0, rel=0.05)
    assert rates.rate("Ethereum", NOW) == 0.0


@pytest.mark.parametrize("rate", [0.05, 1.0, 8.0])
def test_the_estimate_follows_items_as_they_come(rate: float) -> None:
    dice, rates, now = random.Random(7), NameRates(NOW), NOW
    while now < NOW + 7200:
        now += dice.expovariate(rate)
        rates.observe([("Bitcoin", now - 1.0)], now)
    assert rates.rate("Bitcoin", now) == pytest.approx(rate, rel=0.35)
    assert rates.rate("Bitcoin", now + 7200) < 0.01 * rate, "silence counts too"


def test_names_met_before_a_restart_count() -> None:
    rates = NameRates(NOW)
    rates.restore([("bitcoin", minutes, 60) for minutes in range(45)], NOW)
    assert rates.rate("Bitcoin", NOW) == pytest.approx(1.0, rel=0.1)


def test_dates_from_the_future_or_missing_ones_count_as_now() -> None:
    rates = NameRates(NOW - 3600)
    rates.observe([("a", None), ("b", NOW + 1e9)], NOW)
    assert rates.rate("a", NOW) == rates.rate("b", NOW) > 0


def test_very_old_items_count_as_nothing() -> None:
    rates = NameRates(NOW)
    rates.observe([("a", 0.0)] * 100, NOW)
    assert rates.rate("a", NOW) < 1e-6
