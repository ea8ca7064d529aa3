"""Answers to clients: the form of good answers, and the faulty ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate

import orjson

from simulator.crawl.crawl_paths import CrawlRequest
from simulator.faults import Fault
from simulator.item import Item

JSON = "application/json; charset=UTF-8"
HTML = "text/html; charset=UTF-8"

_BUSY = b"""<!doctype html><html><head><title>reddit.com: ouch</title></head>
<body><h1>all of our servers are busy right now</h1><p>please try again in a minute</p></body></html>"""
_BLOCKED = b"""<!doctype html><html><head><title>Blocked</title></head>
<body><h1>whoa there, pardner!</h1><p>Your request has been blocked by network security.</p></body></html>"""
_BUSY_STATUS = {Fault.STATUS_500: 500, Fault.STATUS_502: 502, Fault.STATUS_503: 503, Fault.HTML: 200}
_MESSAGES = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
_CHALLENGE = 'Bearer realm="reddit", error="invalid_token"'


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer before it is sent; `items` count as shown once all of it is written."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    #: the question about the crawl world that this answers; counted once all of it is written
    asked: CrawlRequest | None = None

    def with_headers(self, headers: Mapping[str, str]) -> "Answer":
        """Return the same answer with more headers."""
        # not by replace(): this runs for thousands of answers per second
        return Answer(self.status, self.body, self.content_type, {**self.headers, **headers}, self.items, self.asked)

    def truncated(self) -> "Answer":
        """Return the first half of the answer, presented as complete."""
        return replace(self, body=self.body[: len(self.body) // 2], items=(), asked=None)


def error(status: int, reason: str | None = None) -> Answer:
    """Return Reddit's JSON for a refusal."""
    body: dict[str, object] = {"reason": reason} if reason else {}
    return Answer(status, orjson.dumps(body | {"message": _MESSAGES[status], "error": status}))


def unauthorized(*, bare: bool = False) -> Answer:
    """Refuse a token that is unknown or has expired; `bare` leaves out the header with the reason."""
    return error(401) if bare else error(401).with_headers({"WWW-Authenticate": _CHALLENGE})


def blocked() -> Answer:
    """Refuse on behalf of the network, not of Reddit's API: HTML."""
    return Answer(403, _BLOCKED, HTML)


def redirect(location: str | None) -> Answer:
    """Redirect the client; without a location, the header is missing."""
    return Answer(302, b"", HTML, {"Location": location} if location else {})


def too_many(retry_after: str | None = None) -> Answer:
    """Refuse a client that sends requests too often."""
    return error(429).with_headers({"Retry-After": retry_after} if retry_after is not None else {})


def faulty_answer(fault: Fault, settings: Mapping[str, object], now: float) -> Answer | None:
    """Return the answer that replaces the good one; None for faults that change the good one itself."""
    if fault in _BUSY_STATUS:
        return Answer(_BUSY_STATUS[fault], _BUSY, HTML)
    if fault is Fault.HTML_403:
        return blocked()
    if fault is Fault.STATUS_429:
        return too_many(_retry_after(settings, now))
    if fault is Fault.TOKEN_401:
        return unauthorized(bare=settings["token_401_bare"] is True)
    return redirect(None) if fault is Fault.REDIRECT_WITHOUT_LOCATION else None


def _retry_after(settings: Mapping[str, object], now: float) -> str | None:
    """Return `Retry-After` as the faults require it: a number of seconds, a date, or not at all."""
    form, seconds = settings["retry_after"], settings["retry_after_seconds"]
    if form == "date" and isinstance(seconds, int | float):
        return formatdate(now + seconds, usegmt=True)
    if form == "seconds":
        form = seconds
    return None if form is None else f"{form:g}"
