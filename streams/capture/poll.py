"""One poll: a walk from the top of the listing, made durable page by page, and what it proves in the end."""

from collections.abc import Callable

import structlog

from core.quota import Priority
from core.spool import Batch
from streams.capture.coverage import LATE_MARGIN, Coverage
from streams.capture.fetcher import Fetcher
from streams.capture.listing import Page
from streams.capture.repair import is_whole
from streams.capture.walk import Outcome, Walk

#: A walk that found nothing new is recorded as complete at most so often, seconds: it proves what is proven already.
_RECORD_QUIET_EVERY = 15.0

#: A listing that was empty before and shows fewer names than this has pushed nothing out: half of what Reddit's holds.
_SURELY_WHOLE = 500


class Poll:
    """One walk of one stream. The first ones have nothing proven to meet: they take what the listing holds.

    Should the very first walk be broken off, the next one has to come upon what that one had met, or reach below the
    moment at which it began; else there is a gap.
    """

    def __init__(self, subreddits: tuple[str, ...], coverage: Coverage, *, start: str) -> None:
        self.new = 0
        self.top: Page | None = None
        self.walk = Walk(coverage.proven, coverage.horizon(subreddits))
        if coverage.held_nothing:
            self.walk.believe_empty_after = 1
        self._subreddits = subreddits
        self._coverage = coverage
        self._first = not coverage.proven_at
        self._only_new = self._first and start == "now" and "recovered" not in coverage.stored
        self._newest: float | None = None
        self._inherited = coverage.met() if self._first else frozenset()
        self._continued = False
        if self._first and coverage.begun is None:
            coverage.store(begun=coverage.now())

    def run(self, fetcher: Fetcher, announce: Callable[[int], None], log: structlog.stdlib.BoundLogger) -> None:
        """Walk until the walk is over. Raises what the fetcher and the spool raise: then it has proven nothing."""
        while self.walk.outcome is None:
            after = self.walk.next_after()
            page = fetcher.page(self._subreddits, after, Priority.STREAM)
            self.walk.take(page)
            if after is None and page.items:
                self.top = page
            new, last_seq = self._absorb(page, log)
            self.new += new
            if last_seq:
                announce(last_seq)
        if self.walk.outcome is Outcome.STALE:
            log.info("walk_begun_again", reason="all anchors left the listing", pages=self.walk.pages)

    def _absorb(self, page: Page, log: structlog.stdlib.BoundLogger) -> tuple[int, int]:
        """Make the page durable, with what it proves when it ends the walk."""
        coverage = self._coverage
        self._newest = coverage.sane(page.items, self._newest)
        self._continued = self._continued or any(item.name in self._inherited for item in page.items)
        change = self._conclusion(page, log)
        deliver_after = float("-inf")
        if self._only_new:
            change = change or Batch()
            deliver_after = change.cursor["baseline"] = self._baseline()
        absorbed = coverage.absorb(page, deliver_after=deliver_after, change=change)
        return absorbed.new, absorbed.last_seq if absorbed.delivered else 0

    def _baseline(self) -> float:
        """Return the created_utc after which items are new to someone who wants only what is new."""
        coverage = self._coverage
        if coverage.baseline is not None:
            return coverage.baseline
        moments = (coverage.begun, self._newest)
        return min((moment for moment in moments if moment is not None), default=coverage.now())

    def _conclusion(self, page: Page, log: structlog.stdlib.BoundLogger) -> Batch | None:
        """Return what the end of the walk changes, None while it goes on or when it changes nothing."""
        coverage, walk = self._coverage, self.walk
        if walk.outcome is Outcome.MET or (walk.outcome is Outcome.ENDED and self._is_complete()):
            quiet = walk.pages == 1 and not self._first and all(coverage.known(item.name) for item in page.items)
            if quiet and coverage.now() - coverage.polled_at < _RECORD_QUIET_EVERY:
                return None
            change = coverage.proof(self._subreddits, self._newest)
            change.cursor["held_nothing"] = walk.items == 0
            return change
        if walk.outcome is not Outcome.ENDED:
            return None
        return self._gap(log)

    def _is_complete(self) -> bool:
        """Tell whether a listing that ended held all there was to hold, as far as we ever promised."""
        if is_whole(self.walk):
            return True
        if self._coverage.held_nothing and self.walk.items < _SURELY_WHOLE:
            return True
        return self._first and (self._continued or self._reaches_below_the_beginning())

    def _reaches_below_the_beginning(self) -> bool:
        """Tell whether the listing still holds something from before the stream first asked for it."""
        begun = self._coverage.begun
        dated = begun is not None and self._newest is not None  # else its clock is another one than ours
        return not dated or max(self.walk.foot, default=float("-inf")) < (begun or 0.0)

    def _gap(self, log: structlog.stdlib.BoundLogger) -> Batch:
        coverage = self._coverage
        end = max(self.walk.foot, default=coverage.now())
        reason = "the listing ended before it met what was proven"
        # a single subreddit's own listing is the one that just ended
        gap = coverage.new_gap(self._subreddits, end, reason, repairable=len(self._subreddits) > 1)
        if self._only_new and coverage.begun is not None:
            gap.start = coverage.begun - LATE_MARGIN  # else the backlog, of whatever age, was wanted too
        log.error("gap_recorded", subreddits=list(self._subreddits), start=gap.start, end=gap.end, reason=gap.reason)
        change = coverage.proof(self._subreddits, self._newest)
        change.cursor["held_nothing"] = False
        change.gaps.append(gap)
        return change
