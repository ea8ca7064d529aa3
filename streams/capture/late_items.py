"""A group's search for late items: fetches the pages of the scan, and records in the ledger what may be lost."""

from core.child import ChildContext
from core.errors import TransientError
from core.reddit.quota import Priority
from core.reddit.request_errors import QuotaShort, RateLimited, Unavailable
from streams.capture.coverage import Coverage
from streams.capture.failing_pages import PageSize, needs_smaller_page
from streams.capture.late_loss import TOLERANCE_S, LateLoss, LateScanLog, Scanned
from streams.capture.late_scan import LateScan
from streams.capture.page_fetcher import PageFetcher
from streams.capture.poll import ListingPoll
from streams.capture.walk import MOST_EXTRA_PAGES, WalkOutcome, page_foot
from streams.reddit.listing_page import PAGE_SIZE, Page

_TOO_FAST = "items pass through the listing faster than it is scanned for late items; the ledger has an entry"

#: Seconds until a page that the quota did not allow is retried.
_QUOTA_SHORT_S = 2.5
#: Seconds between two log lines about that.
_DELAY_LOGGED_EVERY_S = 60.0


class LateItems:
    """The late scans of one group (see `LateScan` for when they are due). Each `step` sends one request at most.

    Args:
        coverage: makes the pages durable.
        fetcher: requests the pages.
        context: of the process.
        scan_log: shared by the groups of the stream.
        scan: decides when a page is due.
    """

    def __init__(
        self,
        coverage: Coverage,
        fetcher: PageFetcher,
        context: ChildContext,
        scan_log: LateScanLog,
        scan: LateScan,
    ) -> None:
        self._coverage = coverage
        self._fetcher = fetcher
        self._context = context
        self._log = context.log
        self._scan_log = scan_log
        self._scan = scan
        #: when `late_scan_delayed` was last logged, on the clock
        self._delay_logged = float("-inf")
        #: when the last newest page was requested, by Reddit's clock
        self._moment = float("-inf")
        #: whether items that appeared within the tolerance may be below what the last polls have shown
        self.pressing = False
        #: the last names, and since when they may have got late items that were not shown
        self._known: tuple[tuple[str, ...], float] | None = None

    @property
    def due(self) -> float:
        """The time of the next step, on the clock; infinity: there is nothing to scan."""
        return self._scan.due

    def polled(self, subreddits: tuple[str, ...], top: Page, began: float, rate: float) -> None:
        """Record a newest page, requested at `began` (epoch seconds), and the group's rate, items per second."""
        self._scan.polled(top, rate)
        moment = self._coverage.reached(began)
        self._scan_log.begin(subreddits, moment)
        if not self._scan.is_needed:  # the newest page is the whole listing
            self._scan_log.store(self._scan_log.compare(Scanned(subreddits, moment, None, own=True), None))
        elif (foot := page_foot(top)) is not None:
            self._scan_log.polled(subreddits, moment, foot, self._since(subreddits))
        self._moment = moment
        self._note_pressing(subreddits)

    def _since(self, subreddits: tuple[str, ...]) -> float:
        """Return since when these may have got late items that were not shown, by Reddit's clock."""
        if self._known is None or self._known[0] is not subreddits:
            self._known = subreddits, self._scan_log.since(subreddits)
        return self._known[1]

    def _note_pressing(self, subreddits: tuple[str, ...]) -> None:
        self._known = None
        self.pressing = self._since(subreddits) < self._moment

    @property
    def in_progress(self) -> bool:
        """Whether a scan has begun: its pages follow each other without pauses, since items sink meanwhile."""
        return self._scan.in_progress

    def reach(self, subreddits: tuple[str, ...], rate: float) -> float:
        """Return the created_utc down to which the next walk finds every item that appears within the tolerance.

        Infinity if that is probably more than a few pages down: then a scan must find them.
        """
        reach = self._since(subreddits) - TOLERANCE_S
        deepest = MOST_EXTRA_PAGES * PAGE_SIZE
        return reach if rate * (self._coverage.reddit_now() - reach) <= deepest else float("inf")

    def walked(self, poll: ListingPoll) -> None:
        """Record the walk of a complete poll: it shows all items down to its foot."""
        walk = poll.walk
        if walk.outcome is WalkOutcome.MET and walk.pages > 1 and walk.foot:
            self.shown(poll.subreddits, poll.started, max(walk.foot))

    def shown(self, subreddits: tuple[str, ...], began: float, foot: float) -> None:
        """Record a walk that has shown all items above `foot`.

        `began`: when its first page was requested, epoch seconds.
        """
        self._scan_log.polled(subreddits, self._coverage.reached(began), foot, self._since(subreddits))
        self._note_pressing(subreddits)

    def restart(self) -> None:
        """Drop the current scan: the set of subreddits changed."""
        self._scan.restart()

    def step(self, active: tuple[str, ...], size: PageSize, rate: float, priority: Priority) -> None:
        """Fetch one page. `active` are the subreddits requested together. Raises SpoolError."""
        coverage = self._coverage
        since = self._scan_log.since(active) if self.pressing else float("inf")
        wanted = self._scan.next_page(active, coverage.reached(coverage.now()), since - TOLERANCE_S)
        if wanted is None:
            return
        subreddits, after = wanted
        if not subreddits:
            self._scan.restart()
            return
        try:
            page = self._fetcher.attempt(subreddits, after, priority, size.limit)
        except Unavailable:
            self._scan.drop()  # the next poll finds the absent subreddits
        except (QuotaShort, RateLimited) as error:
            self._report_delay(error)
            self._scan.postpone(_QUOTA_SHORT_S)
        except TransientError as error:
            if needs_smaller_page(error):
                size.shrink()
            self._log.info("late_scan_failed", error=str(error))
            self._scan.failed()
        else:
            self._take(page, subreddits, rate)

    def _report_delay(self, error: Exception) -> None:
        """Log that the quota is short: not at each of the attempts, which are seconds apart."""
        now = self._scan.clock()
        if now - self._delay_logged >= _DELAY_LOGGED_EVERY_S:
            self._delay_logged = now
            self._log.info("late_scan_delayed", error=str(error))

    def _take(self, page: Page, subreddits: tuple[str, ...], rate: float) -> None:
        """Make a page durable, with the losses that the scan leaves open if this page completes it."""
        scanned = self._scan.take(page, rate)
        whole = scanned is not None and scanned.whole
        comparison = self._scan_log.compare(scanned, self._coverage.begun_at()) if scanned and whole else None
        losses = () if comparison is None else comparison.losses
        absorbed = self._coverage.absorb_late(page, subreddits, losses)
        if comparison is not None:
            self._scan_log.store(comparison)
        elif scanned is not None and scanned.foot is not None:
            self._scan_log.polled(scanned.subreddits, scanned.began, scanned.foot, self._scan_log.since(subreddits))
        if scanned is not None:
            self._note_pressing(scanned.subreddits)
        if losses:
            self._log_losses(losses)
        if absorbed.new:
            if absorbed.delivered:
                self._context.announce(absorbed.last_seq)
            self._log.info("late_items", found=absorbed.new, subreddits=absorbed.subreddits)

    def _log_losses(self, losses: tuple[LateLoss, ...]) -> None:
        names, late_from, until = zip(*losses, strict=True)
        fields = {"subreddits": len(names), "late_from": min(late_from), "until": max(until)}
        self._log.warning("late_items_may_be_lost", **fields, hint=_TOO_FAST)
