"""Scans for late items: repeated quick walks below the newest page. Pure."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from core.backoff import Backoff
from streams.capture.late_loss import Scanned
from streams.capture.walk import Walk, WalkOutcome, page_foot
from streams.reddit.listing_page import PAGE_SIZE, Page

#: Longest and shortest time between two scans, seconds: late items are found within a minute, including retries.
LONGEST_PERIOD_S = 40.0
SHORTEST_PERIOD_S = 5.0

#: In a busy listing an item sinks from top to foot in seconds: number of scans in that time.
_SCANS_IN_PASSING = 2.0

#: If items sink through the combined listing faster than this (seconds), late ones appear beyond its foot.
_BUSY_S = 30.0

#: Names a listing holds, until one that no longer grows shows otherwise (facts: Reddit's holds 1000).
_CAPACITY = 1000
_GROWTH = 1.02

#: After a burst: how long, and how often, each subreddit's own listing is scanned, seconds.
_OWN_SCANS_FOR_S = 60.0
_OWN_SCANS_EVERY_S = 20.0
_FIRST_OWN_SCAN_S = 5.0
#: Most own listings of a stream scanned in one round: each costs a request, and most of the others are quiet.
MOST_OWN_SCANS = 25

#: While many groups share the quota, a scan reads back this far, seconds; each group's whole listing is scanned this
#: often, seconds.
_SHALLOW_S = 90.0
_WHOLE_EVERY_S = 900.0

#: Pauses after a failed page of a scan, seconds: late items sink meanwhile.
_RETRY = Backoff(first=0.3, longest=2.5, jitter=0.0)

#: Time from the first poll to the first scan, seconds.
_FIRST_SCAN_S = 5.0

_NEVER = float("inf")


@dataclass(slots=True)
class _Scan:
    """One walk for late items: through the combined listing, or through a single subreddit's own."""

    subreddits: tuple[str, ...]
    walk: Walk
    began: float
    #: the same by Reddit's clock
    began_at: float

    def scanned(self) -> Scanned | None:
        """Return the result of the completed walk, None if it shows nothing."""
        if self.walk.outcome is WalkOutcome.MET and self.walk.foot:
            return Scanned(self.subreddits, self.began_at, max(self.walk.foot), own=False, whole=False)
        if self.walk.outcome is not WalkOutcome.ENDED:
            return None
        foot = None if self.walk.whole and not self.walk.below else max(self.walk.foot, default=None)
        return Scanned(self.subreddits, self.began_at, foot, own=len(self.subreddits) == 1)


@dataclass(slots=True)
class LateScan:
    """Decides when the next page of a scan for late items is due, and which one. The caller fetches it.

    A scan fetches its pages without pauses: items sink while newer ones arrive, and a slow walk down a busy listing
    would sink together with items that it has met. While many groups share the quota (`is_shallow`), most scans read
    back only as far as late items are usual, and none is made where the newest page shows that much.
    """

    clock: Callable[[], float]
    #: whether the stream ran before: after a kill, a burst is not recorded
    resumed: bool = False
    #: most own listings scanned in one round
    most_own: int = MOST_OWN_SCANS
    is_shallow: Callable[[], bool] = lambda: False
    due: float = _NEVER
    #: the last names of the newest page that a poll saw, best anchor first; empty: there is nothing below it
    _anchors: tuple[str, ...] = ()
    _scan: _Scan | None = None
    _next_scan: float = _NEVER
    _own_queue: list[str] = field(default_factory=list)
    _next_own: float = _NEVER
    _busy_until: float = 0.0
    #: created_utc above which the newest page shows all items
    _top_foot: float | None = None
    #: when the last scan of the whole listing began
    _whole_at: float = field(init=False)
    _held: int = 0
    _capacity: int = _CAPACITY
    _failures: int = 0
    #: items per subreddit on the newest page of the last poll
    _shares: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._whole_at = self.clock()

    def polled(self, top: Page, rate: float) -> None:
        """Record a poll's newest page and the stream's rate, items per second."""
        more = top.after is not None or len(top.items) >= PAGE_SIZE
        self._anchors = tuple(item.name for item in reversed(top.items))[:5] if more else ()
        self._shares = Counter(item.subreddit.lower() for item in top.items)
        self._top_foot = page_foot(top)
        now = self.clock()
        if self._anchors and self._next_scan == _NEVER:
            self._next_scan = now + _FIRST_SCAN_S
            if self.resumed:
                self._next_own, self._busy_until = now + _FIRST_OWN_SCAN_S, now + _OWN_SCANS_FOR_S
        if self._note_busy(rate):
            self._next_scan = min(self._next_scan, now + self._period(rate))
        self._schedule()

    @property
    def in_progress(self) -> bool:
        """Whether a scan has begun."""
        return self._scan is not None

    @property
    def is_needed(self) -> bool:
        """Whether there are items below the newest page."""
        return bool(self._anchors)

    def _passing(self, rate: float) -> float:
        """Return the seconds that an item takes to sink from the top of a full listing to its foot."""
        return self._capacity / rate if rate > 0 else _NEVER

    def _period(self, rate: float) -> float:
        return min(LONGEST_PERIOD_S, max(SHORTEST_PERIOD_S, self._passing(rate) / _SCANS_IN_PASSING))

    def _note_busy(self, rate: float) -> bool:
        if self._passing(rate) >= _BUSY_S:
            return False
        now = self.clock()
        if now >= self._busy_until:
            self._next_own = now + _FIRST_OWN_SCAN_S
        self._busy_until = now + _OWN_SCANS_FOR_S
        return True

    def next_page(
        self, subreddits: tuple[str, ...], moment: float, reach: float = _NEVER
    ) -> tuple[tuple[str, ...], str | None] | None:
        """Return the subreddits whose listing to fetch now, and the anchor.

        `subreddits` are those requested together, `moment` is now by Reddit's clock, `reach` the created_utc down to
        which a scan must read so that nothing is left open.
        """
        if self._scan is None:
            self._begin(subreddits, moment, reach)
        if self._scan is None:
            self._schedule()
            return None
        return self._scan.subreddits, self._scan.walk.next_after()

    def _begin(self, subreddits: tuple[str, ...], moment: float, reach: float) -> None:
        now = self.clock()
        if now >= self._next_own:
            # a single subreddit's own listing is the combined one: there is nothing beyond its foot
            if len(subreddits) > 1 and not self._own_queue:
                # the busiest first: their listings lose the oldest names soonest
                self._own_queue = sorted(subreddits, key=lambda name: -self._shares[name.lower()])[: self.most_own]
            self._next_own = now + _OWN_SCANS_EVERY_S if now + _OWN_SCANS_EVERY_S < self._busy_until else _NEVER
        if now >= self._next_scan:
            self._begin_combined(subreddits, moment, reach)
        elif self._own_queue:
            self._scan = _Scan((self._own_queue.pop(0),), Walk(proven=_nothing), now, moment)

    def _begin_combined(self, subreddits: tuple[str, ...], moment: float, reach: float) -> None:
        """Begin a scan of the listing of all subreddits, if there is something below the newest page to look for."""
        now, horizon = self.clock(), -_NEVER
        if not self._anchors:
            self._next_scan = _NEVER
            return
        if not self.is_shallow() or now - self._whole_at >= _WHOLE_EVERY_S:
            self._whole_at = now
        else:
            horizon = min(moment - _SHALLOW_S, reach)
            if self._top_foot is not None and self._top_foot < horizon:
                self._next_scan = now + LONGEST_PERIOD_S
                return
        self._scan = _Scan(subreddits, Walk(proven=_nothing, horizon=horizon, below=self._anchors), now, moment)

    def take(self, page: Page, rate: float) -> Scanned | None:
        """Process a page; return the scan that it completes. `rate` is the stream's, items per second."""
        self._failures = 0
        scan, scanned = self._scan, None
        if scan is not None:
            scan.walk.take(page)
            if scan.walk.outcome is not None:
                self._finish(scan, rate)
                scanned = scan.scanned()
        self._schedule(stepped=True)
        return scanned

    def _finish(self, scan: _Scan, rate: float) -> None:
        self._scan = None
        if len(scan.subreddits) == 1 and scan.walk.below == ():
            return
        if scan.walk.outcome is WalkOutcome.STALE:
            return  # all anchors have left the listing: restart at once, below a newer page
        if scan.walk.outcome is WalkOutcome.MET:
            self._next_scan = scan.began + self._period(rate)
            return
        held = scan.walk.items + PAGE_SIZE
        if held >= self._held * _GROWTH:
            self._capacity = _CAPACITY
        elif held >= self._held:
            self._capacity = held
        self._held = held
        self._next_scan = scan.began + self._period(rate)
        self._note_busy(rate)

    def _schedule(self, *, stepped: bool = False) -> None:
        if self._scan is not None or self._own_queue:
            now = self.clock()
            self.due = now if stepped else min(self.due, now)  # the waiting time of the next step counts
        else:
            self.due = min(self._next_scan, self._next_own)

    def postpone(self, seconds: float) -> None:
        """Retry the same page later: the quota does not allow it now."""
        self.due = self.clock() + seconds

    def failed(self) -> None:
        """Retry the same page soon, with growing pauses."""
        self._failures += 1
        self.due = self.clock() + _RETRY.pause(self._failures, lambda: 0.5)

    def drop(self) -> None:
        """Drop the current scan: its listing cannot be read."""
        self._scan = None
        self._schedule()

    def restart(self) -> None:
        """Drop the current scan: the set of subreddits changed, so the anchors are invalid."""
        self._scan = None
        self._own_queue.clear()
        self._anchors = ()
        self._next_scan = self._next_own = _NEVER
        self._schedule()


def _nothing(_name: str) -> bool:
    return False
