"""The walk down a listing: page after page until it meets what is proven, or the listing ends. Pure.

A listing is a cached list, newest first. `after=X` returns what follows X, and an empty page if X is no longer in the
list: that looks like the end and is none. So the end counts as proven only if a page with items says that nothing
follows, and an empty page is checked from other anchors before it is believed.

A short listing has dropped nothing. But a listing that moves while small pages of it are read looks short and is long:
if several pages were needed, the newest page is read again, and must follow without a break.
"""

import enum
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from streams.reddit.listing_page import PAGE_SIZE, Item, Page

#: Anchors tried after an empty page: steps back from the last name.
_FALLBACKS = (1, 2, 3, 5, 9, 17, 33, 65, 99)

#: Consecutive empty first pages before one is believed, if there were items before.
_EMPTY_TOPS = 3

#: Items at the foot of a page that must be older than the horizon to count as met: one invalid date proves nothing.
_OLD_ITEMS = 3

#: Dates that rise by more than this from one item to the one below (seconds) are out of order; a few may be.
_DISORDER = 60.0
_FEW = 0.05

#: No listing has more than this number of pages, even small ones; a server that never ends must not block the stream.
_MOST_PAGES = 1_500
#: No listing holds this number of items.
_MOST_ITEMS = 20_000

_NO_CEILING = float("inf")

#: Most pages that a walk reads for late items after it has met what is proven.
MOST_EXTRA_PAGES = 3

#: Items at the foot of a page that show its depth: one late item there has an older date than its neighbours.
_FOOT_ITEMS = 5


class WalkOutcome(enum.Enum):
    """The end of a walk."""

    MET = "met what was proven before"
    ENDED = "the listing ended first"
    STALE = "all anchors have left the listing"
    UNREADABLE = "a page has no item of this stream"


@dataclass(slots=True)
class Walk:
    """One walk. The caller fetches the page of `next_after()` and calls `take`, until `outcome` is set.

    `proven(name)` returns whether an earlier walk proved an item; items created before `horizon` (created_utc seconds)
    are below everything that can be new. Items created at or after `ceiling` prove nothing, even if an earlier walk of
    other subreddits proved them: the subreddits of this walk are proven only up to there.
    """

    proven: Callable[[str], bool]
    horizon: float = float("-inf")
    ceiling: float = _NO_CEILING
    #: anchors to begin below, best first; none: begin at the top
    below: tuple[str, ...] = ()
    believe_empty_after: int = _EMPTY_TOPS
    #: an end before this number of items is confirmed by another read of the top
    confirm_below: int = PAGE_SIZE
    #: whether the next page is that read
    confirming: bool = False
    #: created_utc: having met what is proven, the walk reads on down to there, since late items may be below
    reach: float = float("inf")
    #: whether it has met what is proven: a page that cannot be read, or an end of the listing, changes nothing more
    has_met: bool = False
    outcome: WalkOutcome | None = None
    pages: int = 0
    items: int = 0
    empty_pages: int = 0
    #: created_utc of the last items of the page that ended the walk, and of those of the suspects (see `_suspects`)
    foot: tuple[float, ...] = ()
    _anchors: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _tried: set[str | None] = field(default_factory=set)
    _empty_tops: int = 0
    _moved: bool = False
    #: per subreddit, created_utc of its new items, the lowest last
    _new: dict[str, list[float | None]] = field(default_factory=dict)
    _anchored: set[str] = field(default_factory=set)
    _extra_pages: int = 0

    def __post_init__(self) -> None:
        self._anchors = list(self.below)

    def next_after(self) -> str | None:
        """Return the anchor of the page to fetch next, None for the top of the listing."""
        return self._anchors[0] if self._anchors else None

    def anchors(self) -> tuple[str, ...]:
        """Return the anchors of the next page, best first; empty: it is the top of the listing."""
        return tuple(self._anchors)

    @property
    def whole(self) -> bool:
        """Whether the listing ended, and was too short to have dropped anything: less than one page."""
        return self.is_shorter_than(PAGE_SIZE) and self.empty_pages <= _EMPTY_TOPS

    def is_shorter_than(self, items: int) -> bool:
        """Return whether the listing ended, and held fewer items than this; at most PAGE_SIZE or `confirm_below`."""
        return self.outcome is WalkOutcome.ENDED and self.items < items and not self._moved

    def has(self, name: str) -> bool:
        """Return whether this walk met the item."""
        return name in self._names

    def take(self, page: Page, anchor: str | None = None) -> None:
        """Process the page fetched with `anchor`, one of `anchors()`; default: with `next_after()`."""
        if self.confirming:
            self._confirm(page)
            return
        self.pages += 1
        self.empty_pages += not page.items
        anchor = self.next_after() if anchor is None else anchor
        self._tried.add(anchor)
        if self.pages >= _MOST_PAGES or self.items >= _MOST_ITEMS:
            self.outcome = WalkOutcome.ENDED
        elif page.items:
            self._take_items(page)
        elif page.after is not None and page.after not in self._tried:
            self._anchors = [page.after]  # a page without items of this stream: the listing continues below
        elif page.rejects:
            self.outcome = WalkOutcome.UNREADABLE  # not the end of the listing: its position is unknown
        elif anchor is None:
            self._empty_tops += 1
            if self._empty_tops >= self.believe_empty_after:
                self.outcome = WalkOutcome.ENDED
        else:
            self._anchors.remove(anchor)
            if not self._anchors:
                self.outcome = WalkOutcome.STALE
        if self.has_met and (self.outcome is not None or not page.items):
            self.outcome = WalkOutcome.MET

    def _end(self) -> None:
        """End the walk with the listing; if it needed several pages and seems short, read the top again."""
        if self.has_met:
            self.outcome = WalkOutcome.MET
        elif self.items < self.confirm_below and self.pages - self._empty_tops > 1:
            self.confirming, self._anchors = True, []
        else:
            self.outcome = WalkOutcome.ENDED

    def _confirm(self, page: Page) -> None:
        self.pages += 1
        self.confirming = False
        self._moved = not self.extend(page)
        self.outcome = WalkOutcome.ENDED

    def _take_items(self, page: Page) -> None:
        # an item without a Reddit name is no anchor, and meeting it proves nothing
        named = [item for item in page.items if item.fullname]
        names = [item.name for item in named]
        met = self._names
        news = [item for item in page.items if item.name not in met]
        met.update([item.name for item in page.items])
        self.items += len(news)
        self._record_new(news)
        if not named:
            self._pass_nameless(page)
            return
        lowest = [item.created for item in page.items[-10:]]
        lowest += [created for subreddit in self._suspects() for created in self._new[subreddit][-3:]]
        self.foot = tuple(created for created in lowest if created is not None)
        follows = page.after or names[-1]
        self.has_met = self.has_met or self._met(named)
        if self.has_met and not self._reads_on(page):
            self.outcome = WalkOutcome.MET
        elif page.after is None or (not news and follows in self._tried):
            self._end()
        else:
            backwards = [names[-1 - step] for step in _FALLBACKS if step < len(names)]
            self._anchors = [name for name in dict.fromkeys([follows, *backwards]) if name not in self._tried]
            if not self._anchors:
                self._end()

    def _reads_on(self, page: Page) -> bool:
        """Return whether a walk that has met what is proven reads another page for late items."""
        foot = page_foot(page)
        if foot is None or foot <= self.reach or self._extra_pages >= MOST_EXTRA_PAGES:
            return False
        self._extra_pages += 1
        return True

    def _pass_nameless(self, page: Page) -> None:
        """Continue below a page without a name, if its own anchor allows that."""
        if page.after is None or page.after in self._tried:
            self.outcome = WalkOutcome.UNREADABLE
        else:
            self._anchors = [page.after]

    def extend(self, page: Page) -> bool:
        """Add a newer top page to a walk in progress; return whether it follows without a break (otherwise restart)."""
        if not any(item.name in self._names for item in page.items):
            return False
        news = [item for item in page.items if item.name not in self._names]
        self._names.update(item.name for item in news)
        self.items += len(news)
        for item in reversed(news):  # the lowest stays last
            if not self._is_below(item):
                self._new.setdefault(item.subreddit, []).insert(0, item.created)
        return True

    def _is_below(self, item: Item) -> bool:
        created = item.created
        return (created is not None and created < self.horizon) or self._is_proven(item)

    def _is_proven(self, item: Item) -> bool:
        below = self.ceiling == _NO_CEILING or (item.created is not None and item.created < self.ceiling)
        return below and self.proven(item.name)

    def _record_new(self, news: Sequence[Item]) -> None:
        bounded, horizon, proven, new = self.ceiling != _NO_CEILING, self.horizon, self.proven, self._new
        for item in news:
            created = item.created
            below = created is not None and created < horizon
            if below or (self._is_proven(item) if bounded else proven(item.name)):
                self._anchored.add(item.subreddit)
            elif item.subreddit in new:
                new[item.subreddit].append(created)
            else:
                new[item.subreddit] = [created]

    def _suspects(self) -> list[str]:
        """Return the subreddits with many new items and none proven: their own listings may have overflowed.

        A combined listing merges the subreddits' own, which drop items independently: below the last name that a busy
        one still holds may be what others showed long ago.
        """
        return [name for name, new in self._new.items() if len(new) >= PAGE_SIZE and name not in self._anchored]

    def _met(self, items: Sequence[Item]) -> bool:
        """Return whether the foot of the page is proven or old: a single such item may be higher up by accident."""
        if self._suspects():
            return False
        if self._is_proven(items[-1]):
            return True
        foot = items[-_OLD_ITEMS:]
        if len(foot) < _OLD_ITEMS:
            return False
        old = all(item.created is not None and item.created < self.horizon for item in foot)
        return old and newest_first(items)


def newest_first(items: Sequence[Item]) -> bool:
    """Return whether the page is roughly ordered by creation: otherwise a date shows nothing about the items below."""
    dates = [item.created for item in items if item.created is not None]
    risen = sum(below > above + _DISORDER for above, below in itertools.pairwise(dates))
    return risen <= len(dates) * _FEW


def page_foot(page: Page) -> float | None:
    """Return the created_utc above which a page shows all items; None if its order is not by creation."""
    dates = [item.created for item in page.items[-_FOOT_ITEMS:]]
    if len(dates) < _FOOT_ITEMS or None in dates or not newest_first(page.items):
        return None
    return max(date for date in dates if date is not None)
