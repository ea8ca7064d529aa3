"""The range of each value from outside."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reddit.bounds import TOKEN_LIFETIME, is_token, number, reset_seconds, token_lifetime

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3600, 3600.0),
        (3600.5, 3600.5),
        ("3600", 3600.0),
        (" 86400 ", 86_400.0),
        (0, 60.0),
        (-1, 60.0),
        ("1", 60.0),
        (59.9, 60.0),
        (1e12, 86_400.0),
        ("1e12", 86_400.0),
        (10**400, 3600.0),
        (None, 3600.0),
        (True, 3600.0),
        ("", 3600.0),
        ("soon", 3600.0),
        (math.nan, 3600.0),
        ("nan", 3600.0),
        (math.inf, 3600.0),
        ([3600], 3600.0),
        ({}, 3600.0),
    ],
)
def test_the_lifetime_of_a_token(value: object, seconds: float) -> None:
    """Neither a storm of token requests nor a token that is never renewed."""
    assert token_lifetime(value) == seconds


@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_any_lifetime_is_bounded(value: object) -> None:
    assert TOKEN_LIFETIME.lowest <= token_lifetime(value) <= TOKEN_LIFETIME.highest


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (300.0, 300.0),
        (0.25, 1.0),
        (0.0, 1.0),
        (600.0, 600.0),
        (601.0, 600.0),
        (1e12, 600.0),
        (NOW + 42.0, 42.0),
        (NOW - 42.0, 1.0),
        ((NOW + 42.0) * 1000, 42.0),
        (NOW + 3600.0, 600.0),
        (NOW + 1e6, 600.0),
        (-1.0, None),
        (math.nan, None),
        (math.inf, None),
        (None, None),
    ],
)
def test_the_reset(value: float | None, seconds: float | None) -> None:
    """Seconds or a moment, within one window."""
    assert reset_seconds(value, NOW) == seconds


@pytest.mark.parametrize("value", ["x", "eyJhbGciOiJSUzI1NiIsImtpZCI6IlNIQTI1Ni.a_b-c~+/=", "x" * 8000])
def test_a_token_that_can_be_sent(value: str) -> None:
    assert is_token(value)


@pytest.mark.parametrize("value", ["", " ", "a b", "a\nb", "a\r\nX-Other: 1", "ü", "\x00", "x" * 8001, None, 5, b"x"])
def test_a_token_that_cannot_be_sent(value: object) -> None:
    assert not is_token(value)


@given(value=st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none()))
def test_a_number_is_finite_or_none(value: object) -> None:
    result = number(value)
    assert result is None or math.isfinite(result)
