"""The authors of a subreddit's hot posts: two calls each, all at once, nobody twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from core.errors import TransientError
from core.reddit.errors import Unavailable
from scraper.crawl.parts import RAW, Fetcher, Params
from scraper.parse.posts import found_subreddits, posts
from scraper.parse.users import user
from scraper.rows import Post, User, UserState
from scraper.store.batch import Batch, Found
from scraper.store.claims import Claims

log = structlog.stdlib.get_logger(__name__)

_SUBMITTED: Params = {"limit": 30, **RAW}

#: How often to look whether another process has brought in an author whom it took first, seconds.
_LOOK_EVERY = 0.5

#: A process that takes an author has so long to bring him in, seconds; longer by renewing.
CLAIM_SECONDS = 60.0


class Users(Protocol):
    """What is needed of scraper.store.store.Store."""

    async def save(self, batch: Batch) -> None:
        """Return when it is committed."""

    async def claim_users(self, usernames: Sequence[str], *, refresh_after: float, seconds: float) -> Claims:
        """Take those whom nobody has brought in lately, and nobody is bringing in."""

    async def subreddits_of(self, usernames: Sequence[str]) -> list[str]:
        """Name the subreddits of these users' stored posts."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The subreddit whose authors they are."""

    name: str
    depth: int
    leads_on: bool  #: whether what their posts lead to is still within reach

    def found(self, names: Sequence[str]) -> list[Found]:
        """Describe subreddits that were found from here."""
        return [Found(name, self.depth + 1, self.name) for name in names] if self.leads_on else []


@dataclass(slots=True)
class Roll:
    """How far it has come with each author."""

    failures: dict[str, TransientError] = field(default_factory=dict)
    saved: int = 0
    posts: int = 0


class Authors:
    """Brings in the authors of one subreddit after the other."""

    def __init__(
        self,
        client: Fetcher,
        store: Users,
        *,
        refresh_after: float,
        at_once: int,
        now: Callable[[], datetime],
        look: float = _LOOK_EVERY,
    ) -> None:
        """`at_once`: so many authors are asked for or being saved: what waits for a slow database stays small."""
        self._client = client
        self._store = store
        self._refresh_after = refresh_after
        self._now = now
        self._look = look
        self._turnstile = asyncio.Semaphore(at_once)

    async def bring_in(self, usernames: Sequence[str], origin: Origin, roll: Roll) -> None:
        """Return when each of them is in the database, brought in by whom ever, or has failed (noted in `roll`)."""
        waiting: Sequence[str] = usernames
        while waiting:
            claims = await self._store.claim_users(waiting, refresh_after=self._refresh_after, seconds=CLAIM_SECONDS)
            if claims.fresh and origin.leads_on:
                # whoever brought them in may have stood further out, where nothing was within reach any more
                found = origin.found(await self._store.subreddits_of(claims.fresh))
                await self._store.save(Batch(found=found))
            await asyncio.gather(*(self._bring_one(username, origin, roll) for username in claims.mine))
            waiting = claims.elsewhere
            if waiting:
                await asyncio.sleep(self._look)

    async def _bring_one(self, username: str, origin: Origin, roll: Roll) -> None:
        async with self._turnstile:
            await self._bring(username, origin, roll)

    async def _bring(self, username: str, origin: Origin, roll: Roll) -> None:
        facts, written = await asyncio.gather(self._facts(username), self._written(username), return_exceptions=True)
        if isinstance(facts, BaseException) or isinstance(written, BaseException):
            await self._failed(username, roll, facts, written)
            return
        found = origin.found(found_subreddits(written))
        await self._store.save(Batch(users=[facts], posts=written, found=found))
        roll.saved += 1
        roll.posts += len(written)

    async def _failed(self, username: str, roll: Roll, *came: User | list[Post] | BaseException) -> None:
        """Note why, and leave the author to the next turn; what passes by itself is no reason to break off."""
        for failure in (one for one in came if isinstance(one, BaseException)):
            if not isinstance(failure, TransientError):
                raise failure
            roll.failures[username] = failure
        await self._store.save(Batch(released_users=[username]))

    async def _facts(self, username: str) -> User:
        try:
            payload = await self._client.get(f"/user/{username}/about", RAW)
        except Unavailable:
            return User(username, UserState.MISSING, self._now())
        return user(payload, self._now())

    async def _written(self, username: str) -> list[Post]:
        try:
            payload = await self._client.get(f"/user/{username}/submitted", _SUBMITTED)
        except Unavailable as refusal:
            log.debug("posts_of_user_refused", username=username, reason=refusal.reason)
            return []  # suspended, deleted, or a profile that is kept private
        listing = posts(payload, self._now())
        if listing.odd:
            log.warning("odd_posts", username=username, count=listing.odd)
        return listing.rows
