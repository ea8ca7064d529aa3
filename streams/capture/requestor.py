"""The seam between PRAW and the network: one HTTP request, its answer judged before PRAW sees it.

PRAW fetches and renews the token and builds the requests. What it must not do here is sleep (its limiter and its
retries use `time.sleep`, which no shutdown ends) or trip over odd headers (see docs/architecture.md), so the rate
headers are taken off the answer, and an answer that is an error is raised as one of ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import prawcore
import requests
import urllib3
from prawcore.const import ACCESS_TOKEN_PATH

from core.quota import RateHeaders
from core.reddit.answers import judge, judge_token, rate_headers
from core.reddit.errors import Unreachable

#: Seconds to connect, and between two pieces of an answer.
TIMEOUT = (5.0, 10.0)

_RATE_HEADERS = ("x-ratelimit-used", "x-ratelimit-remaining", "x-ratelimit-reset")


@dataclass(slots=True)
class Heard:
    """What came back for a request for data: its status (None: no answer, or no token to ask with) and rate headers."""

    status: int | None = None
    rate: RateHeaders | None = None


class JudgingRequestor(prawcore.Requestor):
    """A prawcore requestor that raises our errors and notes in `heard` what came back."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 (as prawcore has it)
        heard: Heard,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._now = now
        self._heard = heard

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """Send one request; raise what its answer stands for, or return it for PRAW to parse."""
        del timeout  # prawcore passes its own constant
        is_token = len(args) > 1 and str(args[1]).endswith(ACCESS_TOKEN_PATH)
        try:
            # a tuple bounds connecting and reading apart; requests takes it, prawcore's annotation does not know
            response = super().request(*args, timeout=TIMEOUT, **kwargs)  # type: ignore[arg-type]
        except prawcore.exceptions.RequestException as error:
            raise Unreachable(f"no answer: {_brief(error.original_exception)}") from error
        if not is_token:
            self._heard.status = response.status_code
            self._heard.rate = rate_headers(response.headers)
        verdict = (judge_token if is_token else judge)(
            response.status_code, response.headers, response.content, self._now()
        )
        if verdict is not None:
            raise verdict
        for name in _RATE_HEADERS:
            response.headers.pop(name, None)
        return response


def _brief(error: BaseException) -> str:
    """Name the innermost cause: requests and urllib3 wrap a refusal or a reset several times over."""
    while (cause := _inner(error)) is not None:
        error = cause
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{type(error).__name__}: {reason[:120]}"


def _inner(error: BaseException) -> BaseException | None:
    wrappers = (requests.RequestException, urllib3.exceptions.HTTPError)
    if not isinstance(error, wrappers):
        return None
    candidates = (getattr(error, "reason", None), error.__cause__, *reversed(error.args), error.__context__)
    return next((one for one in candidates if isinstance(one, BaseException)), None)
