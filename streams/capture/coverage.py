"""The state of proof of a stream: up to when each subreddit is proven, and its gaps.

It is in memory and in the spool; the memory changes only after the spool has committed the change.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.spool import Batch, Gap, GapState, SpoolWriter
from core.spool.pruning import KEEP_REJECTS
from core.spool.stream_state import EVERY_SUBREDDIT, StateChange
from streams.capture.group_packing import lower_names
from streams.capture.late_loss import LateLoss
from streams.capture.seen_names import FOREIGN, SeenNames
from streams.record import make_records
from streams.reddit.listing_page import Item, Page, Reject

#: Seconds by which an item must be older than the newest proven one to prove that a walk has passed it.
MARGIN = 60.0

#: Late items appear minutes after their creation: at the start of a gap, they may be missing for this long before it,
#: seconds.
LATE_MARGIN = 300.0

#: A walk proves the time up to its first request less this: Reddit's `Date` and created_utc are whole seconds.
CLOCK_GRAIN = 2.0

#: Possible losses of late items within this time of each other share an entry of the ledger, seconds.
_SAME_BURST = 300.0
_LATE = "items passed through the listing faster than it was scanned for late ones"


@dataclass(slots=True)
class Absorbed:
    """The result of a page: its new items, oldest first, how many of them go to Kafka, and the spool's last seq."""

    items: list[Item]
    delivered: int
    last_seq: int

    @property
    def new(self) -> int:
        """The number of new items."""
        return len(self.items)

    @property
    def subreddits(self) -> dict[str, int]:
        """The number of new items of each subreddit."""
        return Counter([item.subreddit for item in self.items])


class Coverage:
    """The stream's state of proof. `absorb` makes a page durable; `proof` and the gap methods advance what is proven.

    Args:
        writer: the stream's spool.
        stream: its name.
        subreddits: the configured ones.
        clock: this machine's clock, epoch seconds.
        offset: Reddit's clock minus this machine's, seconds (see core.reddit.server_clock).
        bounds: the least and the greatest offset of the last minutes; a proof uses the one that claims less.
        shared: all subreddits, where other machines capture the rest of them: those stay in the state, and what an
            earlier owner did not want is not delivered (`baseline`, `joining`).
        full: whether the records have `reddit`, the object that Reddit served.
        captured: called after each commit with the keys of its records and the spool's last seq.
    """

    def __init__(
        self,
        writer: SpoolWriter,
        stream: str,
        subreddits: Iterable[str],
        *,
        clock: Callable[[], float] = time.time,
        offset: Callable[[], float] = lambda: 0.0,
        bounds: Callable[[], tuple[float, float]] | None = None,
        shared: Iterable[str] = (),
        full: bool = False,
        captured: Callable[[Sequence[bytes], int], None] = lambda _keys, _seq: None,
    ) -> None:
        self._writer = writer
        self._full = full
        self._captured = captured
        self.stream = stream
        self._clock = clock
        self._offset = offset
        self._bounds = bounds or (lambda: (offset(), offset()))
        #: the configured subreddits in lower case
        self.configured = frozenset(name.lower() for name in subreddits)
        #: the spool's stored state, as of the last commit
        self.state = writer.load_state()
        #: when a walk was last recorded as complete, epoch seconds; quiet walks are recorded only occasionally
        self.polled_at = 0.0
        #: the names of the items that were met, proven or not
        self.names = SeenNames(writer.load_seen(), self.configured, old=writer.count_old(), find=writer.find_old)
        #: the number of pages made durable
        self.serial = 0
        #: when the very first walk began, epoch seconds; None before there was one
        self.begun = self.state.begun
        #: created_utc after which items are delivered if only new ones are wanted; None before the first page
        self.baseline = self.state.baseline
        #: created_utc of each subreddit's newest proven item
        self.proven_at = self._of_configured(self.state.proven_at)
        #: created_utc by Reddit's clock up to which each listed item of a subreddit was captured or is in a gap
        self.proven_until = self._of_configured(self.state.proven_until)
        #: subreddits whose listing was empty at the last complete walk
        self.held_nothing = self._names_that_held_nothing()
        self.epoch = self.state.epoch
        #: subreddits in the spool that are not configured: the next proof removes them
        self._unconfigured = (self.state.proven_at.keys() | self.state.proven_until.keys()) - self.configured
        self._shared = frozenset(name.lower() for name in shared)
        self._unconfigured -= self._shared
        #: entries that are not items stay in the listing and are met at each poll: the newest ones, oldest first
        self._rejected: dict[bytes, None] = {}
        self.gaps = {gap.id: gap for gap in writer.load_gaps()}
        #: the last written ledger entry of late items
        self._late: Gap | None = None
        self.epoch = max([self.epoch, *(gap.epoch for gap in self.gaps.values())])

    @property
    def is_shared(self) -> bool:
        """Whether other machines may capture these subreddits later."""
        return bool(self._shared)

    def _of_configured(self, moments: Mapping[str, float]) -> dict[str, float]:
        return {name: at for name, at in moments.items() if name in self.configured}

    def _names_that_held_nothing(self) -> set[str]:
        held = self.state.held_nothing
        return set(self.configured) if EVERY_SUBREDDIT in held else set(held)

    def latest_proven(self, subreddit: str, epoch: int, count: int) -> list[str]:
        """Return names of the subreddit's items that were proven before `epoch`, the last met first."""
        return self._writer.load_proven(subreddit.lower(), epoch, count)

    def moment(self, subreddits: Iterable[str]) -> float | None:
        """Return the created_utc of the newest item up to which all of these are proven, None if one never was."""
        moments = set(map(self.proven_at.get, lower_names(subreddits)))
        known = [moment for moment in moments if moment is not None]
        return min(known) if moments and len(known) == len(moments) else None

    def common_moment(self, subreddits: Iterable[str]) -> float:
        """Return the created_utc up to which all of these that were ever proven are proven; infinity if none was."""
        moments = set(map(self.proven_at.get, lower_names(subreddits)))
        return min((moment for moment in moments if moment is not None), default=float("inf"))

    def horizon(self, subreddits: Iterable[str]) -> float:
        """Return the created_utc below which no item can be new."""
        moment = self.moment(subreddits)
        return float("-inf") if moment is None else moment - MARGIN

    def ceiling(self, subreddits: Iterable[str]) -> float:
        """Return the created_utc from which a proven item proves nothing about all of these together.

        Infinity if the same walk proved them all. Otherwise (subreddits joined or came back) a name that one of them
        has proven may be above items of another that are not met yet.
        """
        oldest, newest = self.proven_range(subreddits)
        return float("inf") if oldest == newest else oldest

    def proven_range(self, subreddits: Iterable[str]) -> tuple[float, float]:
        """Return the least and the greatest moment up to which these are proven; -infinity: one never was."""
        moments = set(map(self.proven_until.get, lower_names(subreddits)))
        known = [float("-inf") if moment is None else moment for moment in moments]
        return (min(known), max(known)) if known else (float("-inf"), float("-inf"))

    def held_nothing_of(self, subreddits: Iterable[str]) -> bool:
        """Return whether the listing of each of these was empty at the last complete walk."""
        return self.held_nothing.issuperset(lower_names(subreddits))

    def absorb(
        self,
        page: Page,
        *,
        epoch: int = 0,
        proven_until: float = float("inf"),
        deliver_after: float = float("-inf"),
        change: Batch | None = None,
        counter: str = "",
    ) -> Absorbed:
        """Write a page's new items (oldest first) and `change` in one transaction.

        Names get `epoch` (0: unproven) if created before `proven_until`, else 0. Only what was created after
        `deliver_after` becomes a record; `inf` only remembers the names. `counter` is incremented beside `captured`.
        Raises SpoolError; then nothing has changed, neither in memory nor in the spool.
        """
        now = self._clock()
        fresh = self.names.fresh(page.items)
        batch = change or Batch()
        batch.seen += self.names.sightings(fresh, epoch, proven_until, batch, now)
        wanted = fresh
        if deliver_after != float("-inf"):
            wanted = [item for item in fresh if item.created is not None and item.created > deliver_after]
        if self._shared and self.baseline is not None:
            wanted = self._wanted_by_all(wanted)
        batch.records += make_records(wanted, self.stream, now, full=self._full)
        rejects = self._fresh_rejects(page)
        batch.rejects += rejects.values()
        for name, amount in (
            ("captured", len(batch.records)),
            (counter, len(fresh) if counter else 0),
            ("rejected", len(rejects)),
        ):
            if amount:
                batch.counters[name] = batch.counters.get(name, 0) + amount
        last_seq = self._commit(batch)
        self._rejected |= dict.fromkeys(rejects)
        while len(self._rejected) > KEEP_REJECTS:
            del self._rejected[next(iter(self._rejected))]
        return Absorbed(fresh, len(batch.records), last_seq)

    def _wanted_by_all(self, items: list[Item]) -> list[Item]:
        """Return the items without those from before the first start: an earlier owner remembered those names only."""
        first = self.baseline or 0.0
        since = {name.lower(): max(first, moment) for name, moment in self.state.joining.items()}
        return [one for one in items if one.created is None or one.created > since.get(one.subreddit.lower(), first)]

    def _fresh_rejects(self, page: Page) -> dict[bytes, Reject]:
        digests = {_digest(reject.raw): reject for reject in page.rejects}
        return {digest: reject for digest, reject in digests.items() if digest not in self._rejected}

    def absorb_late(self, page: Page, subreddits: Iterable[str], losses: Sequence[LateLoss] = ()) -> Absorbed:
        """Write the items of a late scan; only items older than the proven moment may count as proven.

        `losses` extend the ledger's last entry of late items, or begin a new one if the last burst is over.
        """
        moment = self.moment(subreddits)
        until = float("-inf") if moment is None else moment
        change = Batch(gaps=[self._late_gap(losses)]) if losses else None
        absorbed = self.absorb(page, epoch=self.epoch, proven_until=until, change=change, counter="late")
        if change is not None:
            (self._late,) = change.gaps
        return absorbed

    def _late_gap(self, losses: Sequence[LateLoss]) -> Gap:
        """Return a ledger entry of zero length: its time is proven, except for late items."""
        now, last = self._clock(), self._late
        names = tuple(loss.subreddit for loss in losses)
        late_from, until = min(loss.late_from for loss in losses), max(loss.until for loss in losses)
        gap_id = None
        if last is not None and last.late_from is not None and last.end is not None and last.end > until - _SAME_BURST:
            gap_id, late_from, until = last.id, min(late_from, last.late_from), max(until, last.end)
            names = tuple(dict.fromkeys([*last.subreddits, *names]))
        return Gap(
            stream=self.stream,
            subreddits=names,
            start=until,
            end=until,
            reason=_LATE,
            recorded_at=now if gap_id is None or last is None else last.recorded_at,
            epoch=self.epoch,
            unproven=names,
            state=GapState.LOST,
            closed_at=now,
            late_from=late_from,
            id=gap_id,
        )

    def _commit(self, batch: Batch) -> int:
        if batch.prove_epoch is not None and self.names.all_proven and 0 not in [seen[3] for seen in batch.seen]:
            batch.prove_epoch = None  # there is nothing that it could prove
        if not (batch.records or batch.seen or batch.rejects or batch.cursor or batch.gaps) and (
            batch.prove_epoch is None
        ):
            return 0
        last_seq = self._writer.commit(batch)
        if batch.records:
            self._captured([record[0] for record in batch.records], last_seq)
        self.serial += 1
        self.names.remember(batch.seen, self.serial)
        if batch.prove_epoch is not None:
            self.names.prove(batch.prove_epoch, batch)
        if batch.cursor:
            self._update_state(batch)
        for gap in batch.gaps:
            self.gaps[gap.id] = gap
        return last_seq

    def _update_state(self, batch: Batch) -> None:
        """Update the state in memory with the written change, at the cost of the change alone."""
        state = self.state
        state.apply(batch.cursor)
        for moments, kept in ((self.proven_at, state.proven_at), (self.proven_until, state.proven_until)):
            key = "proven_at" if kept is state.proven_at else "proven_until"
            changed = batch.cursor.get(key)
            if isinstance(changed, Mapping) and changed.keys() <= self.configured and None not in changed.values():
                moments.update(changed)
                continue
            for name in changed if isinstance(changed, Mapping) else ():
                if name in self.configured and name in kept:
                    moments[name] = kept[name]
        if "held_nothing" in batch.cursor:
            self.held_nothing = self._names_that_held_nothing()
        if self._unconfigured and "proven_at" in batch.cursor:
            self._unconfigured = set()
        self.begun, self.baseline = state.begun, state.baseline
        if "polled_at" in batch.cursor and state.polled_at is not None:
            self.polled_at = state.polled_at

    def newest_valid(self, items: Iterable[Item], so_far: float | None = None) -> float | None:
        """Return the newest created_utc of these (and `so_far`) that is not in the future."""
        now = self.reddit_now()
        dates = [item.created for item in items if item.created is not None and item.created <= now]
        return max(dates if so_far is None else [*dates, so_far], default=None)

    def proof(
        self, subreddits: Iterable[str], newest: float | None, began: float | None = None, *, items: int | None = None
    ) -> Batch:
        """Return the change by which a complete walk proves these subreddits.

        Args:
            newest: created_utc of the newest item it met, None if it met none with a valid date.
            began: when its newest page was requested, by this machine's clock.
            items: the number of items it met; None: some, unless `newest` is None.
        """
        fallback = self.reddit_now() - MARGIN
        reached = fallback if began is None else self.reached(began)
        latest = self._clock() + self._bounds()[1]
        met_items = newest is not None if items is None else items > 0
        names = lower_names(subreddits)

        def moment(before: float | None) -> float:
            return max([one for one in (before, newest) if one is not None], default=fallback)

        def proven(before: float | None) -> float:
            # a moment in the future: the clock was ahead
            return reached if before is None or before > latest else max(reached, before)

        moments = _changed(names, self.proven_at, moment)
        until = _changed(names, self.proven_until, proven)
        gone = dict.fromkeys(self._unconfigured)
        # this machine's clock was ahead at the first start
        begun = self._clock() if self.begun is not None and self.begun > self._clock() else None
        change = StateChange(
            begun=begun,
            epoch=self.epoch,
            polled_at=self._clock(),
            clock_offset=self._offset(),
            proven_at=moments | gone,
            proven_until=until | gone,
            held_nothing=self._held_nothing_now(names, held=not met_items) | gone or None,
        )
        return Batch(
            # an empty answer proves no item, in particular none that an abandoned walk has met
            prove_epoch=self.epoch if met_items else None,
            prove_buckets=(*names, FOREIGN),
            cursor=change.entries(),
        )

    def _held_nothing_now(self, names: Iterable[str], *, held: bool) -> dict[str, bool | None]:
        """Return the change after a walk of the listing of these, which `held` nothing or not."""
        changed: dict[str, bool | None] = {}
        if held or not self.held_nothing.isdisjoint(names):
            changed = {name: held for name in names if (name in self.held_nothing) is not held}
        if EVERY_SUBREDDIT in self.state.held_nothing:  # version 0.1: from now on one entry per subreddit
            changed = {**dict.fromkeys(self.held_nothing, True), **changed, EVERY_SUBREDDIT: None}
        return changed

    def new_gaps(self, subreddits: Iterable[str], end: float | None, reason: str, *, repairable: bool) -> list[Gap]:
        """Return the gaps from the proven moment of each of these to `end`, and start a new stretch of coverage.

        Subreddits proven up to the same moment share one gap. `end` None: the gap still grows.
        """
        self.epoch += 1
        together: dict[float | None, list[str]] = {}
        for name in subreddits:
            together.setdefault(self.proven_until.get(name.lower()), []).append(name)
        return [
            self._new_gap(tuple(names), start, end, reason, repairable=repairable) for start, names in together.items()
        ]

    def _new_gap(
        self, names: tuple[str, ...], start: float | None, end: float | None, reason: str, *, repairable: bool
    ) -> Gap:
        lost = end is not None and not repairable
        return Gap(
            stream=self.stream,
            subreddits=names,
            start=start,
            # proven time needs no gap: with invalid dates, the listing's foot may be older
            end=end if start is None or end is None else max(start, end),
            reason=reason,
            recorded_at=self._clock(),
            epoch=self.epoch,
            pending=names if repairable else (),
            unproven=names,
            state=GapState.LOST if lost else GapState.OPEN,
            closed_at=self._clock() if lost else None,
            late_from=None if start is None else start - LATE_MARGIN,
        )

    def open_absence(self, name: str) -> Gap | None:
        """Return the gap that still grows because this subreddit is unavailable."""
        return next((gap for gap in self.gaps.values() if gap.end is None and name in gap.unproven), None)

    def reached(self, requested_at: float) -> float:
        """Return the latest created_utc that a request proves; `requested_at`: by this machine's clock."""
        return requested_at + self._bounds()[0] - CLOCK_GRAIN

    def begun_at(self) -> float | None:
        """Return when the very first walk began, by Reddit's clock; None before there was one."""
        return None if self.begun is None else self.begun + self._offset()

    def now(self) -> float:
        """Return this machine's clock, epoch seconds."""
        return self._clock()

    def reddit_now(self) -> float:
        """Return Reddit's clock, epoch seconds."""
        return self._clock() + self._offset()

    def count_seen(self, seconds: float) -> list[tuple[str, int, int]]:
        """Return how many names were met in the last seconds: subreddit, whole minutes ago, number."""
        now = self._clock()
        return self._writer.count_seen(now - seconds, now)

    def pending_gaps(self) -> list[Gap]:
        """Return the gaps that can still be repaired, newest first: their items leave the listings soonest."""
        return sorted((gap for gap in self.gaps.values() if gap.pending), key=lambda gap: -gap.epoch)

    def apply(self, change: Batch) -> int:
        """Write a change that is not from a page; return the spool's last seq."""
        return self._commit(change)

    def store(self, change: StateChange) -> None:
        """Write a change of the state without items."""
        self._commit(Batch(cursor=change.entries()))

    def check(self) -> None:
        """Check that the spool file is still in its place. Raises SpoolBroken if the process must restart."""
        self._writer.check()

    def prune(self) -> None:
        """Delete the oldest names, move older ones out of memory, and drop acknowledged records."""
        names = self.names
        oldest, forget_old = names.oldest(), names.surplus_old()
        old = names.surplus_in_memory(oldest)
        self._writer.prune(oldest, old=old, forget_old=forget_old)
        names.forget(oldest)
        names.moved(old, forget_old)


def _changed(
    names: tuple[str, ...], moments: Mapping[str, float], change: Callable[[float | None], float]
) -> dict[str, float | None]:
    """Return the changed moment of each name; a group's names usually have the same one."""
    before = set(map(moments.get, names))
    if len(before) == 1:
        return dict.fromkeys(names, change(before.pop()))
    return {name: change(moments.get(name)) for name in names}


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()
