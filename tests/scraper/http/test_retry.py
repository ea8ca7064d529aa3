"""What one request does after each kind of failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GaplessError, PermanentError, TransientError
from core.reddit.request_errors import (
    BadAnswer,
    CredentialsRejected,
    NetworkBlocked,
    RateLimited,
    ServerTrouble,
    TokenRejected,
    Unavailable,
    Unreachable,
)
from scraper.http.pacing.retry import Action, RetryState, seconds_after_429
from scraper.http.transport.route import ProxyRejectsUs, ProxyResting

MIDDLE = 0.5


def middle() -> float:
    return MIDDLE


@pytest.mark.parametrize(
    ("error", "actions"),
    [
        (Unavailable("private"), [Action.GIVE_UP]),
        (CredentialsRejected("wrong"), [Action.GIVE_UP]),
        (ProxyResting(5.0), [Action.GIVE_UP]),
        (Unreachable("reset"), [Action.RETRY, Action.RETRY, Action.RETRY, Action.GIVE_UP]),
        (ServerTrouble("503"), [Action.RETRY, Action.RETRY, Action.RETRY, Action.GIVE_UP]),
        (BadAnswer("HTML"), [Action.RETRY, Action.RETRY, Action.RETRY, Action.GIVE_UP]),
        (NetworkBlocked("HTML"), [Action.RETRY, Action.RETRY, Action.RETRY, Action.GIVE_UP]),
        (ProxyRejectsUs("407", 407), [Action.RETRY, Action.RETRY, Action.RETRY, Action.GIVE_UP]),
        (TokenRejected("old"), [Action.RENEW, Action.RETRY, Action.RETRY, Action.RETRY, Action.GIVE_UP]),
        (RateLimited(1.0), [Action.HOLD] * 5 + [Action.GIVE_UP]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_same_error_again_and_again(error: GaplessError, actions: list[Action]) -> None:
    tries = RetryState(max_retries=3)
    assert [tries.after(error, middle).action for _ in actions] == actions


def test_pauses_grow_from_half_a_second_to_ten() -> None:
    tries = RetryState(max_retries=8)
    pauses = [tries.after(ServerTrouble("503"), middle).seconds for _ in range(8)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_waits_after_429_do_not_count_as_failures() -> None:
    tries = RetryState(max_retries=1)
    for error in (RateLimited(None), ServerTrouble("503"), RateLimited(None)):
        assert tries.after(error, middle).action is not Action.GIVE_UP
    assert tries.after(ServerTrouble("503"), middle).action is Action.GIVE_UP


@pytest.mark.parametrize(
    ("retry_after", "waits", "seconds"),
    [
        (None, 0, 5.0),
        (None, 1, 7.0),
        (None, 4, 13.0),
        (None, 20, 30.0),
        (12.5, 0, 12.5),
        (12.5, 4, 12.5),
        (0.0, 0, 1.0),  # "at once" still means a moment
        (86_400.0, 0, 600.0),  # no window lasts longer
    ],
)
def test_seconds_after_429(retry_after: float | None, waits: int, seconds: float) -> None:
    assert seconds_after_429(retry_after, waits) == seconds


@given(
    max_retries=st.integers(0, 6),
    errors=st.lists(
        st.sampled_from([Unreachable("x"), ServerTrouble("x"), BadAnswer("x"), RateLimited(None), TokenRejected("x")]),
        max_size=60,
    ),
    draw=st.floats(0.0, 1.0, exclude_max=True),
)
def test_every_request_comes_to_an_end(max_retries: int, errors: list[TransientError], draw: float) -> None:
    """Whatever comes in whatever order: a bounded number of attempts, none after a pause of more than 13 s."""
    tries = RetryState(max_retries)
    attempts = 0
    for error in errors:
        attempts += 1
        step = tries.after(error, lambda: draw)
        assert 0.0 <= step.seconds <= 13.0
        if step.action is Action.GIVE_UP:
            break
    assert attempts <= 1 + max_retries + 5 + 1


def test_a_permanent_error_is_handed_on_at_once() -> None:
    assert RetryState(9).after(PermanentError("no"), middle).action is Action.GIVE_UP
