"""Listings as Reddit keeps them: short lists of names, newest first, paged by `after` and `before`.

Pure: no time and no network.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from simulator.item import Item

Key = tuple[float, int]

_BY_PLACE = attrgetter("key")


class NameList:
    """The newest `cap` items of one kind in one subreddit. An item that is pushed out never returns."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        # Ascending, so that the usual arrival (the newest) is an append.
        self._keys: list[Key] = []
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items, newest first."""
        return reversed(self._items)

    def __contains__(self, item: Item) -> bool:
        place = bisect_left(self._keys, item.key)
        return place < len(self._items) and self._items[place] is item

    def copy(self) -> "NameList":
        """Return another list with the same items."""
        other = NameList(self._cap)
        other._keys, other._items = list(self._keys), list(self._items)
        return other

    def insert(self, item: Item) -> Item | None:
        """Insert the item by its creation time; return the item that was pushed out, which may be the item itself."""
        place = bisect_left(self._keys, item.key)
        self._keys.insert(place, item.key)
        self._items.insert(place, item)
        if len(self._items) <= self._cap:
            return None
        del self._keys[0]
        return self._items.pop(0)

    def remove(self, item: Item) -> bool:
        """Remove the item; return whether it was there."""
        if item not in self:
            return False
        place = bisect_left(self._keys, item.key)
        del self._keys[place], self._items[place]
        return True

    def count_newer(self, key: Key) -> int:
        """Return how many items are above this place."""
        return len(self._keys) - bisect_right(self._keys, key)

    def older(self, key: Key | None) -> Iterator[Item]:
        """Yield the items below this place (or all), newest first."""
        end = len(self._keys) if key is None else bisect_left(self._keys, key)
        return (self._items[place] for place in range(end - 1, -1, -1))

    def newer(self, key: Key) -> Iterator[Item]:
        """Yield the items above this place, nearest first."""
        return (self._items[place] for place in range(bisect_right(self._keys, key), len(self._items)))


@dataclass(frozen=True, slots=True)
class Page:
    """Items newest first, and the names of the next pages: `after` to older ones, `before` to newer ones."""

    items: tuple[Item, ...] = ()
    after: str | None = None
    before: str | None = None


class Listing:
    """Several lists as one: merged newest first, and cut at `cap` like each of them."""

    def __init__(self, lists: Sequence[NameList], cap: int) -> None:
        self._lists = lists
        self._cap = cap

    def newest(self, limit: int) -> Page:
        """Return the page for a request without an anchor."""
        found = self._below(None, min(limit + 1, self._cap))
        return Page(items=tuple(found[:limit]), after=_leads_on(found, limit))

    def after(self, anchor: Item | None, limit: int) -> Page:
        """Return what follows the anchor; an empty page if the anchor is not in the list."""
        place = self.place(anchor)
        if anchor is None or place is None:
            return Page()
        found = self._below(anchor.key, min(limit + 1, self._cap - place - 1))
        before = found[0].fullname if found else None
        return Page(items=tuple(found[:limit]), after=_leads_on(found, limit), before=before)

    def before(self, anchor: Item | None, limit: int) -> Page:
        """Return the items nearest to the anchor on its newer side; an empty page if the anchor is not in the list."""
        if anchor is None or self.place(anchor) is None:
            return Page()
        merged = heapq.merge(*(names.newer(anchor.key) for names in self._lists), key=_BY_PLACE)
        found = list(islice(merged, limit + 1))
        items = tuple(reversed(found[:limit]))
        if not items:
            return Page()
        return Page(items=items, after=items[-1].fullname, before=items[0].fullname if len(found) > limit else None)

    def place(self, anchor: Item | None) -> int | None:
        """Return how many items are above the anchor; None if it is not within this listing."""
        if anchor is None or not any(anchor in names for names in self._lists):
            return None
        place = sum(names.count_newer(anchor.key) for names in self._lists)
        return place if place < self._cap else None

    def _below(self, key: Key | None, count: int) -> list[Item]:
        merged = heapq.merge(*(names.older(key) for names in self._lists), key=_BY_PLACE, reverse=True)
        return list(islice(merged, max(count, 0)))


def _leads_on(found: Sequence[Item], limit: int) -> str | None:
    return found[limit - 1].fullname if len(found) > limit else None
