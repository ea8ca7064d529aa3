"""Addresses of the crawl world: parses the path and query of a request, and holds the latency of each address."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

_PATH = re.compile(r"/(?:r/(\w+)/(about/rules|about|hot|top)|user/([\w-]+)/(about|submitted))(?:\.json)?/?", re.ASCII)
_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0, "all": float("inf")}
_DEFAULT_LIMIT = 25
_HIGHEST_LIMIT = 100


class Address(StrEnum):
    """The addresses, by the names under which they are counted and delayed."""

    ABOUT = "about"
    RULES = "rules"
    HOT = "hot"
    WEEK = "week"
    YEAR = "year"
    TOP = "top"  #: of any other time
    USER = "user"
    SUBMITTED = "submitted"

    @property
    def of_user(self) -> bool:
        """Whether it is about a user, not a subreddit."""
        return self in {Address.USER, Address.SUBMITTED}


_ADDRESSES = {"about": Address.ABOUT, "about/rules": Address.RULES, "hot": Address.HOT}


class CrawlRequest(NamedTuple):
    """One request."""

    address: Address
    name: str
    days: float = 0.0
    limit: int = _DEFAULT_LIMIT
    after: str | None = None
    raw: bool = False


def read(path: str, query: Mapping[str, str]) -> CrawlRequest | None:
    """Return the request; None if the path is none of these."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    subreddit, part, user, of_user = match.groups()
    raw = query.get("raw_json") == "1"
    if user is not None and of_user == "about":
        return CrawlRequest(Address.USER, user, raw=raw)
    limit, after = limit_of(query.get("limit")), query.get("after") or None
    if user is not None:
        return CrawlRequest(Address.SUBMITTED, user, limit=limit, after=after, raw=raw)
    if part != "top":
        return CrawlRequest(_ADDRESSES[part], subreddit, limit=limit, after=after, raw=raw)
    span = query.get("t", "day")
    address = Address(span) if span in {Address.WEEK, Address.YEAR} else Address.TOP
    return CrawlRequest(address, subreddit, _DAYS.get(span, 1.0), limit, after, raw)


def limit_of(text: str | None) -> int:
    """Return how many are requested at most."""
    try:
        return min(max(int(text), 1), _HIGHEST_LIMIT) if text is not None else _DEFAULT_LIMIT
    except ValueError:
        return _DEFAULT_LIMIT


class LatencyError(ValueError):
    """An invalid latency; the message says what is valid."""


class Latencies:
    """Seconds by address; others answer at once."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds: dict[str, float] = {address.value: 0.0 for address in Address}
        self.change(seconds)

    def of(self, address: Address) -> float:
        """Return the latency of an address, seconds."""
        return self._seconds[address]

    def change(self, seconds: Mapping[str, object]) -> None:
        """Merge changes into the current values; all or nothing."""
        for name, value in seconds.items():
            if name not in self._seconds:
                raise LatencyError(f"no address is called {name}: known are {', '.join(self._seconds)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise LatencyError(f"{name} = {value!r}: give seconds, 0 or more")
        self._seconds.update({name: float(str(value)) for name, value in seconds.items()})

    def as_json(self) -> dict[str, float]:
        """Return every address with its seconds."""
        return dict(self._seconds)
