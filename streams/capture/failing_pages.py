"""Handles requests that keep failing: smaller pages and other anchors before a page is skipped. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.reddit.request_errors import TooLarge, TooSlow
from streams.reddit.listing_page import PAGE_SIZE

#: Smallest page that is worth a request.
_SMALLEST = 1

#: The page size shrinks and grows by this factor.
_FACTOR = 4
#: A page that fails whenever it grows stays small for longer each time, up to this number of answers.
_LONGEST_HOLD = 32

#: Failures of the same request before another form of it is tried: a transient error needs no other form.
_SAME = 2
#: The numbers of attempts after which a smaller page is requested.
_SMALLER = 3

#: A page is skipped only after this number of attempts, and of seconds, while other requests are answered.
_ATTEMPTS = 8
_PATIENCE_S = 6.0


def needs_smaller_page(error: Exception) -> bool:
    """Return whether a smaller page is the remedy."""
    return isinstance(error, TooSlow | TooLarge)


@dataclass(slots=True)
class PageSize:
    """The number of items to request: full pages, smaller ones while answers are too slow or too large."""

    limit: int = PAGE_SIZE
    _answers: int = 0
    #: the number of answers that a smaller page needs before it grows
    _hold: int = 1
    _grown: bool = False

    def shrink(self) -> bool:
        """Request fewer items from now on; return whether that was possible."""
        if self._grown:
            self._hold = min(_LONGEST_HOLD, self._hold * 2)
        self._answers, self._grown = 0, False
        before, self.limit = self.limit, max(_SMALLEST, self.limit // _FACTOR)
        return self.limit < before

    def arrived(self, limit: int, attempts: int) -> None:
        """Report an answer to a request for `limit` items after failed attempts; continue with that size."""
        if not attempts or limit >= self.limit:
            self.answered()
            return
        if self._grown:
            self._hold = min(_LONGEST_HOLD, self._hold * 2)
        self._answers, self._grown = 0, False
        self.limit = limit

    def answered(self) -> None:
        """Report an answer. A smaller page grows soon: pages must not stay small after an outage."""
        if self.limit == PAGE_SIZE:
            self._answers += 1
            if self._answers >= _LONGEST_HOLD:
                self._hold = 1
            return
        self._answers += 1
        self._grown = False
        if self._answers >= self._hold:
            self._answers, self._grown = 0, True
            self.limit = min(PAGE_SIZE, self.limit * _FACTOR)


@dataclass(slots=True)
class FailingPage:
    """The failures of one lower page of a walk: which anchor and limit to try next, and when to skip the page."""

    since: float | None = None
    attempts: int = 0
    #: whether a page of this walk arrived only in another form: an unreadable item is near
    _near: bool = False

    def failed(self, now: float, error: Exception) -> None:
        """Report a failed attempt at `now`, seconds of a monotonic clock; too slow or too large: request less next."""
        self.attempts = max(self.attempts + 1, _SMALLER if self._near or needs_smaller_page(error) else 0)
        self.since = now if self.since is None else self.since

    def answered(self) -> None:
        """Report that the page arrived, in any form: the next one starts afresh."""
        self._near = self._near or self.attempts > _SAME
        self.attempts = 0
        self.since = None

    def form(self, anchors: Sequence[str | None], limit: int = PAGE_SIZE) -> tuple[str | None, int]:
        """Return the anchor and the limit of the next attempt; `anchors`: the walk's, best first; none: the top."""
        forms = self._forms(anchors or (None,), limit)
        return forms[self.attempts % len(forms)]

    @staticmethod
    def _forms(anchors: Sequence[str | None], limit: int) -> list[tuple[str | None, int]]:
        return [
            *[(anchors[0], limit)] * _SAME,
            (anchors[min(1, len(anchors) - 1)], limit),
            (anchors[0], max(_SMALLEST, limit // 4)),
            (anchors[-1], max(_SMALLEST, limit // 4)),
            (anchors[0], max(_SMALLEST, limit // 20)),
            (anchors[0], _SMALLEST),
            (anchors[min(1, len(anchors) - 1)], _SMALLEST),
        ]

    def is_alone(self, answered_at: float | None) -> bool:
        """Return whether only this page fails; `answered_at`: when any other request was last answered."""
        return self.since is not None and answered_at is not None and answered_at > self.since

    def should_skip(self, now: float, answered_at: float | None) -> bool:
        """Return whether to skip the page; `answered_at`: when any other request was last answered."""
        if self.since is None or self.attempts < _ATTEMPTS:
            return False
        return self.is_alone(answered_at) and now - self.since >= _PATIENCE_S
