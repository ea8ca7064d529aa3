"""Repairs gaps from each subreddit's own listing: its thousand names reach deeper than the combined one."""

import dataclasses
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from core.backoff import Backoff
from core.spool import Batch, Gap, GapState
from streams.capture.coverage import Absorbed, Coverage
from streams.capture.failing_pages import FailingPage, PageSize
from streams.capture.upward_walk import UpwardOutcome, UpwardWalk
from streams.capture.walk import Walk, WalkOutcome
from streams.reddit.listing_page import PAGE_SIZE, Page, Request

#: Pauses after failed steps of one repair, seconds; other repairs continue meanwhile.
_RETRY = Backoff(first=1.0, longest=15.0, jitter=0.0)
#: Pauses before a new walk of a listing that could not be read to its end, seconds.
_NEXT_WALK = Backoff(first=60.0, longest=900.0, jitter=0.0)

#: Number of proven names as start of the walk up: some may have left the listing.
_ANCHORS = 10

#: Number of items read last from above; the gap reaches up to the newest: one invalid date proves nothing.
_FOOT = 3


@dataclass(slots=True)
class Repair:
    """The walk through one subreddit's own listing for one gap, a page at a time."""

    gap_id: int
    subreddit: str
    walk: Walk
    failing_page: FailingPage = field(default_factory=FailingPage)
    size: PageSize = field(default_factory=PageSize)
    retry_at: float = 0.0
    rounds: int = 0
    #: created_utc of the last items that the walk read
    foot: deque[float] = field(default_factory=lambda: deque(maxlen=_FOOT))
    #: the walk from below towards an unreadable page
    upward_walk: UpwardWalk | None = None
    #: whether such a walk has ended: nothing more is available from below
    read_from_below: bool = False

    def next(self) -> Request:
        """Return the page to request now."""
        if self.upward_walk is not None:
            before, limit = self.failing_page.form(self.upward_walk.anchors, self.size.limit)
            return Request(None, limit, before)
        return Request(*self.failing_page.form(self.walk.anchors(), self.size.limit))


class Repairs:
    """All repairs of a stream: chooses the next step among the subreddits that can be read now."""

    def __init__(self, coverage: Coverage, log: structlog.stdlib.BoundLogger, clock: Callable[[], float]) -> None:
        self._coverage = coverage
        self._log = log
        self._clock = clock
        self._in_progress: dict[tuple[int, str], Repair] = {}

    def due(self, unavailable: Collection[str]) -> float | None:
        """Return when the next step is due, on the clock; None: no gap can be repaired now."""
        chosen = self.choose(unavailable)
        return None if chosen is None else chosen.retry_at

    def choose(self, unavailable: Collection[str]) -> Repair | None:
        """Return the repair with the next step: the newest gap first, one that waits after a failure last."""
        candidates = [
            self._repair(gap, name)
            for gap in self._coverage.pending_gaps()
            for name in gap.pending
            if name not in unavailable and gap.id is not None
        ]
        now = self._clock()
        return min(candidates, key=lambda repair: max(now, repair.retry_at), default=None)

    def _repair(self, gap: Gap, name: str) -> Repair:
        key = (gap.id or 0, name)
        if key not in self._in_progress:
            self._in_progress[key] = Repair(*key, self._walk(gap))
        return self._in_progress[key]

    def _walk(self, gap: Gap) -> Walk:
        return Walk(
            proven=lambda name: self._coverage.names.proven_before(name, gap.epoch),
            # late items may be older than the gap: their dates would end the walk too early
            horizon=float("-inf") if gap.late_from is None else gap.late_from,
        )

    def failed(self, repair: Repair, error: Exception, answered_at: float | None) -> None:
        """Report a failed step: the next one comes later, or has another form."""
        now = self._clock()
        repair.failing_page.failed(now, error)
        # if everything else is answered, waiting does not help this page
        alone = repair.failing_page.is_alone(answered_at)
        repair.retry_at = now + _RETRY.pause(min(2 if alone else 5, repair.failing_page.attempts), lambda: 0.5)
        if repair.failing_page.should_skip(now, answered_at):
            self._skip_page(repair)
        self._log.warning(
            "repair_delayed",
            subreddit=repair.subreddit,
            error=str(error),
            retry_in_seconds=round(repair.retry_at - now, 1),
        )

    def _skip_page(self, repair: Repair) -> None:
        """Give up an unreadable page: continue from below; after that, record the rest of the gap."""
        if repair.upward_walk is not None:
            repair.upward_walk.outcome = UpwardOutcome.STUCK
            self._end_upward_walk(repair)
            return
        gap = self._coverage.gaps[repair.gap_id]
        anchors = () if repair.read_from_below else self._coverage.latest_proven(repair.subreddit, gap.epoch, _ANCHORS)
        if not anchors or not repair.foot:
            self._restart_later(repair)
            return
        repair.upward_walk = UpwardWalk(tuple(anchors), max(repair.foot), repair.walk.has)
        repair.failing_page, repair.retry_at = FailingPage(), self._clock()

    def take_from_below(self, repair: Repair, page: Page, asked: Request) -> Absorbed:
        """Make a page that was read from below durable. Raises SpoolError."""
        coverage, upward_walk = self._coverage, repair.upward_walk
        gap = coverage.gaps[repair.gap_id]
        new = sum(not coverage.names.known(item.name) for item in page.items)
        gap = dataclasses.replace(gap, found=gap.found + new)
        absorbed = coverage.absorb(page, change=Batch(gaps=[gap]), counter="repaired")
        if upward_walk is None or asked.before is None:
            return absorbed
        if upward_walk.take(page, asked.before):
            repair.size.arrived(asked.limit, repair.failing_page.attempts)
            repair.failing_page.answered()
            repair.retry_at = 0.0
        elif upward_walk.outcome is None:
            repair.failing_page.attempts += 1  # the next form of the request
        if upward_walk.outcome is not None:
            self._end_upward_walk(repair)
        return absorbed

    def _end_upward_walk(self, repair: Repair) -> None:
        """Shrink the gap to what neither walk has read, and pause this listing. Raises SpoolError."""
        upward_walk, gap = repair.upward_walk, self._coverage.gaps[repair.gap_id]
        if upward_walk is None:
            return
        stuck = upward_walk.outcome is UpwardOutcome.STUCK
        gaps = _narrowed(gap, repair, upward_walk, self._coverage.now()) if stuck else []
        if gaps:
            self._coverage.apply(Batch(gaps=gaps))
            own = gaps[-1]
            fields = {"start": own.start, "end": own.end, "found": upward_walk.items}
            self._log.warning("gap_narrowed", subreddit=repair.subreddit, **fields, hint="a page of it cannot be read")
            del self._in_progress[repair.gap_id, repair.subreddit]
            repair.gap_id = own.id or 0
            self._in_progress[repair.gap_id, repair.subreddit] = repair
        repair.upward_walk, repair.read_from_below = None, True
        self._restart_later(repair)

    def _restart_later(self, repair: Repair) -> None:
        """Pause a listing with an unreadable page: the gap is lost only after the listing was read to its end."""
        gap = self._coverage.gaps[repair.gap_id]
        repair.rounds += 1
        repair.retry_at = self._clock() + _NEXT_WALK.pause(repair.rounds, lambda: 0.5)
        repair.walk, repair.failing_page = self._walk(gap), FailingPage()
        repair.foot.clear()

    def drop(self, subreddit: str) -> None:
        """Drop the walks of a subreddit that became unavailable; its gaps stay pending until it is back."""
        for key in [key for key in self._in_progress if key[1] == subreddit]:
            del self._in_progress[key]

    def take(self, repair: Repair, page: Page, after: str | None, limit: int = PAGE_SIZE) -> Absorbed:
        """Make the page of this request durable. Raises SpoolError: then the walk restarts."""
        coverage, walk = self._coverage, repair.walk
        del self._in_progress[repair.gap_id, repair.subreddit]  # if the spool refuses, the walk restarts from the top
        walk.take(page, after)
        repair.foot.extend(item.created for item in page.items if item.created is not None)
        repair.size.arrived(limit, repair.failing_page.attempts)
        repair.failing_page.answered()
        repair.retry_at = 0.0
        new = sum(not coverage.names.known(item.name) for item in page.items)
        gap = coverage.gaps[repair.gap_id]
        gap = dataclasses.replace(gap, found=gap.found + new)
        gaps = [gap]
        if walk.outcome is WalkOutcome.STALE:
            repair.walk = self._walk(gap)
        elif walk.outcome is WalkOutcome.UNREADABLE:
            self._restart_later(repair)
        elif walk.outcome is not None:
            gaps = self._concluded(gap, repair)
        # items newer than the last poll are in the combined listing above items of others that are not met yet
        until = coverage.moment([repair.subreddit])
        absorbed = coverage.absorb(
            page,
            epoch=coverage.epoch,
            proven_until=float("-inf") if until is None else until,
            change=Batch(gaps=gaps),
            counter="repaired",
        )
        if repair.subreddit in gaps[0].pending and gaps[0].id == repair.gap_id:
            self._in_progress[repair.gap_id, repair.subreddit] = repair
        return absorbed

    def _reaches_below_the_beginning(self, gap: Gap, walk: Walk) -> bool:
        """Return whether a gap without a proven start was walked to below the first request: no more was promised."""
        begun = self._coverage.begun_at()
        return gap.start is None and begun is not None and max(walk.foot, default=begun) < begun

    def _concluded(self, gap: Gap, repair: Repair) -> list[Gap]:
        """Return the gap without this subreddit; if its own listing ended first, also a lost gap of its own."""
        name, walk, now = repair.subreddit, repair.walk, self._coverage.now()
        if walk.outcome is WalkOutcome.MET or walk.whole or self._reaches_below_the_beginning(gap, walk):
            pending, unproven = _without(gap.pending, name), _without(gap.unproven, name)
            rest = dataclasses.replace(gap, pending=pending, unproven=unproven)
            self._log.info("gap_repaired", subreddit=name, start=gap.start, end=gap.end, found=gap.found)
            return [rest if rest.unproven else rest.walked(now)]
        reach = self._coverage.reddit_now() if gap.end is None else gap.end
        end = min(reach, max(walk.foot, default=reach))
        end = end if gap.start is None else max(end, gap.start)
        self._log.error(
            "gap_remains",
            subreddit=name,
            start=gap.start,
            end=end,
            listing_held=walk.items,
            hint="Reddit no longer lists these items: they are lost to this stream, and the gap is recorded",
        )
        own = dataclasses.replace(gap, subreddits=(name,), unproven=(name,), pending=(), end=end)
        return _split(gap, own.closed(GapState.LOST, now), now)


def _narrowed(gap: Gap, repair: Repair, upward_walk: UpwardWalk, now: float) -> list[Gap]:
    """Return the gaps that replace this one, the smaller one of this subreddit last; empty: it is no smaller."""
    name, start = repair.subreddit, upward_walk.reached
    end = max(repair.foot) if gap.end is None else min(gap.end, max(repair.foot))
    if start is None or start > end or (gap.start is not None and start <= gap.start):
        return []
    own = dataclasses.replace(gap, subreddits=(name,), unproven=(name,), pending=(name,), start=start, end=end)
    return _split(gap, own, now)


def _split(gap: Gap, own: Gap, now: float) -> list[Gap]:
    """Return the gaps after one subreddit gets its `own`: the gap of the others, if any, then its own."""
    (name,) = own.subreddits
    unproven = _without(gap.unproven, name)
    if not unproven:
        return [own]
    rest = dataclasses.replace(
        gap,
        subreddits=_without(gap.subreddits, name),
        unproven=unproven,
        pending=_without(gap.pending, name),
    )
    if not rest.pending and rest.state is GapState.OPEN and rest.end is not None:
        rest = rest.closed(GapState.LOST, now)
    return [rest, dataclasses.replace(own, id=None, found=0)]


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)
