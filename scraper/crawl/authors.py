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
from scraper.crawl.parts import FetchFunction
from scraper.crawl.pending_refusals import PendingRefusal, PendingRefusals, key_of
from scraper.crawl.turn_schedule import Tries, is_last, key_of_user
from scraper.crawl.work_ahead import WorkAhead
from scraper.parse.posts import found_subreddits, posts
from scraper.parse.users import user
from scraper.reddit.question import Kind, Question
from scraper.reddit.refusal import Unexplained, unexplained
from scraper.reddit.rows import Post, SubredditState, User, UserState
from scraper.store.batches.batch import Batch, Found
from scraper.store.statements.claims import Claims

log = structlog.stdlib.get_logger(__name__)

#: Interval between checks whether another process has stored an author that it claimed first, seconds.
_POLL_INTERVAL_S = 0.5

#: How long a claim of an author holds, seconds; renewing extends it.
CLAIM_SECONDS = 60.0


class AuthorStore(Protocol):
    """The part of scraper.store.store.Store that saves authors."""

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

    known: PendingRefusals = field(default_factory=dict)  #: refusals of earlier turns
    doubts: dict[str, PendingRefusal] = field(default_factory=dict)  #: refusals that are not confirmed yet
    failures: dict[str, TransientError] = field(default_factory=dict)
    tries: Tries = field(default_factory=dict)  #: failures of earlier turns
    saved: int = 0
    posts: int = 0


@dataclass(slots=True)
class _AuthorAnswers:
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
        store: AuthorStore,
        *,
        answer_rate: AnswerRate,
        confirmer: RefusalConfirmer,
        refresh_after: float,
        at_once: int,
        ahead: WorkAhead,
        now: Callable[[], datetime],
        poll_interval: float = _POLL_INTERVAL_S,
    ) -> None:
        """`at_once`: authors fetched or saved at one time; the limit keeps the queue for a slow database small."""
        self._client = client
        self._store = store
        self._answer_rate = answer_rate
        self._confirmer = confirmer
        self._refresh_after = refresh_after
        self._ahead = ahead
        self._now = now
        self._poll_interval = poll_interval
        self._slots = asyncio.Semaphore(at_once)

    async def fetch_authors(self, usernames: Sequence[str], origin: Origin, progress: AuthorProgress) -> None:
        """Return when each author is stored, by any process, or has failed or awaits confirmation (see `progress`)."""
        waiting: Sequence[str] = usernames
        while waiting:
            claims = await self._store.claim_users(waiting, refresh_after=self._refresh_after, seconds=CLAIM_SECONDS)
            self._ahead.known(origin.name, len(claims.mine))
            self._ahead.add(len(claims.mine))
            if claims.fresh and origin.leads_on:
                # the process that stored them may have been at a larger depth, from which nothing was within the
                # maximum
                found = origin.found(await self._store.subreddits_of(claims.fresh))
                await self._store.save(Batch(found=found))
            answers = await asyncio.gather(
                *(self._fetch_in_turn(username, origin, progress) for username in claims.mine)
            )
            # unexplained refusals are judged last: then it is known whether others are answered
            refused = [one for one in answers if one is not None]
            await asyncio.gather(*(self._judge_refusal(one, usernames, origin, progress) for one in refused))
            waiting = claims.elsewhere
            if waiting:
                await asyncio.sleep(self._poll_interval)

    async def _fetch_in_turn(self, username: str, origin: Origin, progress: AuthorProgress) -> _AuthorAnswers | None:
        try:
            async with self._slots:
                return await self._fetch_author(username, origin, progress)
        finally:
            self._ahead.done()

    async def _fetch_author(self, username: str, origin: Origin, progress: AuthorProgress) -> _AuthorAnswers | None:
        """Fetch one author and save the results; return an author with an unexplained refusal."""
        answers = _AuthorAnswers(username)
        await asyncio.gather(self._fetch_answer(answers, Kind.USER), self._fetch_answer(answers, Kind.SUBMITTED))
        if answers.failure is not None:
            progress.failures[username] = answers.failure
            if is_last(progress.tries, key_of_user(username)):
                await self._save_partly(answers, origin, progress)
            else:  # left to the next turn
                await self._store.save(Batch(released_users=[username]))
            return None
        if answers.facts is not None and answers.facts.state == UserState.SUSPENDED and answers.written is None:
            answers.written = []  # a suspended user's posts are always refused
        facts = answers.facts if answers.written is not None else None
        self._answer_rate.user_ended(refused=facts is None)
        if facts is None:
            return answers
        await self._save(answers, facts, origin, progress)
        return None

    async def _fetch_answer(self, answers: _AuthorAnswers, kind: Kind) -> None:
        question = Question(kind, answers.username)
        try:
            payload = await self._client.ask(question)
            if kind is Kind.USER:
                answers.facts = user(payload, self._now())
            else:
                answers.written = self._posts(payload, answers.username)
        except Unavailable as refusal:
            self._refused(answers, kind, refusal.reason)
        except TransientError as failure:
            refused = unexplained(failure)
            if refused is not None:
                answers.refusals[kind] = refused
            else:
                answers.failure = failure
        else:
            if kind is Kind.USER or answers.written:
                self._answer_rate.good(question)

    def _refused(self, answers: _AuthorAnswers, kind: Kind, reason: str) -> None:
        """Accept an explained refusal as a fact."""
        if kind is Kind.USER:
            state = UserState.MISSING if reason == "missing" else UserState.FORBIDDEN
            answers.facts = User(answers.username, state, self._now())
        else:
            log.debug("posts_of_user_refused", username=answers.username, reason=reason)
            answers.written = []

    def _posts(self, payload: object, username: str) -> list[Post]:
        listing = posts(payload, self._now())
        if listing.odd:
            log.warning("odd_posts", username=username, count=listing.odd)
        return listing.rows

    async def _judge_refusal(
        self, answers: _AuthorAnswers, usernames: Sequence[str], origin: Origin, progress: AuthorProgress
    ) -> None:
        """Save the state that a refusal proves by now, or leave it to be confirmed later."""
        kind = Kind.USER if Kind.USER in answers.refusals else Kind.SUBMITTED
        question, refusal = Question(kind, answers.username), answers.refusals[kind]
        if answers.is_gone and self._answer_rate.is_recent(of_user=True) and not self._answer_rate.refuses_many_users:
            # Reddit answers 404 to both calls for a missing user, and others are answered
            await self._save(answers, User(answers.username, UserState.MISSING, self._now()), origin, progress)
            return
        doubt, is_fact = await self._confirmer.record(
            question, refusal, progress.known.get(key_of(question)), usernames
        )
        if not is_fact:
            progress.doubts[key_of(question)] = doubt
            await self._store.save(Batch(released_users=[answers.username]))
            return
        facts = answers.facts or User(answers.username, UserState(doubt.state), self._now(), moved_to=doubt.target)
        await self._save(answers, facts, origin, progress)

    async def _save(self, answers: _AuthorAnswers, facts: User, origin: Origin, progress: AuthorProgress) -> None:
        written = answers.written or []
        await self._store.save(Batch(users=[facts], posts=written, found=origin.found_in(written)))
        progress.saved += 1
        progress.posts += len(written)

    async def _save_partly(self, answers: _AuthorAnswers, origin: Origin, progress: AuthorProgress) -> None:
        """Save one of the two answers: the other one has failed too often to wait for it."""
        if answers.facts is not None:
            await self._save(answers, answers.facts, origin, progress)
            return
        written = answers.written or []
        batch = Batch(posts=written, found=origin.found_in(written), released_users=[answers.username])
        await self._store.save(batch)
        progress.posts += len(written)
