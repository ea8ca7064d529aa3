"""Decides what follows a failed attempt of one request. Pure: randomness is an argument."""

import enum
from collections.abc import Callable
from typing import NamedTuple

from core.backoff import Backoff
from core.errors import GaplessError, PermanentError
from core.reddit.quota import SHORTEST_BLOCK, WINDOW
from core.reddit.request_errors import RateLimited, TokenRejected, Unavailable
from scraper.http.transport.proxy_errors import NameLimited, ProxyResting
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import Unexplained, Unproven

_BACKOFF = Backoff(first=0.5, longest=10.0)

#: A request that is answered 429 is sent again so often.
_MOST_WAITS = 5

#: A request follows so many redirects to itself.
_MOST_DETOURS = 3

#: Waits after a 429 that names no time: the first, how much longer each next one is, the longest (seconds).
_FIRST_WAIT, _STEP, _LONGEST_WAIT = 5.0, 2.0, 30.0


class Action(enum.Enum):
    """What to do with the request."""

    RETRY = "wait alone, then send it again"
    HOLD = "send it again when all may"
    RENEW = "send it again with another token"
    DETOUR = "send it again at once: to another address, or through a connection of its own"
    GIVE_UP = "hand the error to the caller"


class Step(NamedTuple):
    """What to do, and for RETRY how long to wait before."""

    action: Action
    seconds: float = 0.0


def seconds_after_429(retry_after: float | None, waits: int) -> float:
    """Return how long to wait after a 429, where this request has waited `waits` times: as told, or a bit longer."""
    seconds = retry_after if retry_after is not None else min(_FIRST_WAIT + _STEP * waits, _LONGEST_WAIT)
    # "at once" would answer a storm with a storm; no window of Reddit's is longer than the longest wait
    return min(max(SHORTEST_BLOCK, seconds), WINDOW)


class RetryState:
    """What one request has met so far."""

    __slots__ = ("detours", "failures", "max_retries", "renewed", "waits")

    def __init__(self, max_retries: int) -> None:
        self.max_retries = max_retries
        self.failures = 0
        self.waits = 0
        self.detours = 0
        self.renewed = False

    def after(self, error: GaplessError, random: Callable[[], float]) -> Step:
        """Decide what follows on this error; `random` gives [0, 1)."""
        if isinstance(error, Unavailable | PermanentError | ProxyResting | Unexplained | NameLimited):
            return Step(Action.GIVE_UP)
        if isinstance(error, Unproven | SameElsewhere):
            self.detours += 1
            return Step(Action.GIVE_UP if self.detours > _MOST_DETOURS else Action.DETOUR)
        if isinstance(error, RateLimited):
            self.waits += 1
            return Step(Action.GIVE_UP if self.waits > _MOST_WAITS else Action.HOLD)
        if isinstance(error, TokenRejected) and not self.renewed:
            self.renewed = True
            return Step(Action.RENEW)
        self.failures += 1
        if self.failures > self.max_retries:
            return Step(Action.GIVE_UP)
        return Step(Action.RETRY, _BACKOFF.pause(self.failures, random))
