"""A group's search for late items: fetches the pages of the scan, and records in the ledger what may be lost."""

from core.child import ChildContext
from core.errors import TransientError
from core.reddit.quota import Priority
from core.reddit.request_errors import QuotaShort, RateLimited, Unavailable
from streams.capture.coverage import Coverage
from streams.capture.failing_pages import PageSize, needs_smaller_page
from streams.capture.late_loss import LateLoss, LateScanLog, Scanned
from streams.capture.late_scan import LateScan, page_foot
from streams.capture.page_fetcher import PageFetcher
from streams.reddit.listing_page import Page

_TOO_FAST = "items pass through the listing faster than it is scanned for late items; the ledger has an entry"

#: Seconds until a page that the quota did not allow is retried.
_QUOTA_SHORT_S = 2.5


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
            self._scan_log.polled(subreddits, moment, foot)

    def restart(self) -> None:
        """Drop the current scan: the set of subreddits changed."""
        self._scan.restart()

    def step(self, active: tuple[str, ...], size: PageSize, rate: float) -> None:
        """Fetch one page. `active` are the subreddits requested together. Raises SpoolError."""
        coverage = self._coverage
        wanted = self._scan.next_page(active, coverage.reached(coverage.now()))
        if wanted is None:
            return
        subreddits, after = wanted
        if not subreddits:
            self._scan.restart()
            return
        try:
            page = self._fetcher.attempt(subreddits, after, Priority.LATE_SCAN, size.limit)
        except Unavailable:
            self._scan.drop()  # the next poll finds the absent subreddits
        except (QuotaShort, RateLimited) as error:
            self._log.info("late_scan_delayed", error=str(error))
            self._scan.postpone(_QUOTA_SHORT_S)
        except TransientError as error:
            if needs_smaller_page(error):
                size.shrink()
            self._log.info("late_scan_failed", error=str(error))
            self._scan.failed()
        else:
            self._take(page, subreddits, rate)

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
            self._scan_log.polled(scanned.subreddits, scanned.began, scanned.foot)
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
