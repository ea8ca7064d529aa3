"""Pages with patience: what passes is tried again, with growing pauses that a stop ends at once."""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from core.backoff import Backoff
from core.child import ChildContext
from core.errors import TransientError
from core.quota import Priority
from core.reddit.errors import NetworkBlocked, RateLimited, Stopped
from streams.capture.listing import PAGE_SIZE, Page, listing_path, parse_page

_SHORT = Backoff(first=0.3, longest=15.0)
_BLOCKED = Backoff(first=5.0, longest=120.0)

#: The reason given in the log and to the person, from this many failures in a row on as an error.
_SERIOUS = 5


class Getter(Protocol):
    """What makes one attempt (see streams.capture.gateway.Gateway)."""

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Return the decoded answer or raise one of our errors."""


class Fetcher:
    """Fetches pages of one stream's listings."""

    def __init__(
        self,
        gateway: Getter,
        context: ChildContext,
        stream: str,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._gateway = gateway
        self._context = context
        self._stream = stream
        self._draw = draw
        self._failures = 0

    def attempt(self, subreddits: Sequence[str], after: str | None, priority: Priority, limit: int = PAGE_SIZE) -> Page:
        """Fetch a page once. Raises TransientErrors, Unavailable, CredentialsRejected, Stopped."""
        params: dict[str, str | int] = {"limit": limit}
        if after is not None:
            params["after"] = after
        answer = self._gateway.get(listing_path(list(subreddits), self._stream), params, priority)
        return parse_page(answer, self._stream)

    def page(self, subreddits: Sequence[str], after: str | None, priority: Priority, limit: int = PAGE_SIZE) -> Page:
        """Fetch a page, as often as it takes. Raises Unavailable, CredentialsRejected, Stopped."""
        while True:
            try:
                page = self.attempt(subreddits, after, priority, limit)
            except TransientError as error:
                self.pause(error)
            else:
                self._recovered()
                return page

    def pause(self, error: TransientError) -> None:
        """Log the failure and wait before the next attempt; raises Stopped when asked to stop meanwhile."""
        self._failures += 1
        if isinstance(error, RateLimited):
            # the shared quota holds everybody back; the next attempt waits there
            self._context.log.warning("rate_limited", wait_seconds=error.retry_after)
            return
        backoff = _BLOCKED if isinstance(error, NetworkBlocked) else _SHORT
        seconds = backoff.pause(self._failures, self._draw)
        level = "error" if self._failures >= _SERIOUS else "warning"
        fields = {"error": str(error), "kind": type(error).__name__, "failures": self._failures}
        getattr(self._context.log, level)("request_failed", **fields, retry_in_seconds=round(seconds, 2))
        if self._context.wait(seconds):
            raise Stopped

    def _recovered(self) -> None:
        if self._failures >= _SERIOUS:
            self._context.log.info("reddit_answers_again", after_failures=self._failures)
        self._failures = 0
