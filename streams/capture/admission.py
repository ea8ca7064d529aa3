"""Subreddits that come and go: newcomers, those that cannot be read for a while, and their return."""

from collections.abc import Callable

from core.child import ChildContext
from core.quota import Priority
from core.reddit.errors import Unavailable
from core.spool import Batch, SpoolError
from streams.capture.coverage import Coverage
from streams.capture.fetcher import Fetcher
from streams.capture.roster import Roster
from streams.capture.walk import Outcome, Walk


class Admission:
    """Keeps the roster true to what Reddit lets us read, and the coverage true to the roster."""

    def __init__(
        self,
        roster: Roster,
        coverage: Coverage,
        fetcher: Fetcher,
        context: ChildContext,
        wall: Callable[[], float],
        *,
        start: str,
    ) -> None:
        self._roster = roster
        self._coverage = coverage
        self._fetcher = fetcher
        self._context = context
        self._log = context.log
        self._wall = wall
        self._backlog = start == "backlog"

    def newcomers(self) -> None:
        """Walk the own listing of each subreddit that joined since the last run."""
        if not self._coverage.proven_at:
            return  # the very first walk takes them all in together
        for name in self._roster.active():
            if self._coverage.moment([name]) is None:
                try:
                    self._backfill(name, deliver=self._backlog)
                except Unavailable as error:
                    self._set_aside(name, error.reason)

    def _backfill(self, name: str, *, deliver: bool) -> None:
        """Take in all that the subreddit's listing holds (or only remember it), then count it as proven."""
        coverage = self._coverage
        walk = Walk(proven=lambda _name: False)
        # newer items stand in the combined listing above items of others that nobody has met yet
        common = coverage.common_moment(self._roster.active())
        newest: float | None = None
        new = 0
        while walk.outcome is None:
            page = self._fetcher.page([name], walk.next_after(), Priority.STREAM)
            walk.take(page)
            newest = coverage.sane(page.items, newest)
            change = coverage.proof([name], newest) if walk.outcome is Outcome.ENDED else None
            if change is not None:
                change.prove_epoch = None  # names that an abandoned walk has met in other listings stay unproven
            absorbed = coverage.absorb(
                page,
                epoch=coverage.epoch,
                proven_until=common,
                deliver_after=float("-inf" if deliver else "inf"),
                change=change,
            )
            new += absorbed.new
            if absorbed.delivered:
                self._context.announce(absorbed.last_seq)
        if walk.outcome is Outcome.ENDED:
            self._log.info("subreddit_joined", subreddit=name, items=new, delivered=deliver)

    def find_absent(self, subreddits: tuple[str, ...], reason: str) -> None:
        """Find out which of these made a request fail, and set those aside."""
        if len(subreddits) == 1:
            self._set_aside(subreddits[0], reason)
            return
        found = 0
        halves = [subreddits[: len(subreddits) // 2], subreddits[len(subreddits) // 2 :]]
        while halves:
            group = halves.pop()
            try:
                self._probe(group)
            except Unavailable as error:
                if len(group) == 1:
                    self._set_aside(group[0], error.reason)
                    found += 1
                else:
                    halves += [group[: len(group) // 2], group[len(group) // 2 :]]
        if not found:
            self._log.warning("subreddits_refused_together", reason=reason, hint="each alone answers: trying again")
            self._context.wait(1.0)

    def _probe(self, subreddits: tuple[str, ...]) -> None:
        """Ask for the newest page; what it shows may be removed before anybody asks again, so it is taken in."""
        page = self._fetcher.page(subreddits, None, Priority.STREAM)
        if self._backlog or self._coverage.moment(subreddits) is not None:
            absorbed = self._coverage.absorb(page)
            if absorbed.delivered:
                self._context.announce(absorbed.last_seq)

    def _set_aside(self, name: str, reason: str) -> None:
        before = dict(self._roster.absent)
        absence = self._roster.exclude(name, reason, self._wall())
        try:
            self._coverage.store(absent=self._roster.dump())
        except SpoolError:
            # else a start after this one would ask for it with the others, and nobody would walk what it missed
            self._roster.absent = before
            raise
        returning = name in before
        log = self._log.info if returning else self._log.error
        log(
            "subreddit_unavailable",
            subreddit=name,
            reason=reason,
            retry_in_seconds=round(absence.next_try - self._wall()),
            hint="the others go on; what it shows on its return is walked then",
        )

    def retry(self) -> None:
        """Try the absent subreddit that is due; take it back, with a gap to be repaired for the time between."""
        name = self._roster.due(self._wall())
        if name is None:
            return
        try:
            self._probe((name,))
        except Unavailable as error:
            self._set_aside(name, error.reason)
            return
        absence = self._roster.absent[name]
        others = {other: stored for other, stored in self._roster.dump().items() if other != name}
        change = Batch(cursor={"absent": others})
        if self._coverage.moment([name]) is not None:
            reason = f"r/{name} was {absence.reason}"
            change.gaps.append(self._coverage.new_gap((name,), self._wall(), reason, repairable=True))
            change.cursor["epoch"] = self._coverage.epoch
        self._coverage.apply(change)
        self._roster.readmit(name)
        self._log.info("subreddit_available_again", subreddit=name, away_seconds=round(self._wall() - absence.since))
