"""The two ways to get access to Reddit: a token and a grant of the shared quota, or .json addresses without a token."""

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import quote, urlencode

import structlog

from core.errors import GaplessError
from core.reddit.answers import rate_headers
from core.reddit.limiter import Grant, Limiter, QuotaFileError, Wait
from core.reddit.quota import Priority
from core.reddit.request_errors import RateLimited, TokenRejected
from scraper.http.auth.access_token import Token
from scraper.http.transport.session import Answer
from scraper.reddit.refusal import PathLimited

log = structlog.stdlib.get_logger(__name__)

Params = Mapping[str, str | int]

#: Seconds until the shared quota is checked again: other processes may be refused or finish meanwhile.
_CHECK_INTERVAL_S = 5.0


@functools.lru_cache(maxsize=64)
def _query(params: tuple[tuple[str, str | int], ...]) -> str:
    """Encode the query; there are only as many as kinds of questions."""
    return urlencode(params)


def _quoted(path: str) -> str:
    """Return `quote(path)`; nearly every path is returned as it is, without the price of the function."""
    return path if _PLAIN.fullmatch(path) else quote(path)


#: Paths in which nothing is percent-encoded.
_PLAIN = re.compile(r"[\w./~-]*", re.ASCII)


class Authorization(NamedTuple):
    """What one attempt is sent with."""

    bearer: str | None = None
    grant: Grant | None = None


class Authentication(Protocol):
    """How requests are authorized."""

    def url(self, path: str, params: Params) -> str:
        """Return the URL of this path."""

    async def authorization(self) -> Authorization | Wait:
        """Return what an attempt needs, or how long all requests must wait. Raises CredentialsRejected."""

    def record_answer(
        self, authorization: Authorization, answer: Answer | None, error: GaplessError | None, wait: float
    ) -> float:
        """Record the result of an attempt; `wait`: seconds after a 429, where no shared quota decides that.

        Returns how long all other requests must wait, seconds.
        """

    def record_abort(self, authorization: Authorization) -> None:
        """Record that the attempt was aborted."""


class NoAuthentication:
    """Addresses that end in .json, without a token; the quota is per client id and is not used."""

    def __init__(self, reddit_url: str) -> None:
        self._base = reddit_url

    def url(self, path: str, params: Params) -> str:
        """Return the URL of this path."""
        return f"{self._base}{_quoted(path)}.json?{_query(tuple(params.items()))}"

    async def authorization(self) -> Authorization:
        """Return an empty authorization: nothing is needed."""
        return _FREE

    def record_answer(
        self, authorization: Authorization, answer: Answer | None, error: GaplessError | None, wait: float
    ) -> float:
        """Return `wait`: after a 429 the whole process waits."""
        del authorization, answer, error
        return wait

    def record_abort(self, authorization: Authorization) -> None:
        """Do nothing: no grant was taken."""


_FREE = Authorization()


class TokenAuthentication:
    """The API for applications: a token, and a grant of the quota that all processes of this client id share."""

    def __init__(self, oauth_url: str, token: Token, limiter: Limiter) -> None:
        self._base = oauth_url
        self._token = token
        self._limiter = limiter
        self._quota_away = False

    def url(self, path: str, params: Params) -> str:
        """Return the URL of this path."""
        return f"{self._base}{_quoted(path)}?{_query(tuple(params.items()))}"

    async def authorization(self) -> Authorization | Wait:
        """Get the token first: a grant is taken only when the request can be sent at once."""
        try:
            bearer = self._token.bearer or await self._token.get()
            if isinstance(bearer, Wait):
                return Wait(min(bearer.seconds, _CHECK_INTERVAL_S))
            grant = self._limiter.ask(Priority.SCRAPER)
        except QuotaFileError as error:
            self._log_quota_error(error)
            return Wait(_CHECK_INTERVAL_S)
        self._quota_away = False
        return Authorization(bearer, grant) if isinstance(grant, Grant) else Wait(min(grant.seconds, _CHECK_INTERVAL_S))

    def record_answer(
        self, authorization: Authorization, answer: Answer | None, error: GaplessError | None, wait: float
    ) -> float:
        """Report the answer to the shared quota; after a 429 all processes wait."""
        if isinstance(error, TokenRejected) and authorization.bearer is not None:
            self._token.reject(authorization.bearer)
        if authorization.grant is None:
            return wait
        try:
            if isinstance(error, RateLimited):
                error.retry_after = self._limiter.refused(authorization.grant, error.retry_after, error.rate)
                # a test request of this or another process may end the block earlier
                return min(error.retry_after, _CHECK_INTERVAL_S)
            if answer is None or isinstance(error, PathLimited):  # says nothing about the quota
                self._limiter.failed(authorization.grant, "none" if answer is None else str(answer.status))
            else:
                self._limiter.answered(authorization.grant, str(answer.status), rate_headers(answer.headers))
        except QuotaFileError as quota_error:
            self._log_quota_error(quota_error)
        return wait

    def record_abort(self, authorization: Authorization) -> None:
        """Count the request as sent: Reddit may have received it."""
        if authorization.grant is not None:
            try:
                self._limiter.failed(authorization.grant, "stopped")
            except QuotaFileError as quota_error:
                self._log_quota_error(quota_error)

    def _log_quota_error(self, quota_error: QuotaFileError) -> None:
        if not self._quota_away:
            log.warning("quota_not_read", error=str(quota_error), retry_in_seconds=_CHECK_INTERVAL_S)
        self._quota_away = True
