"""The independent sources of the audit: what each one requests, and which items of an answer are its sample.

Each source first draws captured names at random from the index of names: at random moments, so that each hour counts
alike, and a time in which much is missing is not drawn more rarely. `/api/info` describes a hundred of them.

- `Trees` (comments): the comment trees of captured posts. No listing takes part.
- `Ids` (submissions): post ids drawn at random between captured ones, as long as ids are sequential.
- `OwnListings` (both): a subreddit's own listing, below a captured item; the capture reads combined listings.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from core.cluster.shards import is_collective
from core.spool.name_index import NameIndex, id_of
from core.stream_kinds import listing_of
from streams.audit.audit_scope import Scope
from streams.audit.drawing import (
    MOST_OF_PAGE,
    MOST_OF_TREE,
    Ask,
    by_size,
    concordance,
    id_number,
    info,
    of_different_minutes,
)
from streams.reddit.listing_page import PAGE_SIZE, Item, Page, listing_path, parse_page

#: Comments of a tree in one answer (Reddit's limit).
_TREE_LIMIT = 500

#: Requests that use the names of one draw.
_OF_ONE_DRAW = 8

#: Draws in a row without a post whose tree can be read, after which trees are not used; and then, how rarely one tries.
_MOST_IDLE = 5
_RETRY_EVERY = 50

#: Ids count as sequential from this concordance on (see `concordance`).
_SEQUENTIAL = 0.99

#: Requests for ids between two measurements of their order, and until their yield is judged.
_MEASURE_EVERY = 50
_YIELD_AFTER = 20

#: Fewest items of configured subreddits that a request for 100 ids must bring on average.
_LEAST_YIELD = 0.5

#: A listing below a captured item: the item is at most this old at first, and never younger at most than this, seconds.
_FIRST_SPAN_S = 86_400.0
_LEAST_SPAN_S = 1_800.0


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer: all its items that can be judged, and those that are the random sample, each with its cluster."""

    items: Sequence[Item] = ()
    clusters: Sequence[tuple[Item, str]] = ()


class Source(Protocol):
    """One source. `why`: the reason for which it is not used now; empty: it is used."""

    name: str
    why: str

    def next(self, scope: Scope) -> Ask | None:
        """Return the next request, None if there is none."""

    def take(self, answer: object, scope: Scope) -> Sample:
        """Return the sample in the answer to the last request. Raises BadAnswer."""


@dataclass(slots=True)
class Draw:
    """Draws names of captured items of one stream at random."""

    index: NameIndex
    stream: str
    random: Random

    def names(self, earliest: float, latest: float) -> list[str]:
        """Return names of items captured from `earliest` to `latest`, each at a random moment; at most 100."""
        if latest <= earliest:
            return []
        prefix = listing_of(self.stream).prefix
        moments = (self.random.uniform(earliest, latest) for _ in range(PAGE_SIZE))
        drawn = self.index.draws(list(moments), self.random.random)
        ids = (id_of(number) for number in drawn)
        return list(dict.fromkeys(f"{prefix}_{one}" for one in ids if one))

    def cluster(self, name: str) -> str:
        """Return a name for what was drawn with this item; the same item may be drawn again, which is another draw."""
        return f"{name}-{self.random.getrandbits(32):08x}"


class Trees:
    """Comment trees of captured posts that are older than `age` seconds."""

    name = "trees"

    def __init__(self, draw: Draw, age: float) -> None:
        self.why = ""
        self._draw = draw
        self._age = age
        #: draws in a row that brought no post whose tree can be read
        self._idle = 0
        self._posts: list[Item] = []
        self._current: Item | None = None

    def next(self, scope: Scope) -> Ask | None:
        """Return the request for a tree, or for the description of captured posts."""
        self._current = self._posts.pop() if self._posts else None
        if self._current is not None:
            return Ask(f"/comments/{self._current.fullname[3:]}", {"limit": _TREE_LIMIT})
        if self._idle >= _MOST_IDLE:
            self._idle += 1
            if self._idle % _RETRY_EVERY:
                self.why = "no captured post that was drawn has comments in the subreddits whose comments are captured"
                return None
        start = self._draw.index.start()
        latest = scope.latest - self._age
        names = [] if start is None else self._draw.names(max(start, scope.earliest - self._age), latest)
        self.why = "" if names else "no captured post is old enough, or submissions are not captured"
        return info(names) if names else None

    def take(self, answer: object, scope: Scope) -> Sample:
        """Return a sample of the comments of a tree, or keep the described posts."""
        if self._current is None:
            posts = [post for post in parse_page(answer, "submissions").items if _is_in(post, scope)]
            self._posts = by_size(posts, _OF_ONE_DRAW, self._draw.random)
            self._idle = 0 if self._posts else self._idle + 1
            return Sample()
        comments = [one for one in comments_of(answer).items if scope.judges(one)]
        chosen = of_different_minutes(comments, MOST_OF_TREE, self._draw.random)
        cluster = self._draw.cluster(self._current.fullname)
        return Sample(comments, [(one, cluster) for one in chosen])


def _is_in(item: Item, scope: Scope) -> bool:
    return item.subreddit.lower() in scope.since


def comments_of(answer: object) -> Page:
    """Return all comments of a tree as one page. Raises BadAnswer."""
    parts = answer if isinstance(answer, list) else [answer]
    children = list(_comments(parts[-1:]))
    top = parts[-1] if parts else None
    listing = top if isinstance(top, dict) else {}
    return parse_page({"kind": listing.get("kind"), "data": {"children": children}}, "comments")


def _comments(things: Iterable[object]) -> Iterable[dict[str, Any]]:
    """Yield the comments below these things; a stack, since a tree may be deeper than Python's."""
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        data = thing.get("data") if isinstance(thing, dict) else None
        if not isinstance(thing, dict) or not isinstance(data, dict):
            continue
        if thing.get("kind") == "Listing":
            children = data.get("children")
            waiting += children if isinstance(children, list) else []
        elif thing.get("kind") == "t1":
            yield thing
            waiting.append(data.get("replies"))


class Ids:
    """Post ids at random, while ids are sequential and enough of them are of configured subreddits."""

    name = "ids"

    def __init__(self, draw: Draw) -> None:
        self.why = ""
        self._draw = draw
        self._range: tuple[int, int] | None = None
        self._measuring = True
        self._asked = 0
        self._requests = 0
        self._judged = 0

    def next(self, scope: Scope) -> Ask | None:
        """Return the request for a hundred random ids, or for a measurement of their order."""
        if self.why:
            return None
        self._measuring = self._range is None or self._asked >= _MEASURE_EVERY
        if self._measuring or self._range is None:
            names = self._draw.names(scope.earliest, scope.latest)
            return info(names) if names else None
        low, high = self._range
        ids = {self._draw.random.randint(low, high) for _ in range(PAGE_SIZE)}
        return info([f"t3_{id_of(number)}" for number in ids])

    def take(self, answer: object, scope: Scope) -> Sample:
        """Return the items of the drawn ids, each a sample of its own, or measure the order of ids."""
        items = parse_page(answer, "submissions").items
        if self._measuring:
            self._measure([item for item in items if scope.judges(item)])
            return Sample()
        self._asked += 1
        self._requests += 1
        judged = [item for item in items if scope.judges(item)]
        self._judged += len(judged)
        if self._requests >= _YIELD_AFTER and self._judged < _LEAST_YIELD * self._requests:
            self.why = f"only {self._judged} of {self._requests * PAGE_SIZE:,} ids are of configured subreddits"
        return Sample(judged, [(item, self._draw.cluster(item.fullname)) for item in judged])

    def _measure(self, items: Sequence[Item]) -> None:
        self._asked = 0
        order = concordance(items)
        if order is not None and order < _SEQUENTIAL:
            self.why = f"ids are not sequential: {order:.0%} of the pairs are in the order of creation"
            return
        numbers = [number for number in map(id_number, items) if number]
        # without enough pairs the next draw measures again
        self._range = (min(numbers), max(numbers)) if order is not None else None


class OwnListings:
    """Pages of a subreddit's own listing at random depths: below a captured item."""

    name = "listing"

    def __init__(self, draw: Draw, subreddits: Collection[str]) -> None:
        self.why = "" if len(subreddits) > 1 else "the capture itself reads the own listing of the only subreddit"
        self._draw = draw
        self._span = _FIRST_SPAN_S
        self._anchors: list[Item] = []
        self._current: Item | None = None

    def next(self, scope: Scope) -> Ask | None:
        """Return the request for a page, or for the description of captured items."""
        if self.why:
            return None
        self._current = self._anchors.pop() if self._anchors else None
        if self._current is not None:
            path = listing_path([self._current.subreddit], self._draw.stream)
            return Ask(path, {"limit": PAGE_SIZE, "after": self._current.fullname})
        names = self._draw.names(max(scope.earliest, scope.latest - self._span), scope.latest)
        return info(names) if names else None

    def take(self, answer: object, scope: Scope) -> Sample:
        """Return a sample of the page, or keep the described items."""
        page = parse_page(answer, self._draw.stream)
        if self._current is None:
            known = [item for item in page.items if _is_in(item, scope)]
            self._draw.random.shuffle(known)
            self._anchors = known[:_OF_ONE_DRAW]
            return Sample()
        # an empty page: the item has left the listing, so it was too far down
        self._span = min(8 * _FIRST_SPAN_S, self._span * 1.25) if page.items else max(_LEAST_SPAN_S, self._span / 2)
        judged = [item for item in page.items if scope.judges(item)]
        chosen = of_different_minutes(judged, MOST_OF_PAGE, self._draw.random)
        # the items of a page may all be missing together: they are one draw
        cluster = self._draw.cluster(self._current.fullname)
        return Sample(judged, [(item, cluster) for item in chosen])


class Unused:
    """In the place of all sources, where none can be used."""

    name = "all"

    def __init__(self, why: str) -> None:
        self.why = why

    def next(self, _scope: Scope) -> Ask | None:
        """Return no request."""
        return None

    def take(self, _answer: object, _scope: Scope) -> Sample:
        """Return no sample."""
        return Sample()


@dataclass(slots=True)
class Rotation:
    """Takes the sources in turn; one that has no request is passed over."""

    sources: Sequence[Source]
    weights: Sequence[int]
    _turns: "itertools.cycle[Source]" = field(init=False)

    def __post_init__(self) -> None:
        pairs = zip(self.sources, self.weights, strict=True)
        self._turns = itertools.cycle([source for source, weight in pairs for _ in range(weight)])

    def next(self, scope: Scope) -> tuple[Source, Ask] | None:
        """Return the next request and its source, None if no source has one."""
        for source in itertools.islice(self._turns, sum(self.weights)):
            if (ask := source.next(scope)) is not None:
                return source, ask
        return None


def sources_of(
    stream: str, subreddits: Collection[str], index: Callable[[str], NameIndex], random: Random, post_age: float
) -> Rotation:
    """Return the sources of a stream. `index`: opens the index of names of a stream.

    An archive (`[archive]`) will be one more source here: its counts per hour, and its items.
    """
    own = Draw(index(stream), stream, random)
    names = [name for name in subreddits if not is_collective(name)]
    if not names:
        return Rotation(
            [Unused("r/all and similar listings show only a part of Reddit, so they cannot be judged")], [1]
        )
    listings = OwnListings(own, names)
    if stream == "comments":
        posts = Draw(index("submissions"), "submissions", random)
        return Rotation([Trees(posts, post_age), listings], [3, 1])
    return Rotation([Ids(own), listings], [1, 1])
