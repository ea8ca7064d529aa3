"""One subreddit's turn: its five parts, then its authors, then the figures; what fails stays on its list."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from core.errors import TransientError
from scraper.crawl import parts, schedule
from scraper.crawl.authors import Authors, Origin, Roll, Users
from scraper.crawl.parts import Arrived, Fetcher, fetch_parts
from scraper.crawl.settings import CrawlSettings
from scraper.crawl.tally import Tally
from scraper.fetch.errors import ProxyResting
from scraper.parse.figures import author_figures, post_figures
from scraper.parse.posts import authors
from scraper.rows import Subreddit, SubredditState
from scraper.store.batch import Batch, Outcome, Progress
from scraper.store.todo import Lease, Todo

log = structlog.stdlib.get_logger(__name__)

POSTS_ONLY = "posts_only"

#: So many authors for each connection, in one process: two calls each, and the wait for the database after them.
_AUTHORS = 3


class Keeper(Users, Protocol):
    """What is needed of scraper.store.store.Store."""

    async def author_facts(self, usernames: Sequence[str]) -> list[tuple[datetime | None, int | None, int | None]]:
        """Return what is stored of these users."""


class Visitor:
    """Visits subreddits; what it is made of serves all visits of this process."""

    def __init__(
        self,
        client: Fetcher,
        store: Keeper,
        settings: CrawlSettings,
        tally: Tally,
        *,
        now: Callable[[], datetime],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._tally = tally
        self._now = now
        self._chance = chance
        self._authors = Authors(
            client, store, refresh_after=settings.refresh_after, at_once=_AUTHORS * settings.concurrency, now=now
        )

    async def visit(self, lease: Lease) -> None:
        """Do all that this subreddit still needs, and end the lease. Raises what no later turn could mend."""
        todo = lease.todo or Todo(parts.ALL, None)
        arrived = await fetch_parts(self._client, lease.name, todo.parts, self._now)
        if parts.ABOUT in arrived.refusals:
            await self._refused(lease, arrived)
            return
        left = Todo(arrived.missing_parts, self._names(lease, todo, arrived))
        await self._keep(lease, arrived, left)
        roll = Roll()
        failures = list(arrived.failures.values())
        del arrived  # its posts are saved; the authors take their time
        if left.authors and parts.ABOUT not in left.parts:
            origin = Origin(lease.name, lease.depth, self._settings.leads_on(lease.depth))
            await self._authors.bring_in(left.authors, origin, roll)
            self._tally.users += roll.saved
            self._tally.posts += roll.posts
        await self._end(lease, left, [*failures, *roll.failures.values()], roll)

    async def give_back(self, lease: Lease) -> None:
        """End the lease of a visit that was broken off by nobody's fault here: it may begin again at once."""
        self._tally.given_back += 1
        await self._store.save(Batch(given_back=[lease.name]))

    async def fail(self, lease: Lease, error: Exception) -> None:
        """End the lease of a visit that was broken off by an error of ours: it comes again, each time later."""
        await self._later(lease, f"{type(error).__name__}: {error}")

    async def _later(self, lease: Lease, error: str) -> datetime:
        self._tally.failures += 1
        due = schedule.after_failure(lease.attempts, self._now(), self._chance)
        outcome = Outcome(lease.name, state="failed", finished=False, due_at=due, error=error)
        await self._store.save(Batch(outcomes=[outcome]))
        return due

    def _names(self, lease: Lease, todo: Todo, arrived: Arrived) -> tuple[str, ...] | None:
        """Return the authors to bring in; None while the hot posts have not come."""
        if lease.review == POSTS_ONLY:
            return ()
        if parts.HOT in arrived.listings:
            return authors(arrived.listings[parts.HOT], self._settings.users_per_subreddit)
        return () if parts.HOT in arrived.refusals else todo.authors

    async def _keep(self, lease: Lease, arrived: Arrived, left: Todo) -> None:
        """Save what came, together with what is left: a kill after this loses nothing of it."""
        facts = arrived.subreddit
        name = facts.name if facts is not None else lease.name
        rules = [rule._replace(subreddit_name=name) for rule in arrived.rules or ()]
        batch = Batch(
            subreddits=[facts] if facts is not None else [],
            rules={name: rules} if arrived.rules is not None else {},
            posts=arrived.posts,
            progress=[Progress(lease.name, left)],
        )
        if parts.HOT in arrived.listings:
            batch.post_figures[name] = post_figures(arrived.listings[parts.HOT], self._now())
        await self._store.save(batch)
        self._tally.posts += len(batch.posts)
        self._tally.rules += len(rules)
        if arrived.odd:
            log.warning("odd_posts", subreddit=lease.name, count=arrived.odd)
        for part, reason in arrived.refusals.items():
            log.info("part_refused", subreddit=lease.name, part=part, reason=reason)

    async def _refused(self, lease: Lease, arrived: Arrived) -> None:
        """Write down why it cannot be read, and when it is asked for again."""
        now, reason = self._now(), arrived.refusals[parts.ABOUT]
        state = schedule.state_of(reason)
        batch = Batch(
            posts=arrived.posts,
            outcomes=[
                Outcome(lease.name, state, finished=True, due_at=schedule.after_refusal(state, now), error=reason)
            ],
        )
        if state is SubredditState.MISSING:
            batch.missing.append((lease.name, now))
        else:
            batch.subreddits.append(Subreddit(lease.name, state, now))
        await self._store.save(batch)
        self._tally.subreddits += 1
        log.info("subreddit_refused", subreddit=lease.name, state=str(state), reason=reason)

    async def _end(self, lease: Lease, left: Todo, failures: Sequence[TransientError], roll: Roll) -> None:
        """End the turn: done, or what is left comes again."""
        if not failures and left.authors is not None:
            batch = Batch(outcomes=[Outcome(lease.name, SubredditState.OPEN, finished=True, depth=lease.depth)])
            if left.authors:
                facts = await self._store.author_facts(left.authors)
                batch.author_figures[lease.name] = author_figures(facts, self._now())
            await self._store.save(batch)
            self._tally.subreddits += 1
            self._tally.pace.finished(self._now().timestamp())
            log.debug("subreddit_done", subreddit=lease.name, users=roll.saved, posts_of_users=roll.posts)
            return
        await self._put_back(lease, failures)

    async def _put_back(self, lease: Lease, failures: Sequence[TransientError]) -> None:
        if any(isinstance(failure, ProxyResting) for failure in failures):
            # that is the proxy's fault: the next one may begin at once
            await self.give_back(lease)
            return
        error = str(failures[0]) if failures else "the hot posts have not come"
        due = await self._later(lease, error)
        log.warning(
            "subreddit_put_back",
            subreddit=lease.name,
            failures=len(failures),
            first=error,
            attempts=lease.attempts + 1,
            next_try=due.isoformat(timespec="seconds"),
        )
