"""The accepted range of each number that Reddit sends, and what replaces one outside it. Pure.

A foreign number never stops the system for longer than one window, and never causes a storm of requests.
docs/guarantees.md ("Values from outside") shows these constants; a test compares the two.
"""

import math
from dataclasses import dataclass

#: Reddit averages over fixed windows of ten minutes (seconds).
WINDOW = 600.0


@dataclass(frozen=True, slots=True)
class Bound:
    """The range of one value: a value outside it is moved to the nearest end."""

    lowest: float
    highest: float

    def clip(self, value: float) -> float:
        """Return the value, or the nearest end of the range."""
        return min(max(value, self.lowest), self.highest)


#: X-Ratelimit-Used and X-Ratelimit-Remaining, requests.
REQUEST_COUNT = Bound(0.0, 100_000.0)

#: X-Ratelimit-Reset, seconds.
RESET = Bound(1.0, WINDOW)

#: Retry-After, seconds.
RETRY_AFTER = Bound(1.0, WINDOW)

#: expires_in of an access token, seconds.
TOKEN_LIFETIME = Bound(60.0, 86_400.0)

#: The lifetime of a token whose expires_in is absent or invalid: the one that Reddit documents, seconds.
TOKEN_LIFETIME_DEFAULT = 3600.0

#: Characters of an access token.
TOKEN_LENGTH = Bound(1.0, 8000.0)

#: A number of seconds this large is a moment: epoch seconds, or from the second number on epoch milliseconds.
_MOMENT, _MOMENT_MS = 1e8, 1e11

#: A moment further away from our clock than this is not taken as a moment, seconds.
_NEAR = 86_400.0

#: Seconds from a claim that no quota remains to the first request that tests it.
FIRST_PROBE = 30.0

#: Seconds between two such requests, and from a refusal to the first one.
PROBE_INTERVAL = 45.0


def number(value: object) -> float | None:
    """Return a finite number given as a number or a text; None for anything else, also for nan and inf."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def used_count(value: float | None) -> float | None:
    """Return X-Ratelimit-Used if it is in its range, else None: the answer is counted as one request."""
    if value is None or not REQUEST_COUNT.lowest <= value <= REQUEST_COUNT.highest:
        return None
    return value


def remaining_count(value: float | None) -> float | None:
    """Return X-Ratelimit-Remaining, clipped if too large; None when it is absent, negative or not a number."""
    if value is None or not value >= REQUEST_COUNT.lowest:
        return None
    return REQUEST_COUNT.clip(value) if math.isfinite(value) else None


def reset_seconds(value: float | None, now: float) -> float | None:
    """Return X-Ratelimit-Reset as seconds within one window; None when it is absent, negative or not a number."""
    if value is None or not math.isfinite(value) or value < 0.0:
        return None
    return RESET.clip(seconds_ahead(value, now))


def retry_seconds(value: float | None, now: float) -> float | None:
    """Return Retry-After as seconds within one window; None when it is absent or not a number."""
    if value is None or not math.isfinite(value):
        return None
    return RETRY_AFTER.clip(seconds_ahead(value, now))


def seconds_ahead(value: float, now: float) -> float:
    """Return a value as seconds from now; it should be seconds but may be a moment (epoch seconds or milliseconds)."""
    if value < _MOMENT:
        return value
    ahead = (value / 1000.0 if value >= _MOMENT_MS else value) - now
    return ahead if abs(ahead) <= _NEAR else value


def token_lifetime(value: object) -> float:
    """Return the seconds for which an access token is used; `value` is its expires_in, of any type.

    Too short a lifetime would cause a storm of token requests; with too long a one the token is never renewed.
    """
    seconds = number(value)
    return TOKEN_LIFETIME_DEFAULT if seconds is None else TOKEN_LIFETIME.clip(seconds)


def is_token(value: object) -> bool:
    """Return whether this is valid in a header as an access token."""
    if not isinstance(value, str) or not TOKEN_LENGTH.lowest <= len(value) <= TOKEN_LENGTH.highest:
        return False
    return value.isascii() and value.isprintable() and " " not in value
