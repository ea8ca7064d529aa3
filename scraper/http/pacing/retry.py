"""Decides what follows a failed attempt of one request. Pure: randomness is an argument."""

import enum
from collections.abc import Callable
from typing import NamedTuple

from core.backoff import Backoff
from core.errors import GaplessError, PermanentError
from core.reddit.quota import WINDOW
from core.reddit.quota_answers import SHORTEST_BLOCK
from core.reddit.request_errors import RateLimited, TokenRejected, Unavailable
from scraper.http.transport.route import ProxyResting
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import PathLimited, Unexplained, Unproven

_BACKOFF = Backoff(first=0.5, longest=10.0)

#: How many times a request that is answered 429 is sent again.
_MOST_WAITS = 5

#: How many redirects to the same thing a request follows.
_MOST_DETOURS = 3

#: Waits after a 429 that names no time: the first, the increase per further wait, the longest (seconds).
_FIRST_WAIT, _STEP, _LONGEST_WAIT = 5.0, 2.0, 30.0


class Action(enum.Enum):
    """What to do with the request."""

    RETRY = "wait without the others, then send it again"
    HOLD = "send it again after the pause of all requests"
    RENEW = "send it again with another token"
    DETOUR = "send it again at once: to another address, or on a separate connection"
    GIVE_UP = "raise the error"


class Step(NamedTuple):
    """The action, and the seconds to wait before a RETRY."""

    action: Action
    seconds: float = 0.0


def seconds_after_429(retry_after: float | None, waits: int) -> float:
    """Return the wait after a 429, seconds: as Reddit says, else by `waits`, the request's earlier waits."""
    seconds = retry_after if retry_after is not None else min(_FIRST_WAIT + _STEP * waits, _LONGEST_WAIT)
    # "at once" would answer a burst with a burst; no window of Reddit's is longer than the longest wait
    return min(max(SHORTEST_BLOCK, seconds), WINDOW)


class RetryState:
    """The state of one request's attempts so far."""

    __slots__ = ("detours", "failures", "max_retries", "renewed", "waits")

    def __init__(self, max_retries: int) -> None:
        self.max_retries = max_retries
        self.failures = 0
        self.waits = 0
        self.detours = 0
        self.renewed = False

    def after(self, error: GaplessError, random: Callable[[], float]) -> Step:
        """Decide what follows this error; `random` returns a number in [0, 1)."""
        if isinstance(error, Unavailable | PermanentError | ProxyResting | Unexplained | PathLimited):
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
