"""The walk up a listing, from what is proven towards an unreadable item. Pure.

A page that always fails ends the walk from above: there is no anchor below it. `before=X` returns the names nearest to
X on its newer side, so pages are read upwards from a proven name until they also fail. An anchor that left the listing
returns an empty page, which proves nothing. Meeting what the walk from above has read also proves nothing: the page
that failed is then readable or gone, and the walk from above can check that.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from streams.capture.walk import newest_first
from streams.reddit.listing_page import Item, Page

#: Names kept as anchors from a page, in case the newest leaves the listing.
_ANCHORS = 4

#: Number of last items that must be as new as the moment that counts as reached: one invalid date proves nothing.
_CERTAIN = 3

#: More pages than a listing has: a server that never ends must not block the repair.
_MOST_PAGES = 1_500


class UpwardOutcome(enum.Enum):
    """The end of a walk up."""

    MET = "met what was read from above"
    STUCK = "the next page above cannot be read"
    NO_ANCHOR = "no anchor is left, or the pages are not those above the anchor"


@dataclass(slots=True)
class UpwardWalk:
    """One walk up. The caller requests a page `before` one of `anchors` and calls `take`, until `outcome` is set.

    Args:
        anchors: proven names, best first.
        ceiling: created_utc of the last item that the walk from above read, seconds.
        met: returns whether the walk from above read this item.
    """

    anchors: tuple[str, ...]
    ceiling: float
    met: Callable[[str], bool]
    outcome: UpwardOutcome | None = None
    items: int = 0
    pages: int = 0
    #: created_utc of the last items read
    _top: list[float] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    @property
    def reached(self) -> float | None:
        """Return the created_utc up to which everything above the first anchor was read, None if nothing was."""
        return min(self._top) if len(self._top) >= _CERTAIN else None

    def take(self, page: Page, anchor: str) -> bool:
        """Process the page fetched with `before=anchor`; return whether it led further up."""
        self.pages += 1
        named = [item for item in page.items if item.fullname]
        fresh = [item for item in named if item.name not in self._names]
        if any(self.met(item.name) for item in named):
            self.outcome = UpwardOutcome.MET
        elif not named:
            self._drop(anchor)
        elif fresh and (self.pages >= _MOST_PAGES or not self._plausible(page.items)):
            self.outcome = UpwardOutcome.NO_ANCHOR
        elif fresh:
            self._advance(fresh)
        return bool(fresh) and self.outcome is None

    def _drop(self, anchor: str) -> None:
        self.anchors = tuple(name for name in self.anchors if name != anchor)
        if not self.anchors:
            self.outcome = UpwardOutcome.NO_ANCHOR

    def _plausible(self, items: Sequence[Item]) -> bool:
        """Return whether these can be above the anchor: a server that ignores `before` sends the newest page."""
        dates = [item.created for item in items if item.created is not None]
        return bool(dates) and max(dates) <= self.ceiling and newest_first(items)

    def _advance(self, fresh: Sequence[Item]) -> None:
        self._names.update(item.name for item in fresh)
        self.items += len(fresh)
        dates = [item.created for item in fresh if item.created is not None]
        self._top = (self._top + dates[::-1])[-_CERTAIN:]
        names = [item.fullname for item in fresh]
        self.anchors = tuple(dict.fromkeys([*names, *self.anchors]))[:_ANCHORS]
