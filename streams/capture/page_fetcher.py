"""Requests a page of a stream's listing, one attempt at a time, and logs the failures."""

from collections.abc import Callable, Sequence
from typing import Protocol

from core.child import ChildContext
from core.errors import TransientError
from core.reddit.quota import Priority
from core.reddit.request_errors import RateLimited
from streams.reddit.listing_page import PAGE_SIZE, Page, listing_path, parse_page

#: From this number of consecutive failures of one request, the log level is error instead of warning.
_SERIOUS = 5


class PageGetter(Protocol):
    """Sends one request (see streams.reddit.praw_client.PrawClient)."""

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Return the decoded answer or raise one of this project's errors."""


class PageFetcher:
    """Fetches pages of one stream's listings, one attempt at a time."""

    def __init__(self, praw_client: PageGetter, context: ChildContext, stream: str, clock: Callable[[], float]) -> None:
        self._praw_client = praw_client
        self._context = context
        self._stream = stream
        self._clock = clock
        #: when any request was last answered with a listing, on `clock`, seconds; None: never
        self.answered_at: float | None = None
        #: called before each request
        self.on_request: Callable[[], object] = lambda: None
        self._failures = 0

    def attempt(
        self,
        subreddits: Sequence[str],
        after: str | None,
        priority: Priority,
        limit: int = PAGE_SIZE,
        *,
        before: str | None = None,
    ) -> Page:
        """Request a page once. Raises TransientErrors, Unavailable, CredentialsRejected, Stopped."""
        params: dict[str, str | int] = {"limit": limit}
        if after is not None:
            params["after"] = after
        if before is not None:
            params["before"] = before
        self.on_request()
        answer = self._praw_client.get(listing_path(list(subreddits), self._stream), params, priority)
        page = parse_page(answer, self._stream)
        self.answered_at = self._clock()
        if self._failures >= _SERIOUS:
            self._context.log.info("reddit_answers_again", after_failures=self._failures)
        self._failures = 0
        return page

    def describe(self, subreddits: Sequence[str], priority: Priority) -> object:
        """Return Reddit's description of these subreddits (at most 100). Raises as `attempt`."""
        self.on_request()
        return self._praw_client.get("/api/info", {"sr_name": ",".join(subreddits)}, priority)

    def report(self, error: TransientError, failures: int, pause: float) -> None:
        """Log a failed attempt; `failures`: consecutive ones of this request; `pause`: seconds until the next one."""
        if isinstance(error, RateLimited):
            # the shared quota delays every request; the next attempt waits there
            self._context.log.warning("rate_limited", wait_seconds=error.retry_after)
            return
        self._failures = max(self._failures + 1, failures)
        level = "error" if failures >= _SERIOUS else "warning"
        fields = {"error": str(error), "kind": type(error).__name__, "failures": failures}
        getattr(self._context.log, level)("request_failed", **fields, retry_in_seconds=round(pause, 2))
