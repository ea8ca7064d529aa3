"""The job of one subreddit: its five parts, its authors, then the figures; what fails stays in its remaining work."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from core.config.slices import ScraperConfig
from core.errors import TransientError
from scraper.crawl import parts, pending_refusals, turn_schedule
from scraper.crawl.answer_rate import AnswerRate
from scraper.crawl.authors import AuthorFetcher, AuthorProgress, AuthorStore, Origin
from scraper.crawl.confirmation import RefusalConfirmer
from scraper.crawl.crawl_counters import CrawlCounters
from scraper.crawl.parts import Fetched, FetchFunction, fetch_parts
from scraper.crawl.pending_refusals import PendingRefusal, PendingRefusals
from scraper.crawl.turn_schedule import Tries, are_used_up, describe_failures, is_last, key_of_user, tries_after_turn
from scraper.crawl.work_ahead import WorkAhead
from scraper.http.transport.route import ProxyResting
from scraper.parse.figures import author_figures, post_figures
from scraper.parse.posts import authors, distinct
from scraper.reddit.question import Kind, Question
from scraper.reddit.refusal import Mismatch
from scraper.reddit.rows import Subreddit, SubredditState
from scraper.store.batches.batch import Batch, Found, Lease, Progress, RemainingWork, SaveOutcome

log = structlog.stdlib.get_logger(__name__)

POSTS_ONLY = "posts_only"

#: Authors per connection in one process: two calls each, and the wait for the database after them.
_AUTHORS = 3


class JobStore(AuthorStore, Protocol):
    """The required part of scraper.store.store.Store."""

    @property
    def holder(self) -> str:
        """The name of this process in leases."""

    async def author_facts(self, usernames: Sequence[str]) -> list[tuple[datetime | None, int | None, int | None]]:
        """Return the stored facts of these users."""


@dataclass(slots=True)
class _Turn:
    """One turn: the work, the results, the unconfirmed refusals."""

    lease: Lease
    todo: RemainingWork
    known: PendingRefusals  #: of earlier turns
    arrived: Fetched
    doubts: dict[str, PendingRefusal]  #: refusals of this turn that are not confirmed yet
    failures: dict[str, TransientError] = field(default_factory=dict)  #: of parts and authors
    tries: Tries = field(default_factory=dict)  #: turns in which they failed, with this one

    @property
    def is_open(self) -> bool:
        """Whether the facts are known: the subreddit can be read."""
        return parts.ABOUT not in self.todo.parts or self.arrived.subreddit is not None

    @property
    def can_end(self) -> bool:
        """Whether it can be finished: with its facts, or without them if they fail for good and the rest arrives."""
        if self.is_open:
            return True
        is_known = self.arrived.names_it or parts.HOT not in self.todo.parts
        return parts.ABOUT in self.failures and is_last(self.todo.tries, parts.ABOUT) and is_known

    @property
    def was_pending(self) -> bool:
        """Whether an earlier turn has finished it, except for unconfirmed refusals."""
        return bool(self.known) and parts.ABOUT not in self.todo.parts


class SubredditJob:
    """Runs the turns of subreddits; one instance serves all turns of this process."""

    def __init__(
        self,
        client: FetchFunction,
        store: JobStore,
        config: ScraperConfig,
        counters: CrawlCounters,
        *,
        now: Callable[[], datetime],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._store = store
        self._config = config
        self._counters = counters
        self._now = now
        self._draw = draw
        self._answer_rate = AnswerRate(client, config.subreddits, now)
        self._confirmer = RefusalConfirmer(self._answer_rate, store.holder, now, has_others=len(config.processes) > 1)
        self.ahead = WorkAhead(config.users_per_subreddit)
        self._authors = AuthorFetcher(
            client,
            store,
            answer_rate=self._answer_rate,
            confirmer=self._confirmer,
            refresh_after=config.refresh_after,
            at_once=_AUTHORS * config.concurrency,
            ahead=self.ahead,
            now=now,
        )

    async def run(self, lease: Lease) -> None:
        """Do the remaining work of this subreddit, and end the lease. Raises errors that no later turn could repair."""
        self.ahead.begin(lease.name)
        try:
            await self._run_turn(lease)
        finally:
            self.ahead.known(lease.name, 0)

    async def _run_turn(self, lease: Lease) -> None:
        todo = lease.todo or RemainingWork(parts.ALL, None, lease.tries)
        arrived = await fetch_parts(self._client, lease.name, todo.parts, self._now, self._answer_rate)
        turn = _Turn(lease, todo, pending_refusals.load(lease.doubts), arrived, {}, dict(arrived.failures))
        closed = await self._judge_refusals(turn)
        if closed is not None:
            await self._close(turn, closed)
            return
        left = self._remaining_work(turn)
        await self._save(turn, left)
        progress = AuthorProgress(known=turn.known, tries=todo.tries)
        can_end = turn.can_end
        are_compared = arrived.rules is None or arrived.rules_compared
        turn.arrived = Fetched(subreddit=arrived.subreddit)  # the posts are saved; the authors take time
        del arrived
        if left.authors and can_end:
            origin = Origin(lease.name, lease.depth, self._config.discover and lease.depth < self._config.max_depth)
            await self._authors.fetch_authors(left.authors, origin, progress)
            self._counters.users += progress.saved
            self._counters.posts += progress.posts
        if not are_compared and can_end and self._client.mixes_up:
            left = await self._compare_rules(turn, left)
        turn.doubts |= progress.doubts
        turn.failures |= {key_of_user(username): failure for username, failure in progress.failures.items()}
        turn.tries = tries_after_turn(todo.tries, turn.failures)
        await self._end_turn(turn, left, progress, can_end=can_end)

    async def give_back(self, lease: Lease) -> None:
        """End the lease of a turn interrupted by no fault of its own: it may begin again at once."""
        self._counters.given_back += 1
        await self._store.save(Batch(given_back=[lease.name]))

    async def fail(self, lease: Lease, error: Exception) -> None:
        """End the lease of a turn interrupted by an error of ours: it is retried, each time later."""
        await self._retry_later(lease, f"{type(error).__name__}: {error}", lease.doubts)

    async def _retry_later(
        self, lease: Lease, error: str, doubts: str | None, left: RemainingWork | None = None
    ) -> datetime:
        self._counters.failures += 1
        due = turn_schedule.after_failure(lease.attempts, self._now(), self._draw, self._config.refresh_after)
        outcome = SaveOutcome(lease.name, state="failed", finished=False, due_at=due, error=error, doubts=doubts)
        progress = [Progress(lease.name, left)] if left is not None else []
        await self._store.save(Batch(progress=progress, outcomes=[outcome]))
        return due

    async def _judge_refusals(self, turn: _Turn) -> PendingRefusal | None:
        """Sort unexplained refusals into facts and unconfirmed ones; return one that closes the subreddit, or None."""
        arrived = turn.arrived
        # while the facts are refused, the other parts decide nothing
        decisive = [parts.ABOUT] if parts.ABOUT in arrived.unexplained else list(arrived.unexplained)
        for part in decisive:
            refusal = arrived.unexplained[part]
            question = Question(Kind(part), turn.lease.name)
            doubt, is_fact = await self._confirmer.record(question, refusal, turn.known.get(part))
            if not is_fact:
                turn.doubts[part] = doubt
            elif part == parts.ABOUT:
                return doubt
            else:
                del arrived.unexplained[part]
                if refusal.state is SubredditState.OPEN:
                    arrived.listings[part] = []  # there are indeed no posts
                else:
                    arrived.refusals[part] = doubt.text
        reason = arrived.refusals.get(parts.ABOUT)
        return (
            pending_refusals.explained(turn_schedule.state_of(reason), reason, self._now())
            if reason is not None
            else None
        )

    def _remaining_work(self, turn: _Turn) -> RemainingWork:
        """Return what is still to fetch.

        That is everything while no answer has named the subreddit: rules and empty listings may be those of another.
        """
        if not turn.is_open and not turn.arrived.names_it:
            return turn.todo
        return RemainingWork(turn.arrived.missing_parts, self._authors_to_fetch(turn), turn.todo.tries)

    def _authors_to_fetch(self, turn: _Turn) -> tuple[str, ...] | None:
        """Return the authors to fetch; None while the hot posts have not arrived."""
        if turn.lease.review == POSTS_ONLY:
            return ()
        arrived = turn.arrived
        if parts.HOT in arrived.listings:
            return authors(arrived.listings[parts.HOT], self._config.users_per_subreddit)
        return () if parts.HOT in arrived.refusals else turn.todo.authors

    async def _save(self, turn: _Turn, left: RemainingWork) -> None:
        """Save the results together with the remaining work: a kill after this loses nothing of them."""
        lease, arrived = turn.lease, turn.arrived
        facts = arrived.subreddit
        name = facts.name if facts is not None else lease.name
        is_named = turn.is_open or arrived.names_it
        rules = [rule._replace(subreddit_name=name) for rule in arrived.rules or ()] if is_named else []
        batch = Batch(
            subreddits=[facts] if facts is not None else [],
            rules={name: rules} if arrived.rules is not None and is_named else {},
            posts=arrived.posts,
            progress=[Progress(lease.name, left)],
        )
        if parts.HOT in arrived.listings and is_named:
            batch.post_figures[name] = post_figures(arrived.listings[parts.HOT], self._now())
        await self._store.save(batch)
        self._counters.posts += len(batch.posts)
        self._counters.rules += len(rules)
        if arrived.odd:
            log.warning("odd_posts", subreddit=lease.name, count=arrived.odd)
        for part, reason in arrived.refusals.items():
            log.info("part_refused", subreddit=lease.name, part=part, reason=reason)

    async def _compare_rules(self, turn: _Turn, left: RemainingWork) -> RemainingWork:
        """Fetch the rules again: the answers about the authors show that the proxy mixes answers up."""
        lease, facts = turn.lease, turn.arrived.subreddit
        again = await fetch_parts(self._client, lease.name, [parts.RULES], self._now, self._answer_rate)
        if again.rules is None:
            turn.failures[parts.RULES] = again.failures.get(parts.RULES) or Mismatch("unconfirmed rules")
            return replace(left, parts=(*left.parts, parts.RULES))
        name = facts.name if facts is not None else lease.name
        await self._store.save(Batch(rules={name: [rule._replace(subreddit_name=name) for rule in again.rules]}))
        return left

    async def _close(self, turn: _Turn, why: PendingRefusal) -> None:
        """Record why it cannot be read, and when it is requested again."""
        lease, now, state = turn.lease, self._now(), SubredditState(why.state)
        closed = pending_refusals.count_closed(turn.known, why)
        due, known = (
            turn_schedule.after_refusal(state, now, closed.count),
            pending_refusals.dump({pending_refusals.CLOSED: closed}),
        )
        batch = Batch(
            posts=turn.arrived.posts,
            outcomes=[SaveOutcome(lease.name, state, finished=True, due_at=due, error=why.text, doubts=known)],
        )
        if state is SubredditState.MISSING:
            batch.missing.append((lease.name, now))
        else:
            batch.subreddits.append(Subreddit(lease.name, state, now, moved_to=why.target))
        if state is SubredditState.MOVED and self._config.discover:
            batch.found += [Found(name, lease.depth, lease.name) for name in distinct([why.target])]
        await self._store.save(batch)
        self._counters.subreddits += 1
        log.info("subreddit_refused", subreddit=lease.name, state=str(state), reason=why.text, moved_to=why.target)

    async def _end_turn(self, turn: _Turn, left: RemainingWork, progress: AuthorProgress, *, can_end: bool) -> None:
        """End the turn: finish the subreddit, or schedule the remaining work."""
        failures = turn.failures
        if any(isinstance(failure, ProxyResting) for failure in failures.values()):
            # that is the proxy's fault: the next turn may begin at once
            await self.give_back(turn.lease)
        elif parts.ABOUT in turn.doubts:
            await self._wait_for_confirmation(turn)
        elif are_used_up(turn.tries) and can_end:
            log.warning(
                "parts_given_up",
                subreddit=turn.lease.name,
                parts=list(failures),
                hint="they are fetched again at the next refresh",
            )
            await self._finish(turn, left, progress)
        elif failures or (left.authors is None and not turn.doubts):
            await self._put_back(turn, left)
        else:
            await self._finish(turn, left, progress)

    async def _finish(self, turn: _Turn, left: RemainingWork, progress: AuthorProgress) -> None:
        """Finish it with everything that arrived; unconfirmed refusals are requested again on their own."""
        lease = turn.lease
        batch = Batch(outcomes=[self._finished_outcome(turn)])
        if turn.failures or left.tries:
            waiting = tuple(part for part in left.parts if part not in turn.failures)
            batch.progress.append(Progress(lease.name, replace(left, parts=waiting, tries=turn.tries)))
        if left.authors:
            facts = await self._store.author_facts(left.authors)
            batch.author_figures[lease.name] = author_figures(facts, self._now())
        await self._store.save(batch)
        if not turn.was_pending:
            self._counters.subreddits += 1
            self._counters.finish_rate.finished(self._now().timestamp())
        log.debug("subreddit_done", subreddit=lease.name, users=progress.saved, posts_of_users=progress.posts)

    def _finished_outcome(self, turn: _Turn) -> SaveOutcome:
        lease, error = turn.lease, describe_failures(turn.failures) if turn.failures else None
        state = SubredditState.OPEN if turn.is_open else "failed"
        done = SaveOutcome(
            lease.name, state, finished=True, error=error, depth=lease.depth, doubts=pending_refusals.dump(turn.doubts)
        )
        if not turn.doubts:
            return done
        now = self._now()
        due, avoid_until = pending_refusals.next_check(turn.doubts, now, has_others=self._confirmer.has_others)
        done = done._replace(error=next(iter(turn.doubts.values())).text)
        if due >= now + timedelta(seconds=self._config.refresh_after):
            return done  # the next refresh comes sooner, and requests everything
        return done._replace(due_at=due, avoid_until=avoid_until, pending=True)

    async def _wait_for_confirmation(self, turn: _Turn) -> None:
        """Put it back until its refusal is confirmed, or proves to be the fault of something else."""
        lease = turn.lease
        due, avoid_until = pending_refusals.next_check(turn.doubts, self._now(), has_others=self._confirmer.has_others)
        text = next(iter(turn.doubts.values())).text
        closed = {key: doubt for key, doubt in turn.known.items() if key == pending_refusals.CLOSED}
        await self._store.save(
            Batch(
                outcomes=[
                    SaveOutcome(
                        lease.name,
                        state="unconfirmed",
                        finished=False,
                        due_at=due,
                        error=text,
                        doubts=pending_refusals.dump({**closed, **turn.doubts}),
                        avoid_until=avoid_until,
                    )
                ]
            )
        )
        self._counters.failures += 1

    async def _put_back(self, turn: _Turn, left: RemainingWork) -> None:
        lease, failures = turn.lease, list(turn.failures.values())
        error = str(failures[0]) if failures else "the hot posts have not arrived"
        unanswered = {key: doubt for key, doubt in turn.known.items() if key in left.parts or key not in parts.ALL}
        doubts = pending_refusals.dump({**unanswered, **turn.doubts})
        due = await self._retry_later(lease, error, doubts, replace(left, tries=turn.tries))
        log.warning(
            "subreddit_put_back",
            subreddit=lease.name,
            failures=len(failures),
            first=error,
            attempts=lease.attempts + 1,
            next_try=due.isoformat(timespec="seconds"),
        )
