"""From status, headers and body of an answer to what it means; pure, one table for all."""

import email.utils
import json
import math
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from core.errors import GaplessError
from core.quota import RateHeaders
from core.reddit.errors import (
    BadAnswer,
    CredentialsRejected,
    NetworkBlocked,
    RateLimited,
    RequestRejected,
    ServerTrouble,
    TokenRejected,
    Unavailable,
)

#: A reason from outside is cut to this many characters.
_LONGEST_REASON = 80

#: 403 and 404 without a reason in the body.
_NAMELESS = {403: "forbidden", 404: "missing", 451: "unavailable for legal reasons"}


def judge(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> GaplessError | None:
    """Return the error that an answer to a listing request stands for, None for one to be parsed."""
    if status == 200:
        return BadAnswer("HTML instead of JSON") if _is_html(headers, body) else None
    if status == 401:
        return TokenRejected("the access token is no longer accepted")
    if status == 429:
        return RateLimited(retry_after(headers, now))
    if status >= 500 or status == 408:
        return ServerTrouble(f"Reddit answered {status}")
    if status in _NAMELESS:
        return _refusal(status, body)
    if 300 <= status < 400:
        return _redirection(status, headers)
    if 400 <= status < 500:
        return RequestRejected(status, f"Reddit answered {status}: {_excerpt(body)}")
    return BadAnswer(f"Reddit answered {status}: {_excerpt(body)}")


def judge_token(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> GaplessError | None:
    """Return the error that an answer to a token request stands for, None for a good one."""
    if status in {400, 401}:
        return CredentialsRejected(_WRONG_CREDENTIALS)
    if status == 429:
        return RateLimited(retry_after(headers, now))
    if status >= 500 or status == 408:
        return ServerTrouble(f"Reddit answered {status} to the request for a token")
    if status == 403 and _is_html(headers, body):
        return NetworkBlocked("403 with HTML to the request for a token: this network is blocked by Reddit")
    payload = _json_object(body)
    if status != 200 or payload is None:
        return BadAnswer(f"no token in the answer ({status}): {_excerpt(body)}")
    if "error" in payload:
        return CredentialsRejected(_WRONG_CREDENTIALS)
    if not (
        isinstance(payload.get("access_token"), str)
        and isinstance(payload.get("expires_in"), int | float)
        and isinstance(payload.get("scope"), str)
    ):
        return BadAnswer(f"an incomplete token: {sorted(payload)}")
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
        return RequestRejected(status, f"Reddit answered {status} without JSON: is oauth_url right? {_excerpt(body)}")
    reason = payload.get("reason")
    if isinstance(reason, str) and reason:
        return Unavailable(reason[:_LONGEST_REASON])
    return Unavailable(_NAMELESS[status], named=False)


def _redirection(status: int, headers: Mapping[str, str]) -> GaplessError:
    location = headers.get("location")
    if location and urlsplit(location).path.rstrip("/") == "/subreddits/search":
        return Unavailable("missing")
    where = f"a redirect to {location[:200]}" if location else "a redirect without a Location"
    return RequestRejected(status, f"Reddit answered {status}: {where}")


def rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """Read X-Ratelimit-*, whole or fractional; None when they are absent or unreadable."""
    try:
        numbers = [float(headers[f"x-ratelimit-{name}"]) for name in ("used", "remaining", "reset")]
    except (KeyError, ValueError):
        return None
    # "nan" and "inf" are numbers to float(), and would stay in the shared quota for good
    if not all(math.isfinite(number) and number >= 0.0 for number in numbers):
        return None
    return RateHeaders(*numbers)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read Retry-After in seconds, from either of its forms (RFC 9110 §10.2.3); None when absent or unreadable."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    # a wait that is no number would never end
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _is_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "") or body.lstrip()[:1] == b"<"


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _excerpt(body: bytes) -> str:
    return repr(body[:80].decode("utf-8", "replace"))
