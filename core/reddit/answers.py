"""Classifies an answer by status, headers and body, with one table for all requests. Pure."""

import email.utils
import json
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from core.errors import GaplessError
from core.masking.external import outside
from core.reddit.bounds import RETRY_AFTER, is_token, number, retry_seconds
from core.reddit.quota import RateHeaders
from core.reddit.request_errors import (
    BadAnswer,
    CredentialsRejected,
    NetworkBlocked,
    RateLimited,
    RequestRejected,
    ServerTrouble,
    TokenRejected,
    Unavailable,
)

#: A redirect to a longer address is not followed.
_LONGEST_LOCATION = 2000

#: A foreign reason is cut to this many characters.
_LONGEST_REASON = 80

#: Reasons that Reddit gives; they decide the reaction, so they are never masked.
KNOWN_REASONS = frozenset({"banned", "forbidden", "gated", "gold_only", "missing", "private", "quarantined"})

#: 403 and 404 without a reason in the body.
_NAMELESS = {403: "forbidden", 404: "missing", 451: "unavailable for legal reasons"}


def classify(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> GaplessError | None:
    """Return the error that an answer to a listing request means, None for an answer to parse."""
    if status == 200:
        return BadAnswer("HTML instead of JSON") if _is_html(headers, body) else None
    if status == 401:
        return TokenRejected("the access token is no longer accepted")
    if status == 429:
        return RateLimited(retry_after(headers, now), rate_headers(headers))
    if status >= 500 or status == 408:
        return ServerTrouble(f"Reddit answered {status}")
    if status in _NAMELESS:
        return _refusal(status, body)
    if 300 <= status < 400:
        return _redirection(status, headers)
    if 400 <= status < 500:
        return RequestRejected(status, f"Reddit answered {status}: {_excerpt(body)}")
    return BadAnswer(f"Reddit answered {status}: {_excerpt(body)}")


def classify_token(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> GaplessError | None:
    """Return the error that an answer to a token request means, None for a good one."""
    if status in {400, 401}:
        return CredentialsRejected(_WRONG_CREDENTIALS)
    if status == 429:
        return RateLimited(retry_after(headers, now), rate_headers(headers))
    if status >= 500 or status == 408:
        return ServerTrouble(f"Reddit answered {status} to the request for a token")
    if status == 403 and _is_html(headers, body):
        return NetworkBlocked("403 with HTML to the request for a token: this network is blocked by Reddit")
    payload = _json_object(body)
    if status != 200 or payload is None:
        return BadAnswer(f"no token in the answer ({status})")  # not quoted: it may contain a part of a token
    if "error" in payload:
        return CredentialsRejected(_WRONG_CREDENTIALS)
    # expires_in may be anything: core.reddit.bounds.token_lifetime clips it
    if "access_token" not in payload or not isinstance(payload.get("scope"), str):
        return BadAnswer(f"an incomplete token: {_keys(payload)}")
    if not is_token(payload["access_token"]):
        return BadAnswer(
            "the access token is invalid: it is not text, or is empty, too long, or has invalid characters"
        )
    return None


_WRONG_CREDENTIALS = (
    "Reddit rejects these credentials: compare REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET with "
    "https://www.reddit.com/prefs/apps (an app of type 'script' or 'web app'), then start again"
)


def _refusal(status: int, body: bytes) -> GaplessError:
    payload = _json_object(body)
    if payload is None:
        if status == 403:
            return NetworkBlocked("403 with HTML: this network is blocked by Reddit")
        return RequestRejected(
            status, f"Reddit answered {status} without JSON: check reddit.oauth_url: {_excerpt(body)}"
        )
    reason = payload.get("reason")
    if isinstance(reason, str) and reason:
        return Unavailable(reason if reason in KNOWN_REASONS else outside(reason, _LONGEST_REASON))
    return Unavailable(_NAMELESS[status], named=False)


def _redirection(status: int, headers: Mapping[str, str]) -> GaplessError:
    location = headers.get("location")
    if location and _path(location).rstrip("/") == "/subreddits/search":
        return Unavailable("missing")
    where = f"a redirect to {outside(location, 200)}" if location else "a redirect without a Location"
    return RequestRejected(status, f"Reddit answered {status}: {where}")


def _path(location: str) -> str:
    try:
        return urlsplit(location[:_LONGEST_LOCATION]).path
    except ValueError:  # such as a bracket that is not closed
        return ""


def rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """Parse X-Ratelimit-*, whole or fractional, each separately; None when none of them is a number.

    The caller decides which numbers are believed: see core.reddit.bounds.
    """
    used, remaining, reset = (_header_number(headers.get(f"x-ratelimit-{name}")) for name in _RATE)
    rate = RateHeaders(used, remaining, reset)
    return None if rate == _NO_RATE else rate


_RATE = ("used", "remaining", "reset")

_NO_RATE = RateHeaders(None, None, None)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Parse Retry-After into seconds, from either of its forms (RFC 9110 §10.2.3), at most one window.

    A date is compared with the answer's own Date, if it has one: our clock may be wrong. None when absent or
    unreadable.
    """
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _header_number(text)
    if seconds is None:
        until, since = _date(text), _date(headers.get("date", "")) or now
        seconds = None if until is None else (until - since).total_seconds()
    if seconds is None:
        return None
    bounded = retry_seconds(seconds, now.timestamp())
    # "0" stays "at once": the quota decides how long that is
    return bounded if seconds > RETRY_AFTER.lowest else max(0.0, seconds)


def _header_number(text: str | None) -> float | None:
    """Parse a header's number; of a repeated header ("1, 1") the first."""
    return None if text is None else number(text.partition(",")[0])


def _date(text: str) -> datetime | None:
    """Parse an HTTP date; None for one that is invalid or has no time zone."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _is_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "") or body.lstrip()[:1] == b"<"


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):  # nested too deeply for Python
        return None
    return payload if isinstance(payload, dict) else None


def _keys(payload: dict[str, object]) -> str:
    return ", ".join(outside(name, 20) for name in sorted(payload)[:8])


def _excerpt(body: bytes) -> str:
    return repr(outside(body, 80))
