"""The names of the items that a stream has met, in memory: the proven ones, and those that are not proven yet."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.spool import Batch, Seen
from streams.reddit.listing_page import Item

#: Names remembered per subreddit; a listing shows at most 1000, and removed ones may return.
KEEP_NAMES = 3_000
#: The same for items that come through r/all and similar listings.
KEEP_FOREIGN_NAMES = 20_000

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
    """

    def __init__(self, stored: Mapping[str, tuple[int, str]], configured: frozenset[str]) -> None:
        self._configured = configured
        #: proven names, oldest first, each with its epoch and bucket
        self._proven = {name: mark for name, mark in stored.items() if mark[0] > 0}
        #: names met and not proven, each with its bucket and the serial of its page
        self._met = {name: (bucket, 0) for name, (epoch, bucket) in stored.items() if epoch == 0}
        #: the number of remembered names per bucket
        self._counts = Counter(bucket for _, bucket in stored.values())

    @property
    def all_proven(self) -> bool:
        """Whether no name is met and not proven."""
        return not self._met

    def known(self, name: str) -> bool:
        """Return whether the item was captured before, proven or not."""
        return name in self._proven or name in self._met

    def proven(self, name: str) -> bool:
        """Return whether the item is proven: everything below it in its listing was seen."""
        return name in self._proven

    def proven_before(self, name: str, epoch: int) -> bool:
        """Return whether the item was proven in a stretch of coverage before `epoch`."""
        mark = self._proven.get(name)
        return mark is not None and mark[0] < epoch

    def met_since(self, serial: int, subreddits: Iterable[str]) -> list[str]:
        """Return the names of these subreddits' items that were met after the page with this serial."""
        buckets = {name.lower() for name in subreddits} | {FOREIGN}
        return [name for name, (bucket, at) in self._met.items() if at > serial and bucket in buckets]

    def fresh(self, items: Sequence[Item]) -> list[Item]:
        """Return the items that were not met before, oldest first, each once."""
        proven, met = self._proven, self._met
        fresh = [item for item in reversed(items) if item.name not in proven and item.name not in met]
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
        self._counts.update([one[1] for one in seen])

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
        surplus = {bucket: count - _names_kept(bucket) for bucket, count in self._counts.items()}
        surplus = {bucket: count for bucket, count in surplus.items() if count > 0}
        oldest = []
        for name, (_, bucket) in self._proven.items() if surplus else ():
            if surplus.get(bucket, 0) > 0:
                oldest.append(name)
                surplus[bucket] -= 1
        return oldest

    def forget(self, names: Iterable[str]) -> None:
        """Remove these proven names."""
        for name in names:
            _, bucket = self._proven.pop(name)
            self._counts[bucket] -= 1


def _names_kept(bucket: str) -> int:
    return KEEP_FOREIGN_NAMES if bucket == FOREIGN else KEEP_NAMES


def _is_before(item: Item, moment: float) -> bool:
    # dates are whole seconds: the newest proven second may have got more items after the walk
    return moment == float("inf") or (item.created is not None and item.created < moment)
