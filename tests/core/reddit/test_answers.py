"""What an answer stands for: one table from status, headers and body to an error of ours."""

from datetime import UTC, datetime

import pytest

from core.errors import GaplessError
from core.reddit.answers import classify, classify_token, rate_headers, retry_after
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

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, JSON, b'{"data": {}}', None),
        (200, {}, b"{}", None),
        (200, HTML, b"", BadAnswer),
        (200, {}, b"\n  <!doctype html>", BadAnswer),
        (401, JSON, b"{}", TokenRejected),
        (401, HTML, b"<html>", TokenRejected),
        (429, {}, b"", RateLimited),
        (500, {}, b"", ServerTrouble),
        (503, HTML, b"<html>", ServerTrouble),
        (520, {}, b"", ServerTrouble),
        (408, {}, b"", ServerTrouble),
        (403, HTML, b"<body>blocked</body>", NetworkBlocked),
        (403, {}, b"", NetworkBlocked),
        (302, {}, b"", RequestRejected),
        (302, {"location": "https://elsewhere.example/"}, b"", RequestRejected),
        (302, {"location": "https://elsewhere.example/?next=/subreddits/search"}, b"", RequestRejected),
        (301, {"location": "https://oauth.reddit.com/r/somewhere_else/.json?raw_json=1"}, b"", RequestRejected),
        (404, HTML, b"<html>", RequestRejected),
        (400, JSON, b'{"error": 400}', RequestRejected),
        (410, {}, b"", RequestRejected),
        (414, HTML, b"<html>", RequestRejected),
        (431, {}, b"", RequestRejected),
        (451, JSON, b"", RequestRejected),
        (204, {}, b"", BadAnswer),
        (304, {}, b"", RequestRejected),
    ],
)
def test_a_listing_answer(
    status: int, headers: dict[str, str], body: bytes, expected: type[GaplessError] | None
) -> None:
    verdict = classify(status, headers, body, NOW)
    assert type(verdict) is (expected or type(None))


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (403, JSON, b'{"reason": "private", "message": "Forbidden", "error": 403}', "private"),
        (403, JSON, b'{"reason": "quarantined"}', "quarantined"),
        (404, JSON, b'{"reason": "banned"}', "banned"),
        (403, JSON, b'{"message": "Forbidden"}', "forbidden"),
        (404, JSON, b'{"reason": 5}', "missing"),
        (451, JSON, b"{}", "unavailable for legal reasons"),
        (302, {"location": "https://www.reddit.com/subreddits/search?q=x"}, b"", "missing"),
        (302, {"location": "/subreddits/search?q=x"}, b"", "missing"),
    ],
)
def test_a_subreddit_that_cannot_be_read(status: int, headers: dict[str, str], body: bytes, reason: str) -> None:
    verdict = classify(status, headers, body, NOW)
    assert isinstance(verdict, Unavailable)
    assert verdict.reason == reason


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, JSON, b'{"access_token": "x", "expires_in": 3600, "scope": "*"}', None),
        (200, JSON, b'{"access_token": "x", "expires_in": 3600.5, "scope": "*"}', None),
        (200, JSON, b'{"access_token": "x", "expires_in": "3600", "scope": "*"}', None),
        (200, JSON, b'{"access_token": "x", "expires_in": -1, "scope": "*"}', None),
        (200, JSON, b'{"access_token": "x", "expires_in": null, "scope": "*"}', None),
        (200, JSON, b'{"access_token": "x", "scope": "*"}', None),
        (200, JSON, b'{"access_token": "", "expires_in": 3600, "scope": "*"}', BadAnswer),
        (200, JSON, b'{"access_token": "a b", "expires_in": 3600, "scope": "*"}', BadAnswer),
        (200, JSON, b'{"access_token": "a\\nb", "expires_in": 3600, "scope": "*"}', BadAnswer),
        (200, JSON, b'{"access_token": 5, "expires_in": 3600, "scope": "*"}', BadAnswer),
        (200, JSON, b'{"access_token": "%s", "expires_in": 3600, "scope": "*"}' % (b"x" * 8001), BadAnswer),
        (200, JSON, b'{"error": "invalid_grant"}', CredentialsRejected),
        (400, JSON, b"{}", CredentialsRejected),
        (401, HTML, b"<html>", CredentialsRejected),
        (200, JSON, b'{"access_token": "x"}', BadAnswer),
        (200, JSON, b'{"access_token": null, "expires_in": 3600, "scope": "*"}', BadAnswer),
        (200, JSON, b'{"access_tok', BadAnswer),
        (200, JSON, b"[]", BadAnswer),
        (200, HTML, b"<html>", BadAnswer),
        (403, HTML, b"<html>", NetworkBlocked),
        (403, JSON, b"{}", BadAnswer),
        (429, {}, b"", RateLimited),
        (503, {}, b"", ServerTrouble),
    ],
)
def test_a_token_answer(status: int, headers: dict[str, str], body: bytes, expected: type[GaplessError] | None) -> None:
    verdict = classify_token(status, headers, body, NOW)
    assert type(verdict) is (expected or type(None))


def test_wrong_credentials_say_what_to_do() -> None:
    message = str(classify_token(401, {}, b"", NOW))
    assert "REDDIT_CLIENT_ID" in message
    assert "REDDIT_CLIENT_SECRET" in message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        ("Sat, 21 Nov 2026 12:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 13:01:30 +0100", 90.0),
        ("Saturday, 21-Nov-26 12:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 12:01:30 -0000", None),
        ("600", 600.0),
        ("1e12", 600.0),
        ("86400", 600.0),
        ("7, 7", 7.0),
        ("Sun, 22 Nov 2026 12:00:00 GMT", 600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 600.0),
        (str(NOW.timestamp() + 90), 90.0),
        (str(int(NOW.timestamp() + 90) * 1000), 90.0),
        ("Sat, 99 Nov 2026 12:01:30 GMT", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        (None, None),
    ],
)
def test_retry_after_in_both_forms(text: str | None, seconds: float | None) -> None:
    headers = {} if text is None else {"retry-after": text}
    assert retry_after(headers, NOW) == seconds
    verdict = classify(429, headers, b"", NOW)
    assert isinstance(verdict, RateLimited)
    assert verdict.retry_after == seconds


def test_a_date_in_retry_after_is_compared_with_the_date_of_the_answer() -> None:
    """Our clock may be hours from Reddit's."""
    headers = {"retry-after": "Sat, 21 Nov 2026 15:01:30 GMT", "date": "Sat, 21 Nov 2026 15:00:00 GMT"}
    assert retry_after(headers, NOW) == 90.0
    assert retry_after({**headers, "date": "once"}, NOW) == 600.0


def test_a_refusal_carries_its_rate_headers() -> None:
    headers = {"x-ratelimit-used": "1000", "x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "1"}
    for verdict in (classify(429, headers, b"", NOW), classify_token(429, headers, b"", NOW)):
        assert isinstance(verdict, RateLimited)
        assert (verdict.retry_after, verdict.rate) == (None, RateHeaders(1000.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("used", "remaining", "reset", "expected"),
    [
        ("10", "990.0", "123", RateHeaders(10.0, 990.0, 123.0)),
        ("10", "990", "123.45", RateHeaders(10.0, 990.0, 123.45)),
        ("10", "990", "", RateHeaders(10.0, 990.0, None)),
        ("many", "990", "123", RateHeaders(None, 990.0, 123.0)),
        ("10", None, "123", RateHeaders(10.0, None, 123.0)),
        (None, "990", "123", RateHeaders(None, 990.0, 123.0)),
        ("10", "990", None, RateHeaders(10.0, 990.0, None)),
        ("nan", "990", "123", RateHeaders(None, 990.0, 123.0)),
        ("10", "inf", "123", RateHeaders(10.0, None, 123.0)),
        ("10", "990", "-5", RateHeaders(10.0, 990.0, -5.0)),
        ("10, 10", "990,990", "123", RateHeaders(10.0, 990.0, 123.0)),
        ("1e999", "", "soon", None),
        (None, None, None, None),
    ],
)
def test_rate_headers(used: str | None, remaining: str | None, reset: str | None, expected: RateHeaders | None) -> None:
    """Each for itself: one that is absent or no number does not take the others along."""
    values = {"x-ratelimit-used": used, "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    assert rate_headers({name: value for name, value in values.items() if value is not None}) == expected
