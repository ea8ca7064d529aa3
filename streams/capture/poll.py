"""One poll of a group: a walk from the top of its listing, made durable page by page, and what it finally proves."""

import structlog

from core.cluster.shards import is_collective
from core.logging.shown_names import shown_subreddits
from core.spool import Batch
from core.spool.stream_state import StateChange
from streams.capture.coverage import LATE_MARGIN, MARGIN, Absorbed, Coverage
from streams.capture.failing_pages import FailingPage, PageSize
from streams.capture.walk import Walk, WalkOutcome
from streams.reddit.listing_page import PAGE_SIZE, Page, Request

#: Minimum seconds between records of complete walks that found nothing new: this saves disk writes.
_RECORD_QUIET_EVERY_S = 5.0

#: A listing that was empty before and shows fewer names than this has dropped nothing: half of Reddit's capacity.
_SURELY_WHOLE = 500

#: A listing holds 1,000 names. Those of a first walk that has met this number leave no room for others, apart from the
#: few that were removed.
_PASSED = 950

_ENDED_FIRST = "the listing ended before it met what was proven"
_PAGE_SKIPPED = "a page of the listing could not be read"


class ListingPoll:
    """One walk of one group of subreddits, a page at a time.

    The caller requests `next()`, then calls `take(page)`, until `done`. `refresh(page)` adds a newer top page
    meanwhile. The first walks have nothing proven to meet: they read the whole listing. If the very first walk is
    interrupted, the next one must reach below the moment at which that one began; otherwise there is a gap.
    """

    def __init__(
        self,
        subreddits: tuple[str, ...],
        coverage: Coverage,
        log: structlog.stdlib.BoundLogger,
        *,
        start: str,
        ceiling: float | None = None,
        reach: float = float("inf"),
        crowded: bool = False,
    ) -> None:
        self.new = 0
        self._crowded = crowded
        self.top: Page | None = None
        self.done = False
        self.subreddits = subreddits
        self.failing_page = FailingPage()
        #: of the pages below the newest one
        self.size = PageSize()
        self._coverage = coverage
        self._log = log
        self._held_nothing = coverage.held_nothing_of(subreddits)
        moment = coverage.moment(subreddits)
        self.walk = Walk(
            coverage.names.proven,
            float("-inf") if moment is None else moment - MARGIN,  # see Coverage.horizon
            coverage.ceiling(subreddits) if ceiling is None else ceiling,
            reach=reach,
        )
        if self._held_nothing:
            self.walk.believe_empty_after = 1
            self.walk.confirm_below = _SURELY_WHOLE
        #: whether these subreddits were never read together: the walk reads the whole listing
        self.is_first = moment is None
        self._only_new = self.is_first and start == "now" and not coverage.state.recovered
        self._newest: float | None = None
        #: names met after this serial by others are, or may be, above the walk's top
        self._serial = coverage.serial
        #: when the newest page of this walk was requested, epoch seconds of this machine's clock
        self.began = coverage.now()
        #: the same, and not changed by newer top pages
        self.started = self.began
        if self.is_first and coverage.begun is None:
            coverage.store(StateChange(begun=coverage.now()))

    @property
    def reads_backlog(self) -> bool:
        """Whether the walk is below the stream's first request: nothing that is still to be read there is new."""
        begun = self._coverage.begun_at()
        return self.is_first and begun is not None and max(self.walk.foot, default=begun) < begun

    def _has_passed_the_listing(self) -> bool:
        """Return whether the listing has moved on past a slow first walk: it no longer shows what is below its items.

        A subreddit's own listing may still show it. So the walk begins again, and what it misses becomes a gap that is
        repaired from the own listings; except where many groups share the quota (`crowded`), for older items only.
        """
        if len(self.subreddits) > 1 and not self._crowded:
            return False
        return self.reads_backlog and self.walk.items >= _PASSED

    def next(self, limit: int = PAGE_SIZE) -> Request:
        """Return the page to request now; after failures, another form of the same page."""
        anchors = self.walk.anchors()
        if not anchors:
            return Request(None, limit)
        return Request(*self.failing_page.form(anchors, min(limit, self.size.limit)))

    def take(self, page: Page, asked: Request, began: float) -> Absorbed:
        """Make the requested page durable, with what it proves if it ends the walk.

        `began`: when it was requested, epoch seconds of this machine's clock. Raises SpoolError.
        """
        if self.walk.confirming:
            return self._confirm(page, began)
        if asked.after is None:
            self.began = self.started = began
        else:
            self.size.arrived(asked.limit, self.failing_page.attempts)
        self.walk.take(page, asked.after)
        if self.walk.outcome is WalkOutcome.STALE and self._has_passed_the_listing():
            self.walk.outcome = WalkOutcome.MET
        self.failing_page.answered()
        if asked.after is None and page.items:
            self.top = page
        absorbed = self._absorb(page, self._conclusion(page))
        if self.walk.outcome is not None:
            self.done = True
        if self.walk.outcome is WalkOutcome.STALE:
            self._log.info("walk_begun_again", reason="all anchors left the listing", pages=self.walk.pages)
        return absorbed

    def _confirm(self, page: Page, began: float) -> Absorbed:
        """Process another read of the top, which shows whether the listing that ended was short or only moved on."""
        absorbed = self.refresh(page, began)
        self.walk.take(page)
        self.done = True
        self._coverage.apply(self._conclusion(Page((), None)) or Batch())
        return absorbed

    def refresh(self, page: Page, began: float) -> Absorbed:
        """Capture the newest page while the walk is further down.

        If it overlaps with what the walk met, the walk proves the time up to it. Otherwise the next walk must close the
        hole between them. The page may also contain items of subreddits outside the walk: those that came back.
        """
        self.top = page
        self.extend(self.own(page), began)
        return self.capture(page)

    def extend(self, newer: Page, began: float) -> None:
        """Add items of these subreddits from above the walk, if they overlap with what it met."""
        if self.walk.extend(newer):
            self.began = began
            self._newest = self._coverage.newest_valid(newer.items, self._newest)

    def capture(self, page: Page) -> Absorbed:
        """Make a page durable that proves nothing. Raises SpoolError."""
        return self._absorb(page, None)

    def own(self, page: Page) -> Page:
        """Return the page without the items of other configured subreddits."""
        if any(is_collective(name) for name in self.subreddits):
            return page
        configured, own = self._coverage.configured, {name.lower() for name in self.subreddits}
        items = (item for item in page.items if (name := item.subreddit.lower()) in own or name not in configured)
        return Page(tuple(items), page.after)

    def skip_page(self) -> None:
        """End the walk: a page of it cannot be read. If the walk has not met what is proven yet, record a gap."""
        self.done = True
        if self.walk.has_met:
            self._coverage.apply(self._proof())
            return
        self._coverage.apply(self._gap(_PAGE_SKIPPED, self.walk.foot, repairable=True))

    def _absorb(self, page: Page, change: Batch | None) -> Absorbed:
        coverage = self._coverage
        deliver_after = float("-inf")
        if self._only_new:
            change = change or Batch()
            deliver_after = self._baseline()
            change.cursor |= StateChange(baseline=deliver_after).entries()
        absorbed = coverage.absorb(page, deliver_after=deliver_after, change=change)
        self.new += absorbed.new
        return absorbed

    def _baseline(self) -> float:
        """Return the created_utc after which items count as new if only new ones are wanted."""
        coverage = self._coverage
        if coverage.baseline is not None:
            return coverage.baseline
        moments = (coverage.begun_at(), self._newest)
        return min((moment for moment in moments if moment is not None), default=coverage.now())

    def _conclusion(self, page: Page) -> Batch | None:
        """Return the change at the end of the walk, None while it continues or if nothing changes."""
        coverage, walk = self._coverage, self.walk
        self._newest = coverage.newest_valid(page.items, self._newest)
        if walk.outcome is WalkOutcome.MET or (walk.outcome is WalkOutcome.ENDED and self._is_complete()):
            quiet = (
                walk.pages == 1 and not self.is_first and all(coverage.names.known(item.name) for item in page.items)
            )
            if quiet and self._recorded_lately():
                return None
            return self._proof()
        if walk.outcome is not WalkOutcome.ENDED:
            return None
        # a single subreddit's own listing is the one that just ended
        return self._gap(_ENDED_FIRST, walk.foot, repairable=len(self.subreddits) > 1)

    def _recorded_lately(self) -> bool:
        """Return whether the proven moment of these subreddits is recent enough on disk, and equal for all of them."""
        coverage = self._coverage
        oldest, newest = coverage.proven_range(self.subreddits)
        return oldest == newest and coverage.reddit_now() - oldest < _RECORD_QUIET_EVERY_S

    def _proof(self) -> Batch:
        coverage = self._coverage
        change = coverage.proof(self.subreddits, self._newest, self.began, items=self.walk.items)
        met = coverage.names.met_since(self._serial, self.subreddits)
        change.prove_except = tuple(name for name in met if not self.walk.has(name))
        return change

    def _is_complete(self) -> bool:
        """Return whether a listing that ended held everything that was ever promised."""
        if self.walk.whole or (self._held_nothing and self.walk.is_shorter_than(_SURELY_WHOLE)):
            return True
        # meeting the items of an interrupted walk proves nothing: newest pages captured meanwhile may have holes below
        return self.is_first and self._reaches_below_the_beginning()

    def _reaches_below_the_beginning(self) -> bool:
        """Return whether the listing still holds an item from before the stream's first request."""
        begun = self._coverage.begun_at()
        dated = begun is not None and self._newest is not None  # otherwise Reddit's clock differs from ours
        return not dated or max(self.walk.foot, default=float("-inf")) < (begun or 0.0)

    def _gap(self, reason: str, foot: tuple[float, ...], *, repairable: bool) -> Batch:
        coverage = self._coverage
        begun = coverage.begun_at()
        end = max(foot, default=coverage.reddit_now())
        gaps = coverage.new_gaps(self.subreddits, end, reason, repairable=repairable)
        for gap in gaps:
            if gap.start is None and begun is not None and self._only_new:
                # otherwise the backlog, of any age, was also wanted
                gap.start, gap.late_from = begun, begun - LATE_MARGIN
            self._log.error(
                "gap_recorded",
                **shown_subreddits(gap.subreddits),
                start=gap.start,
                end=gap.end,
                reason=gap.reason,
                state=gap.state.value,
            )
        change = self._proof()
        change.gaps += gaps
        return change
