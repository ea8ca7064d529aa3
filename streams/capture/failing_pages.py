"""Requests that keep failing: smaller pages and other anchors before a page is left out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.reddit.request_errors import TooLarge, TooSlow
from streams.reddit.listing_page import PAGE_SIZE

#: Smallest page that is worth a request of its own.
_SMALLEST = 1

#: A page shrinks and grows by this factor.
_FACTOR = 4
#: A page that fails whenever it grows is left small for longer each time, up to this many answers.
_LONGEST_HOLD = 32

#: Failures of the same request before another form of it is tried: a passing error needs no other form.
_SAME = 2
#: The attempts after which a smaller page is requested.
_SMALLER = 3

#: A page is left out only after this many attempts, and this many seconds, while other requests are answered.
_ATTEMPTS = 8
_PATIENCE_S = 6.0


def is_too_much(error: Exception) -> bool:
    """Tell whether a smaller page is the remedy."""
    return isinstance(error, TooSlow | TooLarge)


@dataclass(slots=True)
class PageSize:
    """How many items to request: full pages, smaller ones while answers are too slow or too large."""

    limit: int = PAGE_SIZE
    _answers: int = 0
    #: how many answers a smaller page needs before it grows
    _hold: int = 1
    _grown: bool = False

    def shrink(self) -> bool:
        """Request fewer items from now on; tell whether that was possible."""
        if self._grown:
            self._hold = min(_LONGEST_HOLD, self._hold * 2)
        self._answers, self._grown = 0, False
        before, self.limit = self.limit, max(_SMALLEST, self.limit // _FACTOR)
        return self.limit < before

    def arrived(self, limit: int, attempts: int) -> None:
        """Report an answer to a request for `limit` items after failed attempts; go on with what was answered."""
        if not attempts or limit >= self.limit:
            self.answered()
            return
        if self._grown:
            self._hold = min(_LONGEST_HOLD, self._hold * 2)
        self._answers, self._grown = 0, False
        self.limit = limit

    def answered(self) -> None:
        """Report an answer. A smaller page grows soon: an outage must not leave small pages behind."""
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
    """Failures of one lower page of a walk: which anchor and limit to try next, and when to leave the page out."""

    since: float | None = None
    attempts: int = 0
    #: whether a page of this walk came only in another form: what cannot be read is near
    _near: bool = False

    def failed(self, now: float, error: Exception) -> None:
        """Report a failed attempt at `now`, seconds on any steady clock; too slow or too large: request less next."""
        self.attempts = max(self.attempts + 1, _SMALLER if self._near or is_too_much(error) else 0)
        self.since = now if self.since is None else self.since

    def answered(self) -> None:
        """Report that the page arrived, in whatever form: the next one starts afresh."""
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
        """Tell whether only this page fails; `answered_at`: when any other request was answered last."""
        return self.since is not None and answered_at is not None and answered_at > self.since

    def hopeless(self, now: float, answered_at: float | None) -> bool:
        """Tell whether to leave the page out; `answered_at`: when any other request was answered last."""
        if self.since is None or self.attempts < _ATTEMPTS:
            return False
        return self.is_alone(answered_at) and now - self.since >= _PATIENCE_S
