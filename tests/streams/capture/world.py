"""A small Reddit for the walk: listings that forget, `after` that misleads, and a record of what was shown."""

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import floor
from operator import attrgetter
from typing import Any

from core.reddit.request_errors import RequestRejected, ServerTrouble, Unavailable


@dataclass(slots=True)
class Thing:
    """One submission. `moment` decides its place in the listing; Reddit tells it in whole seconds."""

    name: str
    subreddit: str
    moment: float
    late: bool = False
    removed: bool = False
    surfaced: bool = False

    @property
    def created(self) -> int:
        return floor(self.moment)

    def child(self) -> dict[str, Any]:
        data = {"name": self.name, "id": self.name[3:], "subreddit": self.subreddit, "created_utc": self.created}
        return {"kind": "t3", "data": data}


@dataclass(slots=True)
class World:
    """Each subreddit holds its newest `cap` names, a combined listing is their merger, cut at `cap` again."""

    subreddits: tuple[str, ...]
    cap: int = 220
    page_size: int = 50
    things: dict[str, Thing] = field(default_factory=dict)
    #: names in complete answers that a living process took in
    shown: set[str] = field(default_factory=set)
    closed: dict[str, str] = field(default_factory=dict)
    #: what a request raises that names this subreddit, whatever else it names
    refusals: dict[str, Callable[[], Exception]] = field(default_factory=dict)
    #: things that make every page that would hold them fail
    poison: set[str] = field(default_factory=set)
    #: longest names part of a path; a longer one is answered with 414
    path_limit: int = 100_000
    requests: int = 0
    _lists: dict[str, list[Thing]] = field(default_factory=dict)
    _held_back: list[Thing] = field(default_factory=list)

    def add(self, subreddit: str, moment: float, *, late: bool = False) -> Thing:
        """Let something appear; in a closed subreddit it appears when that opens."""
        thing = Thing(f"t3_{len(self.things):x}", subreddit, moment, late)
        self.things[thing.name] = thing
        if subreddit in self.closed:
            self._held_back.append(thing)
        else:
            self._surface(thing)
        return thing

    def _surface(self, thing: Thing) -> None:
        listing = self._lists.setdefault(thing.subreddit, [])
        insort(listing, thing, key=lambda one: -one.moment)
        del listing[self.cap :]
        thing.surfaced = thing in listing

    def remove(self, thing: Thing) -> None:
        thing.removed = True
        for listing in self._lists.values():
            if thing in listing:
                listing.remove(thing)

    def close(self, subreddit: str, reason: str = "private") -> None:
        self.closed[subreddit] = reason

    def open(self, subreddit: str) -> None:
        self.closed.pop(subreddit, None)
        for thing in [one for one in self._held_back if one.subreddit == subreddit]:
            self._held_back.remove(thing)
            self._surface(thing)

    def listing(self, subreddits: Iterable[str]) -> list[Thing]:
        merged = [one for name in subreddits for one in self._lists.get(name, ())]
        merged.sort(key=attrgetter("moment"), reverse=True)
        return merged[: self.cap]

    def answer(
        self, subreddits: list[str], after: str | None, limit: int, *, before: str | None = None
    ) -> dict[str, Any]:
        """Answer as Reddit would; an anchor that has left the listing gets an empty page."""
        self.requests += 1
        for name in subreddits:
            if name in self.closed:
                raise Unavailable(self.closed[name])
            if name in self.refusals:
                refusal = self.refusals[name]
                raise refusal()
        if len("+".join(subreddits)) > self.path_limit:
            raise RequestRejected(414, "Reddit answered 414")
        listing = self.listing(subreddits)
        names, count = [thing.name for thing in listing], min(limit, self.page_size)
        start = 0
        if before is not None:
            place = names.index(before) if before in names else 0
            start = max(0, place - count)
            count = place - start
        elif after is not None:
            start = names.index(after) + 1 if after in names else len(names)
        page = listing[start : start + count]
        if any(thing.name in self.poison for thing in page):
            raise ServerTrouble("Reddit answered 500")
        follows = page and start + len(page) < len(listing)
        return envelope([thing.child() for thing in page], page[-1].name if follows else None)


def envelope(children: list[Any], after: str | None = None) -> dict[str, Any]:
    """Return a listing as Reddit wraps it."""
    return {"kind": "Listing", "data": {"after": after, "before": None, "children": children}}


def names_of(answer: dict[str, Any]) -> set[str]:
    return {child["data"]["name"] for child in answer["data"]["children"] if child["data"]}
