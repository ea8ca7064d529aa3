"""The application's access token: fetched when it is needed, once however many wait for it."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from core.errors import GaplessError
from core.outside import hide_token
from core.reddit.answers import judge_token
from core.reddit.bounds import token_lifetime
from core.reddit.errors import CredentialsRejected, Unreachable
from scraper.fetch.session import Answer, Session

#: Renewed so long before it expires, seconds; or a tenth of its life, where that is less.
_EARLY = 60.0

#: Credentials count as wrong when they are rejected so often in a row: the first may be a moment's.
_REJECTIONS = 2

#: Told of each attempt: the answer, if any, and the error, if any.
Heard = Callable[[Answer | None, GaplessError | None], None]


class Token:
    """Hands out the value of the header Authorization."""

    def __init__(
        self,
        session: Session,
        *,
        reddit_url: str,
        client_id: str,
        client_secret: str,
        agent: Callable[[], str],
        heard: Heard,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._url = f"{reddit_url}/api/v1/access_token"
        self._credentials = "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._agent = agent
        self._heard = heard
        self._clock = clock
        self._bearer = ""
        self._good_until = float("-inf")
        self._lock = asyncio.Lock()
        self._fetched = 0
        self._error: GaplessError | None = None

    @property
    def bearer(self) -> str | None:
        """The header's value, None when one must be fetched first."""
        return self._bearer if self._clock() < self._good_until else None

    async def get(self) -> str:
        """Return a valid one, fetching it where that is needed. Raises TransientErrors, CredentialsRejected."""
        asked = self._fetched
        while (bearer := self.bearer) is None:
            async with self._lock:
                if self._fetched != asked:
                    # somebody fetched while this one waited: what came of it counts for all who did
                    asked = self._fetched
                    if self._error is not None:
                        raise self._error
                    continue
                await self._fetch()
        return bearer

    async def renew(self) -> None:
        """Fetch one, whether or not the old one would still do."""
        async with self._lock:
            await self._fetch()

    def reject(self, bearer: str) -> None:
        """Forget this one: Reddit no longer accepts it."""
        if bearer == self._bearer:
            self._good_until = float("-inf")

    async def _fetch(self) -> None:
        for _ in range(_REJECTIONS):
            answer, error = await self._ask()
            self._heard(answer, error)
            if not isinstance(error, CredentialsRejected):
                break
        self._fetched += 1
        self._error = error
        if error is not None:
            raise error
        if answer is not None:
            self._keep(answer.body)

    async def _ask(self) -> tuple[Answer | None, GaplessError | None]:
        headers = {"Authorization": self._credentials, "User-Agent": self._agent()}
        try:
            answer = await self._session.post(self._url, headers, {"grant_type": "client_credentials"})
        except Unreachable as error:
            return None, error
        return answer, judge_token(answer.status, answer.headers, answer.body, datetime.now(UTC))

    def _keep(self, body: bytes) -> None:
        token = orjson.loads(body)
        lifetime = token_lifetime(token.get("expires_in"))
        hide_token(token["access_token"])
        self._bearer = f"bearer {token['access_token']}"
        self._good_until = self._clock() + lifetime - min(_EARLY, lifetime / 10.0)
