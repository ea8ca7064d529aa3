"""The working loop of one stream: polls, and between them repairs, deeper looks and housekeeping."""

import time
from collections.abc import Callable

from core.child import ChildContext
from core.config import Config
from core.errors import TransientError
from core.limiter import Limiter
from core.quota import Priority
from core.reddit.errors import QuotaShort, RateLimited, Stopped, Unavailable
from core.spool import SpoolBroken
from streams.capture.admission import Admission
from streams.capture.coverage import Coverage
from streams.capture.fetcher import Fetcher
from streams.capture.pace import Pace
from streams.capture.poll import Poll
from streams.capture.repair import Repair
from streams.capture.roster import Roster
from streams.capture.sweep import Sweep
from streams.capture.walk import Outcome

_PRUNE_EVERY = 15.0
_IMPATIENT = 5.0  # until a background step that failed is tried again, seconds
_LONGEST_IDLE = 60.0


class Capture:
    """Drives one stream until it is asked to stop."""

    def __init__(
        self,
        config: Config,
        context: ChildContext,
        coverage: Coverage,
        fetcher: Fetcher,
        limiter: Limiter,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._context = context
        self._log = context.log
        self._coverage = coverage
        self._fetcher = fetcher
        self._limiter = limiter
        self._clock = clock
        self._wall = wall
        self._streams = int(config.streams.submissions) + int(config.streams.comments)
        self._roster = Roster(config.reddit.subreddits)
        self._roster.load(coverage.stored.get("absent"))
        self._admission = Admission(self._roster, coverage, fetcher, context, wall, start=config.streams.start)
        self._sweep = Sweep(clock, resumed=bool(coverage.proven_at))
        self._pace = Pace()
        self._repair: Repair | None = None
        self._next_poll = clock()
        self._last_poll: float | None = None
        self._next_prune = clock() + _PRUNE_EVERY
        self._next_repair = clock()
        self._catching_up: float | None = _seconds_since(coverage.stored.get("polled_at"), wall())

    def run(self) -> None:
        """Work until stop is asked. Raises CredentialsRejected and SpoolBroken; everything transient is endured."""
        self._context.ready()
        while not self._context.stop.is_set():
            self._context.beat()
            try:
                self._coverage.check()
                self._turn()
            except Stopped:
                return
            except SpoolBroken:
                raise
            except TransientError as error:
                self._endure(error)

    def _endure(self, error: TransientError) -> None:
        try:
            self._fetcher.pause(error)
        except Stopped:
            self._log.debug("stopped_while_waiting")

    def _turn(self) -> None:
        """Do what is most urgent, or wait for it."""
        now = self._clock()
        if now >= self._next_poll:
            self._poll()
        elif now >= self._next_repair and self._coverage.pending_gaps():
            self._repair_step()
        elif now >= self._sweep.due:
            self._sweep_step()
        elif now >= self._next_prune:
            self._next_prune = now + _PRUNE_EVERY
            self._coverage.prune()
        elif self._roster.next_try() <= self._wall():
            self._admission.retry()
        else:
            self._context.wait(self._idle_seconds(now))

    def _idle_seconds(self, now: float) -> float:
        moments = [self._next_poll, self._sweep.due, self._next_prune]
        if self._coverage.pending_gaps():
            moments.append(self._next_repair)
        absent = self._roster.next_try() - self._wall()
        return max(0.0, min(min(moments) - now, absent, _LONGEST_IDLE))

    def _poll(self) -> None:
        """Walk from the top down to what is proven, and prove what was walked."""
        began = self._clock()
        self._admission.newcomers()
        subreddits = self._roster.active()
        if not subreddits:
            self._next_poll = self._clock() + max(1.0, min(self._roster.next_try() - self._wall(), _LONGEST_IDLE))
            return
        poll = Poll(subreddits, self._coverage, start=self._config.streams.start)
        try:
            poll.run(self._fetcher, self._context.announce, self._log)
        except Unavailable as error:
            self._admission.find_absent(subreddits, error.reason)
            self._sweep.begin_again()
            return
        self._say_caught_up(poll)
        if self._last_poll is not None:
            self._pace = self._pace.observe(poll.new, began - self._last_poll)
        if poll.top is not None:
            self._sweep.polled(poll.top, self._pace.rate)
        self._last_poll = began
        self._next_poll = began + self._interval()

    def _interval(self) -> float:
        quota = self._limiter.state()
        now = self._wall()
        per_request = max(0.0, quota.reset_at - now) / max(1.0, quota.remaining()) * max(1, self._streams)
        return self._pace.interval(self._config.streams.max_poll_interval, quota.spare(now), per_request)

    def _say_caught_up(self, poll: Poll) -> None:
        if self._catching_up is not None and poll.walk.outcome is not Outcome.STALE:
            seconds, self._catching_up = self._catching_up, None
            self._log.info("caught_up", items=poll.new, away_seconds=round(seconds, 1), pages=poll.walk.pages)

    def _repair_step(self) -> None:
        """Fetch one page for the newest gap that can still be repaired."""
        if self._repair is None:
            self._repair = Repair(self._coverage.pending_gaps()[0], self._coverage, self._context.announce, self._log)
        repair = self._repair
        if repair.subreddit in self._roster.absent:
            self._next_repair = self._clock() + _IMPATIENT
            return
        try:
            page = self._fetcher.attempt([repair.subreddit], repair.next_after(), Priority.STREAM)
        except Unavailable as error:
            self._repair = None
            repair.give_up(error.reason)
        except TransientError as error:
            self._log.warning("repair_delayed", subreddit=repair.subreddit, error=str(error))
            self._next_repair = self._clock() + _IMPATIENT
        else:
            self._repair = None  # begun again from the top, should the spool refuse this page
            if not repair.take(page):
                self._repair = repair

    def _sweep_step(self) -> None:
        """Fetch one page of the deeper look."""
        wanted = self._sweep.next_page(self._roster.active())
        if wanted is None:
            return
        subreddits, after = wanted
        if not subreddits:
            self._sweep.begin_again()
            return
        try:
            page = self._fetcher.attempt(subreddits, after, Priority.SWEEP)
        except Unavailable:
            self._sweep.drop()  # the next poll finds out who is absent
            return
        except (QuotaShort, RateLimited) as error:
            self._log.info("deeper_look_delayed", error=str(error))
            self._sweep.put_off(_IMPATIENT / 2)
            return
        except TransientError as error:
            self._log.info("deeper_look_failed", error=str(error))
            self._sweep.failed()
            return
        self._sweep.take(page, self._pace.rate)
        absorbed = self._coverage.absorb_late(page, subreddits)
        if absorbed.new:
            self._context.announce(absorbed.last_seq)
            self._log.info("late_items", found=absorbed.new, subreddits=absorbed.subreddits)


def _seconds_since(moment: object, now: float) -> float | None:
    return max(0.0, now - moment) if isinstance(moment, int | float) else None
