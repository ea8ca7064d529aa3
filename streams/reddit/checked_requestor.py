"""The layer between PRAW and the network: sends one HTTP request and checks its answer before PRAW sees it.

PRAW fetches and renews the token and builds the requests. Here it must not sleep (its limiter and its retries use
`time.sleep`, which no shutdown ends) or fail on invalid headers (see docs/architecture.md). So the rate headers are
removed from the answer, and an error answer is raised as an error of this project.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import prawcore
import requests
import urllib3
from prawcore.const import ACCESS_TOKEN_PATH

from core.errors import GaplessError
from core.masking.external import hide_token, outside
from core.reddit.answers import classify, classify_token, rate_headers
from core.reddit.bounds import token_lifetime
from core.reddit.json_body import MAX_BODY
from core.reddit.quota import RateHeaders
from core.reddit.request_errors import TooSlow, Unreachable
from core.reddit.server_clock import Observation
from streams.reddit.credentials import TokenRate
from streams.reddit.http_client import Answer, HttpClient

_RATE_HEADERS = ("x-ratelimit-used", "x-ratelimit-remaining", "x-ratelimit-reset")

#: Most bytes of the answer to a token request; Reddit's have a few hundred.
MAX_TOKEN_BODY = 64 * 1024


@dataclass(slots=True)
class LastAnswer:
    """The answer to a data request: its status (None: no answer, or no token for the request) and rate headers.

    `fresh_token`: the token was requested just before. `dates` are the Date headers of both answers.
    """

    status: int | None = None
    rate: RateHeaders | None = None
    fresh_token: bool = False
    dates: list[Observation] = field(default_factory=list)

    def clear(self) -> None:
        """Reset the fields for the next request."""
        self.status, self.rate, self.fresh_token = None, None, False
        self.dates = []


class CheckedRequestor(prawcore.Requestor):
    """A prawcore requestor that raises this project's errors and records the answer in `last_answer`."""

    def __init__(
        self,
        *,
        client: HttpClient,
        last_answer: LastAnswer,
        token_rate: TokenRate,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **kwargs: Any,  # noqa: ANN401 (as prawcore has it)
    ) -> None:
        super().__init__(session=client, **kwargs)  # type: ignore[arg-type]  # all that prawcore needs of a session
        self._client = client
        self._now = now
        self._last_answer = last_answer
        self._token_rate = token_rate

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401
        """Send one request; raise the error that its answer means, or return the answer for PRAW to parse."""
        is_token = url.endswith(ACCESS_TOKEN_PATH)
        if is_token:
            self._token_rate.take()
        given = {name: kwargs.get(name) for name in ("params", "data", "headers", "auth")}
        response = self._send(method, url, MAX_TOKEN_BODY if is_token else MAX_BODY, given)
        if not is_token:
            self._last_answer.status = response.status_code
            self._last_answer.rate = rate_headers(response.headers)
        error = (classify_token if is_token else classify)(
            response.status_code, response.headers, response.content, self._now()
        )
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame: a reference cycle that would keep the body in memory
        for name in _RATE_HEADERS:
            response.headers.pop(name, None)
        if is_token:
            response = _usable_token(response)
            self._last_answer.fresh_token = True
        self._note_date(response)
        return response

    def _send(self, method: str, url: str, limit: int, given: dict[str, Any]) -> Answer:
        try:
            return self._client.request(method, url, limit=limit, **given)
        except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise TooSlow(f"no complete answer: {_brief(error)}") from error
        except GaplessError:
            raise
        except Exception as error:  # any error of the libraries on an invalid answer, such as AttributeError
            raise Unreachable(f"no answer: {_brief(error)}") from error

    def _note_date(self, response: Answer) -> None:
        date = response.headers.get("date")
        if date is not None:
            age = response.headers.get("age", "0")
            self._last_answer.dates.append(Observation(date, age, response.sent_at, response.arrived_at))


class _Token(Answer):
    """The answer to a token request, with values that PRAW can use."""

    payload: dict[str, Any]

    def json(self, **_options: Any) -> Any:  # noqa: ANN401 (as requests has it)
        return self.payload


def _usable_token(answer: Answer) -> Answer:
    """Return the answer with a valid lifetime, in the whole seconds that PRAW multiplies."""
    made = _Token()
    made.__dict__.update(answer.__dict__)
    payload = answer.json()
    hide_token(payload["access_token"])
    made.payload = {**payload, "expires_in": int(token_lifetime(payload.get("expires_in")))}
    made.payload.pop("refresh_token", None)  # none was requested
    return made


def _brief(error: BaseException) -> str:
    """Return the innermost cause: requests and urllib3 wrap a refusal or a reset several times."""
    while (cause := _inner(error)) is not None:
        error = cause
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{type(error).__name__}: {outside(reason, 120)}"


def _inner(error: BaseException) -> BaseException | None:
    wrappers = (requests.RequestException, urllib3.exceptions.HTTPError)
    if not isinstance(error, wrappers):
        return None
    candidates = (getattr(error, "reason", None), error.__cause__, *reversed(error.args), error.__context__)
    return next((one for one in candidates if isinstance(one, BaseException)), None)
