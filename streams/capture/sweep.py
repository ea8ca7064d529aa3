"""Deeper looks: a slow walk below the newest page, again and again, for items that surface late."""

from collections.abc import Callable
from dataclasses import dataclass, field

from streams.capture.listing import PAGE_SIZE, Page
from streams.capture.walk import Outcome, Walk

#: A whole look takes about so long, seconds: what surfaces below is found within a minute, retries included.
PERIOD = 40.0

#: Pages of the longest listing.
_PAGES = 10


@dataclass(slots=True)
class Sweep:
    """When the next page of the deeper look is due, and which. Pure; the caller fetches."""

    clock: Callable[[], float]
    #: the last names of the newest page that a poll saw, best anchor first; empty: nothing lies below it
    anchors: tuple[str, ...] = ()
    due: float = float("inf")
    _walk: Walk | None = None
    _began: float = 0.0
    _pages: int = _PAGES
    _finished: bool = field(default=True)

    def polled(self, top: Page) -> None:
        """Learn from a poll what the newest page ends with."""
        more = top.after is not None or len(top.items) >= PAGE_SIZE
        self.anchors = tuple(item.name for item in reversed(top.items))[:5] if more else ()
        if self._finished and self.due == float("inf") and self.anchors:
            self.due = self.clock()

    def next_after(self) -> str | None:
        """Return the anchor of the page to fetch now; None: there is nothing below the newest page."""
        if self._walk is None:
            if not self.anchors:
                self.due = float("inf")
                return None
            self._walk = Walk(proven=lambda _name: False, below=self.anchors)
            self._began = self.clock()
            self._finished = False
        return self._walk.next_after()

    def take(self, page: Page) -> None:
        """Take in the page and set when the next one is due."""
        walk = self._walk
        if walk is None:
            return
        walk.take(page)
        now = self.clock()
        if walk.outcome is None:
            self.due = now + PERIOD / (self._pages + 1)
            return
        if walk.outcome is Outcome.ENDED:
            self._pages = max(1, walk.pages)
        # anchors that left the listing: begin again below a newer page, without delay
        self.due = now + 1.0 if walk.outcome is Outcome.STALE else max(now + 1.0, self._began + PERIOD)
        self._walk = None
        self._finished = True

    def put_off(self, seconds: float) -> None:
        """Try the same page later: the quota or the network does not let us."""
        self.due = self.clock() + seconds

    def begin_again(self) -> None:
        """Drop the walk: the set of subreddits changed, its anchors mean nothing any more."""
        self._walk = None
        self._finished = True
        self.anchors = ()
        self.due = float("inf")
