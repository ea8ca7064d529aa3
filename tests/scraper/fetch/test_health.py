"""When a proxy rests, for how long, and what brings it back: tables of signs with a clock of the test's own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.fetch.health import Health, Sign, State, sign_of
from scraper.fetch.outcome import Outcome

SIGNS = {"+": Sign.GOOD, "-": Sign.FAULT, "?": Sign.DOUBT}
TIMEOUT = 15.0


def middle() -> float:
    return 0.5


def make(silence: float = TIMEOUT) -> Health:
    return Health(silence, 0.0, middle)


def feed(health: Health, signs: str, *, every: float = 0.1, start: float = 0.0) -> float:
    """Give one sign each so many seconds; return the moment of the last."""
    now = start
    for sign in signs:
        now += every
        health.take(SIGNS[sign], now)
    return now


@pytest.mark.parametrize(
    ("signs", "every", "state"),
    [
        ("+++++", 0.1, State.HEALTHY),
        ("+----", 0.1, State.HEALTHY),
        ("+-----", 0.1, State.RESTING),
        ("-----", 0.1, State.RESTING),  # dead from the first request on
        ("----+----+----", 0.1, State.HEALTHY),
        ("+-?-?-", 0.1, State.HEALTHY),
        ("+?????????", 0.1, State.HEALTHY),  # nine 5xx in a row may be Reddit's
        ("+??????????", 0.1, State.RESTING),  # ten are too many for a proxy that may be the one who says so
        ("+??+" * 5, 0.1, State.HEALTHY),
        ("+??-??-??-?", 0.1, State.RESTING),  # ten failures of both kinds
        ("+--", 8.0, State.RESTING),  # nothing good for as long as a request may take
        ("+-", 60.0, State.HEALTHY),  # but one failure alone is never enough
        ("+?", 60.0, State.HEALTHY),
        ("+-+-+-+-+-", 60.0, State.HEALTHY),
    ],
)
def test_what_sends_it_to_rest(signs: str, every: float, state: State) -> None:
    health = make()
    feed(health, signs, every=every)
    assert health.state is state


def test_only_the_one_sign_that_sends_it_to_rest_says_so() -> None:
    health = make()
    told = [health.take(Sign.FAULT, moment) for moment in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    assert told == [False, False, False, False, True, False]


def test_rests_grow_with_each_failed_probe_up_to_five_minutes() -> None:
    health = make()
    now = feed(health, "-----")
    rests = []
    for _ in range(9):
        rests.append(health.resting_until - now)
        now = health.resting_until
        health.begin_probe()
        assert health.state is State.PROBING
        assert not health.probed(Sign.FAULT, now)
    assert rests == pytest.approx([5, 10, 20, 40, 80, 160, 300, 300, 300])


def test_one_good_probe_brings_it_back() -> None:
    health = make()
    now = feed(health, "-----")
    health.begin_probe()
    assert health.probed(Sign.GOOD, now + 5.0)
    assert health.state is State.HEALTHY
    assert health.failures == 0


def test_a_proxy_that_fails_again_at_once_rests_longer() -> None:
    """A probe may come through where nothing else does."""
    health = make()
    now, rests = 0.0, []
    for _ in range(3):
        now = feed(health, "-----", start=now)
        rests.append(health.resting_until - now)
        now = health.resting_until
        health.begin_probe()
        health.probed(Sign.GOOD, now)
    assert rests == pytest.approx([5, 10, 20])
    assert health.state is State.HEALTHY


def test_a_proxy_that_worked_for_longer_than_it_rested_begins_anew() -> None:
    health = make()
    now = feed(health, "-----")
    health.begin_probe()
    health.probed(Sign.GOOD, now := now + 5.0)
    now = feed(health, "+" * 10, every=1.0, start=now)
    now = feed(health, "-----", start=now)
    assert health.resting_until - now == pytest.approx(5.0)


def test_what_was_under_way_when_the_rest_began_changes_nothing() -> None:
    health = make()
    feed(health, "-----")
    until = health.resting_until
    feed(health, "+-?-------", start=1.0)
    assert health.state is State.RESTING
    assert health.resting_until == until


SAYINGS = (
    (Outcome.OK, Sign.GOOD, Sign.GOOD),
    (Outcome.REFUSED, Sign.GOOD, Sign.GOOD),
    (Outcome.RATE_LIMITED, Sign.GOOD, Sign.GOOD),
    (Outcome.UNAUTHORISED, Sign.GOOD, Sign.GOOD),
    (Outcome.SERVER_ERROR, Sign.DOUBT, Sign.GOOD),
    (Outcome.BAD_ANSWER, Sign.DOUBT, Sign.GOOD),
    (Outcome.TRANSPORT_ERROR, Sign.FAULT, Sign.FAULT),
    (Outcome.NETWORK_BLOCK, Sign.FAULT, Sign.FAULT),
    (Outcome.PROXY_AUTH, Sign.FAULT, Sign.FAULT),
)


@pytest.mark.parametrize(("outcome", "reading_along", "tunnelling"), SAYINGS)
def test_what_each_outcome_says(outcome: Outcome, reading_along: Sign, tunnelling: Sign) -> None:
    assert sign_of(outcome, reads_along=True) is reading_along
    assert sign_of(outcome, reads_along=False) is tunnelling


def test_every_outcome_is_in_the_table_above() -> None:
    assert {outcome for outcome, *_ in SAYINGS} == set(Outcome)


@pytest.mark.parametrize("seed", range(2))
def test_a_good_proxy_in_bad_weather_works_nearly_always(seed: int) -> None:
    """5 % errors, 5 % resets and 3 % HTML, 200,000 requests: away for less than a thousandth of the time."""
    chance = random.Random(seed)
    health = Health(TIMEOUT, 0.0, chance.random)
    kinds = [Sign.GOOD] * 87 + [Sign.FAULT] * 5 + [Sign.DOUBT] * 8
    now = away = 0.0
    for _ in range(200_000):
        now += 0.02
        if health.take(chance.choice(kinds), now):
            away += health.resting_until - now
            now = health.resting_until
            health.begin_probe()
            health.probed(Sign.GOOD, now)
    assert away < now / 1000.0


@given(
    steps=st.lists(st.tuples(st.sampled_from(list(Sign)), st.floats(0.0, 100.0)), max_size=200),
    draw=st.floats(0.0, 1.0, exclude_max=True),
)
def test_it_never_rests_without_reason_nor_for_ever(steps: list[tuple[Sign, float]], draw: float) -> None:
    """It rests only after a failure, never for more than 330 s, and always comes back with a good probe."""
    health = Health(TIMEOUT, 0.0, lambda: draw)
    now, run = 0.0, 0
    for sign, pause in steps:
        now += pause
        run = 0 if sign is Sign.GOOD else run + 1
        if health.take(sign, now):
            assert run >= 2
            assert 4.5 - 1e-6 <= health.resting_until - now <= 330.0 + 1e-6
            now = health.resting_until
            health.begin_probe()
            assert health.probed(Sign.GOOD, now)
            run = 0
        assert health.state is State.HEALTHY
        assert health.failures == run
