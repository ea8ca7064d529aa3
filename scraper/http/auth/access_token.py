"""The application's access token: fetched on demand, once for all waiting requests."""

import asyncio
import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import orjson
import structlog

from core.config.slices import RedditAccess
from core.errors import GaplessError, PermanentError
from core.masking.external import hide_token
from core.reddit.answers import classify_token
from core.reddit.bounds import TOKEN_LIFETIME, number, token_lifetime
from core.reddit.limiter import Grant, Limiter, QuotaFileError, Wait
from core.reddit.quota import Priority
from core.reddit.request_errors import BadAnswer, CredentialsRejected, QuotaShort, RateLimited, TooLarge, Unreachable
from scraper.http.auth.credentials import CredentialsDoubted, Renewals
from scraper.http.transport.session import Answer, Session

log = structlog.stdlib.get_logger(__name__)

#: Seconds before expiry at which the token is renewed; a tenth of its lifetime where that is less.
_RENEW_BEFORE_S = 60.0

#: A shorter lifetime is not plausible, seconds.
_SHORTEST_LIFETIME_S = 1.0

#: Called after each attempt with the answer, if any, and the error, if any.
OnAnswer = Callable[[Answer | None, GaplessError | None], None]


class TokenMemory(Protocol):
    """Remembers that the credentials worked (scraper.http.auth.credentials.ProvenCredentials)."""

    def known(self) -> bool:
        """Return whether the credentials are known to have worked."""

    def remember(self) -> None:
        """Record that the credentials work. Raises OSError."""


class NoMemory:
    """Remembers nothing."""

    def known(self) -> bool:
        """Return False: the credentials count as new."""
        return False

    def remember(self) -> None:
        """Record nothing."""


class Token:
    """Provides the value of the Authorization header."""

    def __init__(
        self,
        session: Session,
        access: RedditAccess,
        *,
        agent: Callable[[], str],
        on_answer: OnAnswer,
        clock: Callable[[], float],
        draw: Callable[[], float] = random.random,
        limiter: Limiter | None = None,
        memory: TokenMemory | None = None,
        others_work: Callable[[], bool] = lambda: False,
    ) -> None:
        """Create the token client; nothing is sent.

        Args:
            session: sends the requests.
            access: the server, and the credentials of the application.
            agent: returns the User-Agent.
            on_answer: called after each attempt.
            clock: returns seconds.
            draw: returns a random number in [0, 1).
            limiter: the shared quota; token requests count in it too.
            memory: records whether these credentials worked before.
            others_work: returns whether other processes currently get answers with the same credentials.

        """
        self._session = session
        self._url = f"{access.reddit_url}/api/v1/access_token"
        credentials = f"{access.client_id}:{access.client_secret}"
        self._credentials = "Basic " + base64.b64encode(credentials.encode()).decode()
        self._agent = agent
        self._on_answer = on_answer
        self._clock = clock
        self._limiter = limiter
        self._memory = memory or NoMemory()
        self._others_work = others_work
        self._renewals = Renewals(clock, draw, self._memory.known)
        self._bearer = ""
        self._good_until = float("-inf")
        self._lock = asyncio.Lock()
        self._fetched = 0

    @property
    def bearer(self) -> str | None:
        """The header's value; None when a token must be fetched first."""
        return self._bearer if self._clock() < self._good_until else None

    async def get(self) -> str | Wait:
        """Return a valid header value, fetched if necessary, or the time to wait for it.

        Raises CredentialsRejected when Reddit has refused the credentials permanently, and QuotaFileError.
        """
        while (bearer := self.bearer) is None:
            if (seconds := self._renewals.wait) > 0:
                return Wait(seconds)
            asked = self._fetched
            async with self._lock:
                # another task may have fetched during the wait for the lock: its result counts for all that waited
                if self._fetched != asked:
                    continue
                try:
                    await self._fetch()
                except (PermanentError, QuotaFileError):
                    raise
                except GaplessError:
                    return Wait(max(self._renewals.wait, 1.0))
        return bearer

    async def renew(self) -> None:
        """Fetch a token even if the old one is still valid; ignore pauses.

        Raises CredentialsRejected, and TransientErrors: CredentialsDoubted, QuotaShort, BadAnswer and the like.
        """
        async with self._lock:
            await self._fetch()

    async def fresh(self) -> None:
        """Fetch a token only if there is none; ignore pauses. Raises the same errors as `renew`."""
        async with self._lock:
            if self.bearer is None:
                await self._fetch()

    def reject(self, bearer: str) -> None:
        """Drop this token: Reddit no longer accepts it."""
        if bearer == self._bearer:
            self._good_until = float("-inf")

    async def _fetch(self) -> None:
        error = await self._attempt()
        if isinstance(error, CredentialsDoubted) and not self._renewals.proven:
            error = await self._attempt()  # never worked here: the second refusal is believed
        self._fetched += 1
        if isinstance(error, PermanentError):
            raise error
        if error is not None:
            pause = self._renewals.failed()
            log.warning("token_not_given", error=str(error), retry_in_seconds=round(pause, 1))
            raise error

    async def _attempt(self) -> GaplessError | None:
        """Send one token request and store the token; return the error if there is none."""
        grant = self._take_grant()
        answer, error = await self._exchange(grant)
        if isinstance(error, CredentialsRejected):
            self._renewals.refused()
            if not self._renewals.are_wrong or self._others_work():
                error = CredentialsDoubted(str(error))
        self._on_answer(answer, error)
        if error is None and answer is not None:
            self._store_token(answer.body)
        return error

    def _take_grant(self) -> Grant | None:
        """Take a grant from the shared quota. Raises QuotaShort, QuotaFileError."""
        if self._limiter is None:
            return None
        grant = self._limiter.ask(Priority.SCRAPER)
        if isinstance(grant, Wait):
            raise QuotaShort("the quota allows no token request at present")
        return grant

    async def _exchange(self, grant: Grant | None) -> tuple[Answer | None, GaplessError | None]:
        self._renewals.asked()
        headers = {"Authorization": self._credentials, "User-Agent": self._agent()}
        try:
            answer = await self._session.post(self._url, headers, {"grant_type": "client_credentials"})
        except (Unreachable, TooLarge) as failure:
            self._report(grant, None, failure)
            return None, failure
        except BaseException:
            self._report(grant, None, None)
            raise
        error = classify_token(answer.status, answer.headers, answer.body, datetime.now(UTC)) or _unreadable(
            answer.body
        )
        if isinstance(error, CredentialsRejected) and not _is_object(answer.body):
            error = BadAnswer(f"a refusal that is not Reddit's ({answer.status} without JSON)")
        self._report(grant, answer, error)
        return answer, error

    def _report(self, grant: Grant | None, answer: Answer | None, error: GaplessError | None) -> None:
        """Report the result to the shared quota."""
        if self._limiter is None or grant is None:
            return
        try:
            if isinstance(error, RateLimited):
                error.retry_after = self._limiter.refused(grant, error.retry_after, error.rate)
            elif answer is None:
                self._limiter.failed(grant, "stopped" if error is None else "none")
            else:
                self._limiter.answered(grant, str(answer.status), None)
        except QuotaFileError as trouble:
            log.warning("quota_not_read", error=str(trouble))

    def _store_token(self, body: bytes) -> None:
        token = orjson.loads(body)
        lifetime = lifetime_of(token.get("expires_in"))
        hide_token(token["access_token"])
        self._bearer = f"bearer {token['access_token']}"
        self._good_until = self._clock() + lifetime - min(_RENEW_BEFORE_S, lifetime / 10.0)
        self._renewals.given()
        try:
            self._memory.remember()
        except OSError as error:
            log.warning("credentials_not_remembered", error=str(error), hint="after a restart they count as new")


def lifetime_of(expires_in: object) -> float:
    """Return how long a token is used, seconds; `expires_in` is what the answer says, of any type.

    When a token expires earlier, Reddit answers 401, and a new token is fetched.
    """
    seconds = number(expires_in)
    if seconds is not None and _SHORTEST_LIFETIME_S <= seconds < TOKEN_LIFETIME.lowest:
        return seconds
    return token_lifetime(expires_in)


def _unreadable(body: bytes) -> BadAnswer | None:
    return BadAnswer("the answer to the token request is not a JSON object") if _object(body) is None else None


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_object(body: bytes) -> bool:
    return _object(body) is not None
