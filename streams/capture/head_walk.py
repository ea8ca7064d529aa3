"""The walk over the newest items of a group whose first walk is still further down.

The first walk of a listing reads a backlog of up to 1,000 items, and many groups share the quota for that. Meanwhile a
short walk goes from the top down to what the first walk has met, and to where late items may be. It proves nothing by
itself: its items join those of the first walk, which proves all of them at its end.
"""

from streams.capture.coverage import Absorbed
from streams.capture.poll import ListingPoll
from streams.capture.walk import Walk, WalkOutcome
from streams.reddit.listing_page import PAGE_SIZE, Item, Page, Request


class HeadWalk:
    """One such walk. Request `next()`, then call `take`, until `done`.

    Args:
        poll: the first walk.
        subreddits: those that are requested together; there may be more than the first walk has.
        reach: created_utc down to which late items may be.
        began: when the newest page was requested, epoch seconds of this machine's clock.
    """

    def __init__(self, poll: ListingPoll, subreddits: tuple[str, ...], reach: float, began: float) -> None:
        self.subreddits = subreddits
        self.began = began
        self.done = False
        self._poll = poll
        self._walk = Walk(poll.walk.has, reach=reach)
        self._items: list[Item] = []

    def next(self, limit: int = PAGE_SIZE) -> Request:
        """Return the page to request now."""
        return Request(self._walk.next_after(), limit)

    def take(self, page: Page) -> Absorbed:
        """Make a page durable; the last one joins the items to the first walk. Raises SpoolError."""
        own = self._poll.own(page)
        self._items += own.items
        self._walk.take(own)
        absorbed = self._poll.capture(page)
        if self._walk.outcome is not None or self._walk.confirming:
            self.done = True
            self._poll.extend(Page(tuple(self._items), None), self.began)
        return absorbed

    @property
    def foot(self) -> float | None:
        """The created_utc above which a complete walk has shown all items; None if it has not."""
        met = self._walk.outcome is WalkOutcome.MET
        return max(self._walk.foot, default=None) if met else None
