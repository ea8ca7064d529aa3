"""The simulated Reddit: when items are created, when they surface, and when they are removed.

Time is an argument of every call, randomness comes from a seeded generator: the same seed and the same calls produce
the same world.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate, count
from typing import Any

from simulator.arrivals import Arrivals
from simulator.change_log import ChangeLog
from simulator.crawl.things import State
from simulator.item import Hidden, Item, Kind
from simulator.later import Later
from simulator.listing import Listing, NameList
from simulator.settings import Settings

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_FIRST_SEQUENTIAL_ID = 36**6 * 15
_REMEMBERED_THREADS = 50
_OLD = 7 * 86400.0


class Subreddit:
    """One subreddit: its state and its two listings."""

    def __init__(self, name: str, cap: int, thread: str) -> None:
        self.name = name
        self.state = State.PUBLIC
        self.lists = {kind: NameList(cap) for kind in Kind}
        #: what a request for this subreddit alone reads: the same lists, until an item is hidden from one of them
        self.own = dict(self.lists)
        #: submissions to comment on, and comments (with their submission) to reply to
        self.threads: deque[str] = deque([thread], maxlen=_REMEMBERED_THREADS)
        self.replies: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED_THREADS)

    @property
    def open(self) -> bool:
        """Whether its listings can be read."""
        return self.state is State.PUBLIC

    def split(self, kind: Kind) -> None:
        """Keep its own listing apart from the combined ones."""
        if self.own[kind] is self.lists[kind]:
            self.own[kind] = self.lists[kind].copy()

    def lists_for(self, item: Item) -> tuple[NameList, ...]:
        """Return the lists that may show an item."""
        combined, own = self.lists[item.kind], self.own[item.kind]
        if item.hidden is None:
            return (combined,) if own is combined else (combined, own)
        return {Hidden.COMBINED: (own,), Hidden.OWN: (combined,), Hidden.ALL: ()}[item.hidden]


class World:
    """All subreddits, all items ever created, and the scheduled events."""

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._dice = {kind: random.Random(f"{settings.seed} {kind}") for kind in Kind}
        self._id_dice = random.Random(f"{settings.seed} ids")
        self._serial = count(1)
        self._sequence = count(_FIRST_SEQUENTIAL_ID)
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._tick = count()
        self.items: dict[str, Item] = {}
        #: old threads that are in no listing; they exist so that every comment replies to something
        self.ancient: dict[str, Item] = {}
        self.subreddits: dict[str, Subreddit] = {}
        #: the replies to each post and comment, in the order of creation
        self.replies: dict[str, list[Item]] = {}
        self.log = ChangeLog()
        #: called with every new item before it surfaces, and the time
        self.watchers: list[Callable[[Item, float], None]] = []
        #: the subreddits that get new items, and their cumulative weights (Zipf); None: to be determined
        self._homes: tuple[list[Subreddit], list[float]] | None = None
        self.counts: Counter[str] = Counter()
        #: seconds by which Reddit's clock is ahead of the machine's, for future items
        self.clock_offset = settings.clock_offset
        for name in settings.subreddits:
            self.subreddit(name, now)
        rates = {Kind.SUBMISSIONS: settings.submissions_per_second, Kind.COMMENTS: settings.comments_per_second}
        self._fill(rates, now)
        self.arrivals = {
            kind: Arrivals(rates[kind], now, random.Random(f"{settings.seed} {kind} arrivals")) for kind in Kind
        }

    def advance(self, now: float) -> None:
        """Process all events that are due until now, in order."""
        while True:
            kind = min(self.arrivals, key=lambda kind: self.arrivals[kind].next_at)
            arrival = self.arrivals[kind].next_at
            due = self._due[0][0] if self._due else float("inf")
            if min(arrival, due) > now:
                return
            if due <= arrival:
                moment, _, happen = heapq.heappop(self._due)
                happen(moment)
                continue
            created = self.arrivals[kind].step()
            if created is not None:
                self._arrive(kind, created)

    def subreddit(self, name: str, now: float) -> Subreddit:
        """Return the subreddit of that name; create it if necessary."""
        known = self.subreddits.get(name.lower())
        if known is None:
            thread = Item(next(self._serial), Kind.SUBMISSIONS, self._fullname(Kind.SUBMISSIONS), name, now - _OLD, 0)
            thread.surfaced_at = thread.created
            self.ancient[thread.fullname] = thread
            known = self.subreddits[name.lower()] = Subreddit(name, self._settings.cap, thread.fullname)
            self._homes = None
        return known

    def state(self, name: str) -> State | None:
        """Return the state of a subreddit; None if it does not exist here."""
        known = self.subreddits.get(name.lower())
        return known.state if known else None

    def set_state(self, name: str, state: State, now: float) -> None:
        """Close or open a subreddit; items that arrived while it was closed surface when it opens."""
        subreddit = self.subreddit(name, now)
        subreddit.state = state
        self._homes = None
        if subreddit.open:
            self._uncover(subreddit, now)

    def make(
        self,
        kind: Kind,
        now: float,
        *,
        subreddit: str | None = None,
        age: float = 0.0,
        custom: dict[str, Any] | None = None,
    ) -> Item:
        """Create one item that surfaces now, `age` seconds after its creation."""
        home = self.subreddit(subreddit, now) if subreddit else self._home(kind)
        item = self._new(kind, home, now - age, now, custom)
        self._surface(item, now)
        return item

    def remove(self, fullname: str, now: float) -> bool:
        """Remove an item from its listing; return whether it was there."""
        item = self.items.get(fullname)
        if item is None or item.removed_at is not None:
            return False
        self._remove(item, now)
        return True

    def later(self, moment: float, happen: Callable[[float], None]) -> None:
        """Schedule an event."""
        heapq.heappush(self._due, (moment, next(self._tick), happen))

    def unlist(self, item: Item, now: float) -> None:
        """Take an item out of the listings: it is removed, deleted or gone."""
        if item.removed_at is None:
            item.removed_at = now
            self.counts["removed"] += 1
            for names in self._home_of(item).lists_for(item):
                names.remove(item)
            if item.exists:
                self._count(item, -1)
        item.rendered = None

    def relist(self, item: Item, now: float) -> None:
        """Put a restored item back into the listings, at the place of its creation time."""
        item.rendered = None
        if item.removed_at is not None:
            item.removed_at = None
            self.counts["removed"] -= 1
            self._surface(item, now)

    def hide(self, item: Item, listings: Hidden, now: float) -> None:
        """Take an item out of some listings; it remains in trees and can be looked up."""
        home = self._home_of(item)
        if listings is not Hidden.ALL:
            home.split(item.kind)
        before = home.lists_for(item)
        item.hidden = listings if item.hidden in {None, listings} else Hidden.ALL
        for names in before:
            if names not in home.lists_for(item):
                names.remove(item)
        if item.exists:
            item.hidden_at = now
        self.counts["hidden"] += 1

    def listing(self, kind: Kind, subreddits: list[Subreddit]) -> Listing:
        """Return the combined listing of some subreddits, or the own listing of one."""
        if len(subreddits) == 1:
            return Listing([subreddits[0].own[kind]], self._settings.cap)
        return Listing([subreddit.lists[kind] for subreddit in subreddits], self._settings.cap)

    def find(self, fullname: str) -> Item | None:
        """Return an item that can be looked up by name; one that has not surfaced yet or has vanished cannot."""
        item = self.items.get(fullname) or self.ancient.get(fullname)
        return item if item is not None and item.exists else None

    def truth(self, kind: Kind | None = None) -> Iterator[Item]:
        """Return every item ever created, in the order of creation."""
        return (item for item in list(self.items.values()) if kind in {None, item.kind})

    # -- events ---------------------------------------------------------------------------------------------------

    def _fill(self, rates: dict[Kind, float], now: float) -> None:
        """Create the backlog: items from before the start, spaced according to the rate."""
        for kind in Kind:
            spacing = 1.0 / rates[kind] if rates[kind] > 0 else 1.0
            for ago in range(self._settings.backlog, 0, -1):
                created = now - (ago - self._dice[kind].random()) * spacing
                item = self._new(kind, self._home(kind), created, now, None)
                self._place(item, now)
        for subreddit in self.subreddits.values():
            self._uncover(subreddit, now)

    def _arrive(self, kind: Kind, created: float) -> None:
        """Create the item of an arrival, and decide whether it is late or removed."""
        dice, settings = self._dice[kind], self._settings
        late = dice.random() < settings.late_share
        delay = dice.uniform(*settings.late_seconds) if late else 0.0
        removed = dice.random() < settings.removed_share
        lifetime = dice.uniform(*settings.removed_seconds) if removed else None
        item = self._new(kind, self._home(kind), created, created, None)
        self.counts["late"] += late
        if late:
            self.later(created + delay, partial(self._surface, item))
        else:
            self._surface(item, created)
        if lifetime is not None:
            self.later(created + delay + lifetime, partial(self._remove, item))

    def _new(self, kind: Kind, home: Subreddit, created: float, now: float, custom: dict[str, Any] | None) -> Item:
        dice = self._dice[kind]
        named = (custom or {}).get("name")
        fullname = named if isinstance(named, str) and named else self._fullname(kind)
        item = Item(next(self._serial), kind, fullname, home.name, created, self.counts[kind], custom=custom)
        item.clock_offset = self.clock_offset
        if custom is not None and "name" not in custom:
            item.custom = custom | {"name": fullname}
        if kind is Kind.SUBMISSIONS:
            home.threads.append(fullname)
            item.num_comments = 0 if self._settings.count_comments else None
        else:
            item.link = item.parent = dice.choice(home.threads)
            if home.replies and dice.random() < 0.5:
                item.parent, item.link = dice.choice(home.replies)
            home.replies.append((fullname, item.link))
            self.replies.setdefault(item.parent, []).append(item)
        self.items[fullname] = item
        self.counts[kind] += 1
        for watch in self.watchers:
            watch(item, now)
        return item

    def _home_of(self, item: Item) -> Subreddit:
        return self.subreddits[item.subreddit.lower()]

    def _count(self, item: Item, change: int) -> None:
        """Count a comment of its post."""
        post = self.items.get(item.link) if self._settings.count_comments else None
        if post is not None and post.num_comments is not None:
            post.num_comments += change
            post.rendered = None

    def _home(self, kind: Kind) -> Subreddit:
        """Choose the subreddit of an item: the earlier a subreddit is named, the busier it is."""
        if self._homes is None:
            homes = [subreddit for subreddit in self.subreddits.values() if subreddit.open]
            homes = homes or list(self.subreddits.values())
            self._homes = homes, list(accumulate(1.0 / (place + 1) for place in range(len(homes))))
        homes, weights = self._homes
        return self._dice[kind].choices(homes, cum_weights=weights)[0]

    def _surface(self, item: Item, now: float) -> None:
        home = self._home_of(item)
        if item.removed_at is not None or any(item in names for names in home.lists_for(item)):
            return
        self._place(item, now)
        if item.hidden is not None:
            item.hidden_at = now
        if item.hidden is not Hidden.ALL and item.fell_off_at is None and home.open:
            self._uncovered(item, now)
        self._count(item, 1)

    def _place(self, item: Item, now: float) -> None:
        home = self._home_of(item)
        for names in home.lists_for(item):
            pushed_out = names.insert(item)
            if pushed_out is not None and not any(pushed_out in other for other in home.lists_for(pushed_out)):
                pushed_out.fell_off_at = now
                pushed_out.rendered = None
                self.counts["fell_off"] += 1

    def _uncover(self, subreddit: Subreddit, now: float) -> None:
        for names in (*subreddit.lists.values(), *subreddit.own.values()):
            for item in names:
                if item.surfaced_at is None:
                    self._uncovered(item, now)

    def _uncovered(self, item: Item, now: float) -> None:
        if item.surfaced_at is None:
            item.surfaced_at = now
            self.counts["surfaced"] += 1

    def _remove(self, item: Item, now: float) -> None:
        """Remove an item as a moderator does, where Reddit hides the author too."""
        if item.removed_at is not None:
            return
        item.later = item.later or Later()
        item.later.removed_by, item.later.author_hidden = "moderator", True
        self.unlist(item, now)
        self.log.add(now, item, "removed", category="moderator", old="public", new="removed")

    # -- names ----------------------------------------------------------------------------------------------------

    def _fullname(self, kind: Kind) -> str:
        while True:
            if self._settings.sequential_ids and kind not in self._settings.random_id_kinds:
                bare = _base36(next(self._sequence))
            else:
                bare = "".join(self._id_dice.choices(_BASE36, k=7))
            fullname = f"{kind.prefix}_{bare}"
            if fullname not in self.items and fullname not in self.ancient:
                return fullname


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits
