"""Repairing a gap: each subreddit's own listing holds its own thousand names, deeper than the combined one."""

import dataclasses
from collections.abc import Callable

import structlog

from core.spool import Batch, Gap, GapState
from streams.capture.coverage import Coverage
from streams.capture.listing import PAGE_SIZE, Page
from streams.capture.walk import Outcome, Walk


def is_whole(walk: Walk) -> bool:
    """Tell whether a listing that ended was too short to have pushed anything out: less than one page."""
    return walk.outcome is Outcome.ENDED and walk.items < PAGE_SIZE and walk.pages <= 3


class Repair:
    """The walk through one subreddit's own listing for one gap, a page at a time."""

    def __init__(
        self,
        gap: Gap,
        coverage: Coverage,
        announce: Callable[[int], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self.gap = gap
        self.subreddit = gap.pending[0]
        self._coverage = coverage
        self._announce = announce
        self._log = log
        self._walk = self._new_walk()

    def _new_walk(self) -> Walk:
        return Walk(
            proven=lambda name: self._coverage.proven_before(name, self.gap.epoch),
            horizon=float("-inf") if self.gap.start is None else self.gap.start,
        )

    def next_after(self) -> str | None:
        """Return the anchor of the page to fetch next."""
        return self._walk.next_after()

    def take(self, page: Page) -> bool:
        """Make the page durable; tell whether this subreddit is done with."""
        self._walk.take(page)
        new = sum(not self._coverage.known(item.name) for item in page.items)
        gap = dataclasses.replace(self.gap, found=self.gap.found + new)
        change = Batch(gaps=[gap])
        if self._walk.outcome is Outcome.STALE:
            self._walk = self._new_walk()
        elif self._walk.outcome is not None:
            change.gaps = self._concluded(gap)
            gap = change.gaps[0]
        # what is newer than the last poll stands in the combined listing above items of others that nobody has met yet
        until = self._coverage.moment([self.subreddit])
        absorbed = self._coverage.absorb(
            page,
            epoch=self._coverage.epoch,
            proven_until=float("-inf") if until is None else until,
            change=change,
            counter="repaired",
        )
        self.gap = gap
        if absorbed.new:
            self._announce(absorbed.last_seq)
        return self.subreddit not in gap.pending

    def give_up(self, reason: str) -> None:
        """Leave this subreddit in the gap: its own listing cannot be read."""
        self._coverage.store_gap(dataclasses.replace(self.gap, pending=self._others(self.gap.pending)))
        self._log.warning("gap_not_repairable", subreddit=self.subreddit, reason=reason)

    def _concluded(self, gap: Gap) -> list[Gap]:
        """Return the gap without this subreddit, and where that one's own listing ended too, a gap of its own."""
        rest = dataclasses.replace(gap, pending=self._others(gap.pending), unproven=self._others(gap.unproven))
        if self._walk.outcome is Outcome.MET or is_whole(self._walk):
            return [rest if rest.unproven else rest.closed(rest.after_walk, self._coverage.now())]
        reach = float("inf") if gap.end is None else gap.end
        end = min(reach, max(self._walk.foot, default=reach))
        self._log.error(
            "gap_remains",
            subreddit=self.subreddit,
            start=gap.start,
            end=end,
            listing_held=self._walk.items,
            hint="Reddit no longer lists what lies between: it is lost to this stream, and recorded",
        )
        own = dataclasses.replace(gap, subreddits=(self.subreddit,), unproven=(self.subreddit,), pending=(), end=end)
        own = own.closed(GapState.LOST, self._coverage.now())
        if not rest.unproven:
            return [own]
        rest.subreddits = self._others(rest.subreddits)
        return [rest, dataclasses.replace(own, id=None, found=0)]

    def _others(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name != self.subreddit)
