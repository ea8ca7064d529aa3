"""Fetches the authors of a subreddit's hot posts: two calls each, all at once, no author twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from core.errors import TransientError
from core.reddit.request_errors import Unavailable
from scraper.crawl.answer_rate import AnswerRate
from scraper.crawl.confirmation import RefusalConfirmer
from scraper.crawl.doubts import Doubts, PendingRefusal, key_of
from scraper.crawl.parts import FetchFunction
from scraper.crawl.turn_schedule import Tries, is_last, key_of_user
from scraper.parse.posts import found_subreddits, posts
from scraper.parse.users import user
from scraper.reddit.question import Kind, Question
from scraper.reddit.refusal import Unexplained, unexplained
from scraper.reddit.rows import Post, SubredditState, User, UserState
from scraper.store.batches.batch import Batch, Found
from scraper.store.statements.claims import Claims

log = structlog.stdlib.get_logger(__name__)

#: Interval between checks whether another process has stored an author that it claimed first, seconds.
_LOOK_EVERY = 0.5

#: How long a claim of an author holds, seconds; renewing extends it.
CLAIM_SECONDS = 60.0


class UserFetcher(Protocol):
    """The required part of scraper.store.store.Store."""

    async def save(self, batch: Batch) -> None:
        """Return when the batch is committed."""

    async def claim_users(self, usernames: Sequence[str], *, refresh_after: float, seconds: float) -> Claims:
        """Claim the users that were not stored lately and that nobody else is fetching."""

    async def subreddits_of(self, usernames: Sequence[str]) -> list[str]:
        """Return the subreddits of these users' stored posts."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The subreddit of the authors."""

    name: str
    depth: int
    leads_on: bool  #: whether subreddits found in their posts are within the maximum depth

    def found(self, names: Sequence[str]) -> list[Found]:
        """Return rows for subreddits that were found from here."""
        return [Found(name, self.depth + 1, self.name) for name in names] if self.leads_on else []

    def found_in(self, written: Sequence[Post]) -> list[Found]:
        """Return rows for the subreddits of these posts."""
        return self.found(found_subreddits(written)) if self.leads_on else []


@dataclass(slots=True)
class AuthorProgress:
    """The progress with all authors of a subreddit."""

    known: Doubts = field(default_factory=dict)  #: refusals of earlier turns
    doubts: dict[str, PendingRefusal] = field(default_factory=dict)  #: refusals that are not confirmed yet
    failures: dict[str, TransientError] = field(default_factory=dict)
    tries: Tries = field(default_factory=dict)  #: failures of earlier turns
    saved: int = 0
    posts: int = 0


@dataclass(slots=True)
class _Came:
    """The results of the two calls about one author."""

    username: str
    facts: User | None = None
    written: list[Post] | None = None
    refusals: dict[Kind, Unexplained] = field(default_factory=dict)
    failure: TransientError | None = None

    @property
    def is_gone(self) -> bool:
        """Whether both calls answer that there is no such user."""
        missing = [one for one in self.refusals.values() if one.state is SubredditState.MISSING]
        return len(missing) == 2


class AuthorFetcher:
    """Fetches the authors of one subreddit after the other."""

    def __init__(
        self,
        client: FetchFunction,
        store: UserFetcher,
        *,
        standing: AnswerRate,
        confirmer: RefusalConfirmer,
        refresh_after: float,
        at_once: int,
        now: Callable[[], datetime],
        look: float = _LOOK_EVERY,
    ) -> None:
        """`at_once`: authors fetched or saved at one time; the limit keeps the queue for a slow database small."""
        self._client = client
        self._store = store
        self._standing = standing
        self._confirmer = confirmer
        self._refresh_after = refresh_after
        self._now = now
        self._look = look
        self._turnstile = asyncio.Semaphore(at_once)

    async def fetch_authors(self, usernames: Sequence[str], origin: Origin, roll: AuthorProgress) -> None:
        """Return when each author is stored, by any process, or has failed or awaits confirmation (see `roll`)."""
        waiting: Sequence[str] = usernames
        while waiting:
            claims = await self._store.claim_users(waiting, refresh_after=self._refresh_after, seconds=CLAIM_SECONDS)
            if claims.fresh and origin.leads_on:
                # the process that stored them may have been at a larger depth, from which nothing was within the
                # maximum
                found = origin.found(await self._store.subreddits_of(claims.fresh))
                await self._store.save(Batch(found=found))
            came = await asyncio.gather(*(self._bring_one(username, origin, roll) for username in claims.mine))
            # unexplained refusals are judged last: then it is known whether others are answered
            refused = [one for one in came if one is not None]
            await asyncio.gather(*(self._judge(one, usernames, origin, roll) for one in refused))
            waiting = claims.elsewhere
            if waiting:
                await asyncio.sleep(self._look)

    async def _bring_one(self, username: str, origin: Origin, roll: AuthorProgress) -> _Came | None:
        async with self._turnstile:
            return await self._bring(username, origin, roll)

    async def _bring(self, username: str, origin: Origin, roll: AuthorProgress) -> _Came | None:
        """Fetch one author and save the results; return an author with an unexplained refusal."""
        came = _Came(username)
        await asyncio.gather(self._fetch(came, Kind.USER), self._fetch(came, Kind.SUBMITTED))
        if came.failure is not None:
            roll.failures[username] = came.failure
            if is_last(roll.tries, key_of_user(username)):
                await self._keep_what_came(came, origin, roll)
            else:  # left to the next turn
                await self._store.save(Batch(released_users=[username]))
            return None
        if came.facts is not None and came.facts.state == UserState.SUSPENDED and came.written is None:
            came.written = []  # a suspended user's posts are always refused
        facts = came.facts if came.written is not None else None
        self._standing.user_ended(refused=facts is None)
        if facts is None:
            return came
        await self._keep(came, facts, origin, roll)
        return None

    async def _fetch(self, came: _Came, kind: Kind) -> None:
        question = Question(kind, came.username)
        try:
            payload = await self._client.ask(question)
            if kind is Kind.USER:
                came.facts = user(payload, self._now())
            else:
                came.written = self._posts(payload, came.username)
        except Unavailable as refusal:
            self._refused(came, kind, refusal.reason)
        except TransientError as failure:
            refused = unexplained(failure)
            if refused is not None:
                came.refusals[kind] = refused
            else:
                came.failure = failure
        else:
            if kind is Kind.USER or came.written:
                self._standing.good(question)

    def _refused(self, came: _Came, kind: Kind, reason: str) -> None:
        """Accept an explained refusal as a fact."""
        if kind is Kind.USER:
            state = UserState.MISSING if reason == "missing" else UserState.FORBIDDEN
            came.facts = User(came.username, state, self._now())
        else:
            log.debug("posts_of_user_refused", username=came.username, reason=reason)
            came.written = []

    def _posts(self, payload: object, username: str) -> list[Post]:
        listing = posts(payload, self._now())
        if listing.odd:
            log.warning("odd_posts", username=username, count=listing.odd)
        return listing.rows

    async def _judge(self, came: _Came, everybody: Sequence[str], origin: Origin, roll: AuthorProgress) -> None:
        """Save the state that a refusal proves by now, or leave it to be confirmed later."""
        kind = Kind.USER if Kind.USER in came.refusals else Kind.SUBMITTED
        question, refusal = Question(kind, came.username), came.refusals[kind]
        if came.is_gone and self._standing.is_recent(of_user=True) and not self._standing.refuses_many_users:
            # Reddit answers 404 to both calls for a missing user, and others are answered
            await self._keep(came, User(came.username, UserState.MISSING, self._now()), origin, roll)
            return
        doubt, is_fact = await self._confirmer.meet(question, refusal, roll.known.get(key_of(question)), everybody)
        if not is_fact:
            roll.doubts[key_of(question)] = doubt
            await self._store.save(Batch(released_users=[came.username]))
            return
        facts = came.facts or User(came.username, UserState(doubt.state), self._now(), moved_to=doubt.target)
        await self._keep(came, facts, origin, roll)

    async def _keep(self, came: _Came, facts: User, origin: Origin, roll: AuthorProgress) -> None:
        written = came.written or []
        await self._store.save(Batch(users=[facts], posts=written, found=origin.found_in(written)))
        roll.saved += 1
        roll.posts += len(written)

    async def _keep_what_came(self, came: _Came, origin: Origin, roll: AuthorProgress) -> None:
        """Save one of the two answers: the other one has failed too often to wait for it."""
        if came.facts is not None:
            await self._keep(came, came.facts, origin, roll)
            return
        written = came.written or []
        batch = Batch(posts=written, found=origin.found_in(written), released_users=[came.username])
        await self._store.save(batch)
        roll.posts += len(written)
