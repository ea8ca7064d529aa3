"""Checks the availability of subreddits: newcomers, those that become unreadable, and their return."""

import dataclasses
from collections.abc import Callable

from core.child import ChildContext
from core.errors import TransientError
from core.reddit.quota import Priority
from core.reddit.request_errors import BadAnswer, RequestRejected, ServerTrouble, Unavailable, Unreachable
from core.spool import Batch, Gap, SpoolError
from core.spool.stream_state import StateChange
from streams.capture.availability import Availability
from streams.capture.coverage import Coverage
from streams.capture.failing_pages import FailingPage, PageSize
from streams.capture.page_fetcher import PageFetcher
from streams.capture.walk import Walk, WalkOutcome
from streams.reddit.listing_page import PAGE_SIZE, Page

#: Pause after a failed step of a newcomer's walk, seconds.
_RETRY_JOIN_S = 2.0

#: From an absent subreddit that still cannot be read to the try of the next one, seconds: many absent ones must not use
#: up the quota of the readable ones. After one that is back, the next one is tried at once.
_NEXT_RETURN_S = 3.0
_MANY_ABSENT = 20


@dataclasses.dataclass(slots=True)
class _Newcomer:
    """The walk through the own listing of a new subreddit."""

    name: str
    walk: Walk
    began: float
    deliver_after: float
    newest: float | None = None
    new: int = 0
    retry_at: float = 0.0
    failing_page: FailingPage = dataclasses.field(default_factory=FailingPage)
    size: PageSize = dataclasses.field(default_factory=PageSize)


class AvailabilityChecks:
    """Keeps the availability in line with what Reddit lets us read, and the coverage in line with the availability.

    Each `…_step` sends one request at most.
    """

    def __init__(
        self,
        availability: Availability,
        coverage: Coverage,
        fetcher: PageFetcher,
        context: ChildContext,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        start: str,
    ) -> None:
        self._availability = availability
        self._coverage = coverage
        self._fetcher = fetcher
        self._context = context
        self._log = context.log
        self._clock = clock
        self._wall = wall
        self._backlog = start == "backlog"
        #: the walks in progress
        self._newcomers: dict[str, _Newcomer] = {}
        #: created_utc from which on a newcomer's items are wanted, if its backlog is not
        joining = coverage.state.joining
        self._wanted_since = {name: moment for name, moment in joining.items() if name in availability.subreddits}
        #: absent subreddits whose full page has just failed: a request for one item may be answered
        self._full_page_failed: set[str] = set()
        self._caught_up = False
        #: earliest moment of the next try of an absent subreddit, on the clock
        self.return_after = 0.0
        if coverage.proven_until:  # otherwise the very first walks read all of them together
            for name in availability.subreddits:
                if name.lower() not in coverage.proven_at and name not in availability.absent:
                    availability.join(name)

    def catch_up_with_ledger(self) -> None:
        """Open the gap of each absence without one: a spool of version 0.1 recorded it only on the return."""
        if self._caught_up:
            return
        for name, absence in self._availability.absent.items():
            if self._coverage.open_absence(name) is None:
                self._coverage.apply(Batch(gaps=self._absence_gap(name, absence.reason)))
        self._caught_up = True

    def set_aside(self, name: str, reason: str, *, named: bool) -> None:
        """Stop requesting the subreddit for a while; its gap is now open, without an end.

        `named`: Reddit gave a reason that concerns the subreddit.
        """
        before = dict(self._availability.absent)
        returning = name in before
        absence = self._availability.exclude(name, reason, self._wall(), named=named)
        change = Batch(cursor=StateChange(absent=self._availability.dump()).entries())
        if not returning and self._coverage.open_absence(name) is None:
            change.gaps = self._absence_gap(name, reason)
            change.cursor |= StateChange(epoch=self._coverage.epoch).entries()
        try:
            self._coverage.apply(change)
        except SpoolError:
            # otherwise the next start would request it with the others, and no walk would read what it missed
            self._availability.revert(before)
            raise
        self._availability.joined(name)
        self._newcomers.pop(name, None)
        log = self._log.info if returning else self._log.error
        log(
            "subreddit_unavailable",
            subreddit=name,
            reason=reason,
            retry_in_seconds=round(absence.next_try - self._wall()),
            hint="the other subreddits continue; the gap of this one stays open until it is readable again",
        )

    def _absence_gap(self, name: str, reason: str) -> list[Gap]:
        gaps = self._coverage.new_gaps((name,), None, f"r/{name} is {reason}", repairable=False)
        for gap in gaps:
            if gap.start is None:
                gap.start = self._coverage.begun_at()  # items listed before the first request were never promised
        return gaps

    def return_step(self) -> None:
        """Try the absent subreddit that is due; if readable, make it available again, with its gap to be repaired."""
        name = self._availability.due(self._wall())
        if name is None:
            return
        asked_at = self._coverage.now()
        many = len(self._availability.absent) > _MANY_ABSENT
        self.return_after = self._clock() + _NEXT_RETURN_S * (1 + many)
        try:
            self._probe((name,))
        except Unavailable as error:
            self.set_aside(name, error.reason, named=error.named)
        except SpoolError:
            raise
        except TransientError as error:
            if isinstance(error, ServerTrouble | BadAnswer | Unreachable):
                self._full_page_failed ^= {name}
            if isinstance(error, RequestRejected | ServerTrouble):
                self.set_aside(name, brief(error), named=False)
                return
            self._availability.postpone(name, self._wall())
            self._log.info("subreddit_not_tried", subreddit=name, error=str(error))
        else:
            self._restore(name, asked_at)
            self.return_after = self._clock()

    def _restore(self, name: str, asked_at: float) -> None:
        coverage = self._coverage
        absence = self._availability.absent[name]
        others = {other: stored for other, stored in self._availability.dump().items() if other != name}
        now = coverage.reddit_now()
        change = Batch(cursor=StateChange(absent=others).entries())
        # everything before the request is in the gap
        until = {name.lower(): min(coverage.reached(asked_at), now)}
        gap = coverage.open_absence(name)
        if gap is not None:
            end = now if gap.start is None else max(gap.start, now)
            change.gaps.append(dataclasses.replace(gap, end=end, pending=(name,)))
        proven = coverage.moment([name]) is not None
        if proven:
            change.cursor |= StateChange(proven_until=until).entries()
        coverage.apply(change)
        self._availability.restore(name)
        if not proven:
            self._availability.join(name)
        self._log.info("subreddit_available_again", subreddit=name, away_seconds=round(self._wall() - absence.since))

    def _probe(self, subreddits: tuple[str, ...]) -> None:
        limit = 1 if self._full_page_failed.intersection(subreddits) else PAGE_SIZE
        page = self._fetcher.attempt(subreddits, None, Priority.STREAM, limit)
        self._full_page_failed.difference_update(subreddits)
        if self._backlog or self._coverage.moment(subreddits) is not None:
            absorbed = self._coverage.absorb(page)
            if absorbed.delivered:
                self._context.announce(absorbed.last_seq)

    @property
    def join_due(self) -> float:
        """The time of a newcomer's next step, on the clock; infinity without a newcomer."""
        return min(map(self._join_retry_at, self._availability.joining), default=float("inf"))

    def _join_retry_at(self, name: str) -> float:
        return self._newcomers[name].retry_at if name in self._newcomers else 0.0

    def join_step(self) -> None:
        """Fetch one page of a newcomer's own listing; at its end the newcomer is proven and joins the others.

        While the requests of one fail, those of the others continue.
        """
        now = self._clock()
        name = min(self._availability.joining, key=lambda name: max(now, self._join_retry_at(name)))
        newcomer = self._newcomers.get(name) or self._begin(name)
        self._newcomers[name] = newcomer
        after, limit = newcomer.failing_page.form(newcomer.walk.anchors(), newcomer.size.limit)
        try:
            page = self._fetcher.attempt([newcomer.name], after, Priority.STREAM, limit)
        except Unavailable as error:
            self.set_aside(newcomer.name, error.reason, named=error.named)
            return
        except TransientError as error:
            self._join_failed(newcomer, error)
            return
        del self._newcomers[name]  # if the spool refuses, the walk restarts from the top
        newcomer.size.arrived(limit, newcomer.failing_page.attempts)
        newcomer.failing_page.answered()
        newcomer.retry_at = 0.0
        newcomer.walk.take(page, after)
        self._absorb(newcomer, page)
        if newcomer.walk.outcome is None:
            self._newcomers[name] = newcomer
        elif newcomer.walk.outcome is WalkOutcome.UNREADABLE:
            self._newcomers[name] = self._begin(name)
            self._newcomers[name].retry_at = self._clock() + _RETRY_JOIN_S
        elif newcomer.walk.outcome is not WalkOutcome.STALE:
            self._availability.joined(newcomer.name)
            self._wanted_since = self._still_wanted_since(newcomer.name)
            self._log.info("subreddit_joined", subreddit=newcomer.name, items=newcomer.new)

    def _begin(self, name: str) -> _Newcomer:
        coverage = self._coverage
        deliver_after = float("-inf")
        if not self._backlog:
            absences = [gap.start for gap in coverage.gaps.values() if name in gap.pending and gap.start is not None]
            deliver_after = min(absences, default=self._wanted_from(name))
        return _Newcomer(name, Walk(proven=lambda _name: False), coverage.now(), deliver_after)

    def _wanted_from(self, name: str) -> float:
        """Return the time from which the newcomer's items are wanted: its first walk, also after a restart."""
        if name not in self._wanted_since:
            moments = {**self._wanted_since, name: self._coverage.reddit_now()}
            self._coverage.store(StateChange(joining=moments))
            self._wanted_since = moments
        return self._wanted_since[name]

    def _absorb(self, newcomer: _Newcomer, page: Page) -> None:
        """Make the page durable; mark the subreddit as proven if its listing was read to the end."""
        coverage = self._coverage
        newcomer.newest = coverage.newest_valid(page.items, newcomer.newest)
        change = None
        if newcomer.walk.outcome in {WalkOutcome.ENDED, WalkOutcome.MET}:
            change = coverage.proof([newcomer.name], newcomer.newest, newcomer.began, items=newcomer.walk.items)
            change.prove_epoch = None  # names that an abandoned walk met in other listings stay unproven
            change.gaps += self._overtaken_gap(newcomer)
            if newcomer.name in self._wanted_since:
                change.cursor |= StateChange(joining=self._still_wanted_since(newcomer.name)).entries()
        absorbed = coverage.absorb(
            page,
            epoch=coverage.epoch,
            # newer items are in the combined listing above items of others that are not met yet
            proven_until=coverage.common_moment(self._availability.active()),
            deliver_after=newcomer.deliver_after,
            change=change,
        )
        newcomer.new += absorbed.new
        if absorbed.delivered:
            self._context.announce(absorbed.last_seq)

    def _still_wanted_since(self, joined: str) -> dict[str, float]:
        """Return the moments without that of a newcomer that has joined; other machines may still need it."""
        if self._coverage.is_shared:
            return self._wanted_since
        return {name: at for name, at in self._wanted_since.items() if name != joined}

    def _overtaken_gap(self, newcomer: _Newcomer) -> list[Gap]:
        """Return the gap of a newcomer whose listing dropped unread items from after its absence."""
        coverage, foot = self._coverage, max(newcomer.walk.foot, default=None)
        since = self._promised_since(newcomer.name)
        if newcomer.walk.whole or foot is None or since is None or foot < since:
            return []
        reason = "the listing moved on faster than it was read"
        gaps = coverage.new_gaps((newcomer.name,), foot, reason, repairable=False)
        for gap in gaps:
            if gap.start is None:
                gap.start = since
        return gaps

    def _promised_since(self, name: str) -> float | None:
        """Return the created_utc from which a newcomer's items are promised: the end of its last gap."""
        gaps = [gap for gap in self._coverage.gaps.values() if name in gap.subreddits and not gap.is_of_late_items]
        ends = [gap.end for gap in gaps if gap.end is not None]
        return max(ends, default=self._wanted_since.get(name, self._coverage.begun_at()))

    def _join_failed(self, newcomer: _Newcomer, error: TransientError) -> None:
        now = self._clock()
        newcomer.failing_page.failed(now, error)
        pause = _RETRY_JOIN_S * min(8, newcomer.failing_page.attempts)
        newcomer.retry_at = now + pause
        self._fetcher.report(error, newcomer.failing_page.attempts, pause)
        if newcomer.failing_page.should_skip(now, self._fetcher.answered_at):
            self.set_aside(newcomer.name, brief(error), named=False)


def brief(error: TransientError) -> str:
    """Return a short reason to set aside a subreddit whose requests keep failing."""
    if isinstance(error, RequestRejected):
        return f"not readable (Reddit answers {error.status})"
    return f"not readable ({error})"[:120]
