"""The names of the items that a stream has met, in memory: the proven ones, and those that are not proven yet."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

from core.spool import Batch, Seen
from streams.reddit.listing_page import Item

#: Names remembered per subreddit; a listing shows at most 1000, and removed ones may return.
KEEP_NAMES = 3_000
#: The same for items that come through r/all and similar listings.
KEEP_FOREIGN_NAMES = 20_000

#: Names of all subreddits held in memory, beside those that are not proven yet; the spool finds older ones.
MOST_IN_MEMORY = 250_000
#: Names moved out of memory at once, and answers of the spool that are remembered.
_MOVED_AT_ONCE = 10_000
_MOST_ANSWERS = 5_000

#: The bucket of items from subreddits that are not configured: they come through a collective listing.
FOREIGN = "*"

#: Creates a named tuple without calling its own __new__: a page needs a hundred.
_new = tuple.__new__


class SeenNames:
    """The names that the spool remembers. A name is met first; it is proven once everything below it was seen.

    The spool stores a change first; then `remember` and `prove` make the same change here.

    Args:
        stored: the spool's names, oldest first: name → (epoch, bucket); epoch 0: met and not proven.
        configured: the configured subreddits in lower case.
        old: the number of older names in the spool per bucket.
        find: returns the epoch and bucket of those of some names that are older ones in the spool.
    """

    def __init__(
        self,
        stored: Mapping[str, tuple[int, str]],
        configured: frozenset[str],
        *,
        old: Mapping[str, int] | None = None,
        find: Callable[[Sequence[str]], Mapping[str, tuple[int, str]]] = lambda _names: {},
    ) -> None:
        self._configured = configured
        self._old = Counter(old or {})
        self._find = find
        #: answers of the spool; None: it does not have the name
        self._answers: dict[str, tuple[int, str] | None] = {}
        #: proven names, oldest first, each with its epoch and bucket
        self._proven = {name: mark for name, mark in stored.items() if mark[0] > 0}
        #: names met and not proven, each with its bucket and the serial of its page
        self._met = {name: (bucket, 0) for name, (epoch, bucket) in stored.items() if epoch == 0}
        #: the number of remembered names per bucket
        self._counts = Counter(bucket for _, bucket in stored.values())
        #: buckets that may have more names than their listing could show again
        self._full = set(self._counts)

    @property
    def all_proven(self) -> bool:
        """Whether no name is met and not proven."""
        return not self._met

    def known(self, name: str) -> bool:
        """Return whether the item was captured before, proven or not."""
        return name in self._proven or name in self._met or self._old_mark(name) is not None

    def proven(self, name: str) -> bool:
        """Return whether the item is proven: everything below it in its listing was seen."""
        if name in self._proven:
            return True
        mark = self._old_mark(name) if self._old and name not in self._met else None
        return mark is not None and mark[0] > 0

    def proven_before(self, name: str, epoch: int) -> bool:
        """Return whether the item was proven in a stretch of coverage before `epoch`."""
        mark = self._proven.get(name) or self._old_mark(name)
        return mark is not None and 0 < mark[0] < epoch

    def _old_mark(self, name: str) -> tuple[int, str] | None:
        if not self._old:
            return None
        if name not in self._answers:
            self._ask([name])
        return self._answers[name]

    def _ask(self, names: Sequence[str]) -> None:
        """Ask the spool for names that are not in memory."""
        if len(self._answers) > _MOST_ANSWERS:
            self._answers.clear()
        self._answers |= dict.fromkeys(names)
        self._answers |= self._find(names)

    def met_since(self, serial: int, subreddits: Iterable[str]) -> list[str]:
        """Return the names of these subreddits' items that were met after the page with this serial."""
        buckets = {name.lower() for name in subreddits} | {FOREIGN}
        return [name for name, (bucket, at) in self._met.items() if at > serial and bucket in buckets]

    def fresh(self, items: Sequence[Item]) -> list[Item]:
        """Return the items that were not met before, oldest first, each once."""
        proven, met = self._proven, self._met
        fresh = [item for item in reversed(items) if item.name not in proven and item.name not in met]
        if self._old and fresh:
            self._ask([item.name for item in fresh if item.name not in self._answers])
            fresh = [item for item in fresh if self._old_mark(item.name) is None]
        return list({item.name: item for item in fresh}.values())

    def sightings(self, items: list[Item], epoch: int, proven_until: float, change: Batch, now: float) -> list[Seen]:
        """Return each item's name with its epoch; items that the proof in `change` covers get its epoch at once."""
        covered = frozenset(() if change.prove_epoch is None else change.prove_buckets or ())
        sightings = []
        buckets: dict[str, str] = {}
        for item in items:
            bucket = buckets.get(item.subreddit) or self._bucket(item.subreddit, buckets)
            proven = epoch if epoch and _is_before(item, proven_until) else 0
            if not proven and bucket in covered and item.name not in change.prove_except:
                proven = change.prove_epoch or 0
            # names are forgotten in the order they were met: dates may be invalid
            sightings.append(_new(Seen, (item.name, bucket, now, proven)))
        return sightings

    def _bucket(self, subreddit: str, known: dict[str, str]) -> str:
        name = subreddit.lower()
        known[subreddit] = name if name in self._configured else FOREIGN
        return known[subreddit]

    def remember(self, seen: list[Seen], serial: int) -> None:
        """Add the names of a page that is durable; `serial`: the number of that page."""
        proven, met = self._proven, self._met
        marks: dict[str, tuple[int, str]] = {}
        for name, bucket, _, epoch in seen:
            if epoch > 0:
                mark = marks.get(bucket)
                if mark is None or mark[0] != epoch:
                    mark = marks[bucket] = (epoch, bucket)  # shared by many names
                proven[name] = mark
            else:
                met[name] = (bucket, serial)
        buckets = [one[1] for one in seen]
        self._counts.update(buckets)
        self._full.update([bucket for bucket in set(buckets) if self._counts[bucket] > _names_kept(bucket)])

    def prove(self, epoch: int, change: Batch) -> None:
        """Mark the names that the proof in `change` covers as proven."""
        buckets, left = frozenset(change.prove_buckets or ()), frozenset(change.prove_except)
        proven = [(name, bucket) for name, (bucket, _) in self._met.items() if bucket in buckets and name not in left]
        marks = {bucket: (epoch, bucket) for bucket in {bucket for _, bucket in proven}}  # shared by many names
        for name, bucket in proven:
            del self._met[name]
            self._proven[name] = marks[bucket]

    def oldest(self) -> list[str]:
        """Return the oldest proven names of each bucket that holds more than its listing could show again."""
        surplus = {bucket: self._counts[bucket] - _names_kept(bucket) for bucket in self._full}
        surplus = {bucket: count for bucket, count in surplus.items() if count > 0}
        self._full = set(surplus)
        oldest = []
        for name, (_, bucket) in self._proven.items() if surplus else ():
            if surplus.get(bucket, 0) > 0:
                oldest.append(name)
                surplus[bucket] -= 1
        return oldest

    def surplus_in_memory(self, forgotten: Collection[str] = ()) -> list[str]:
        """Return the oldest proven names that leave the memory; `forgotten` are about to be removed."""
        surplus = min(_MOVED_AT_ONCE, len(self._proven) - len(forgotten) - MOST_IN_MEMORY)
        if surplus <= 0:
            return []
        gone = frozenset(forgotten)
        return list(islice((name for name in self._proven if name not in gone), surplus))

    def surplus_old(self) -> dict[str, int]:
        """Return how many older names of each bucket its listing cannot show again."""
        counts = self._counts
        surplus = {
            bucket: min(count, counts[bucket] + count - _names_kept(bucket)) for bucket, count in self._old.items()
        }
        return {bucket: count for bucket, count in surplus.items() if count > 0}

    def forget(self, names: Iterable[str]) -> None:
        """Remove these proven names."""
        for name in names:
            _, bucket = self._proven.pop(name)
            self._counts[bucket] -= 1
            self._answers.pop(name, None)

    def moved(self, names: Collection[str], forgotten: Mapping[str, int]) -> None:
        """Record that these names are older ones of the spool now, and how many others it has forgotten per bucket."""
        self._old.update([self._proven[name][1] for name in names])
        self.forget(names)
        self._old.subtract(forgotten)
        if forgotten:
            self._answers.clear()


def _names_kept(bucket: str) -> int:
    return KEEP_FOREIGN_NAMES if bucket == FOREIGN else KEEP_NAMES


def _is_before(item: Item, moment: float) -> bool:
    # dates are whole seconds: the newest proven second may have got more items after the walk
    return moment == float("inf") or (item.created is not None and item.created < moment)
