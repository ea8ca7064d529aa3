"""One attempt of a request: it is sent once, and its result is recorded everywhere it counts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from core.errors import GaplessError
from core.reddit.answers import classify
from core.reddit.name_limits import NameLimits
from core.reddit.quota_answers import named_wait
from core.reddit.request_errors import RateLimited, TooLarge, Unreachable
from scraper.http.auth.authentication import Authentication, Authorization
from scraper.http.pacing.concurrency_limiter import ConcurrencyLimiter
from scraper.http.pacing.retry import seconds_after_429
from scraper.http.proxy.proxy_tests import Witnesses
from scraper.http.proxy_report import AttemptOutcome, RequestCounters, ThrottledLog
from scraper.http.request import Call
from scraper.http.transport.session import Answer, Session
from scraper.reddit.refusal import Mismatch, PathLimited

log = structlog.stdlib.get_logger(__name__)

#: Logged elsewhere, or not a failure.
_NOT_LOGGED = {AttemptOutcome.OK, AttemptOutcome.REFUSED, AttemptOutcome.RATE_LIMITED, AttemptOutcome.UNPROVEN}


class Attempts:
    """Sends single requests, counts and logs their results, and makes all requests wait after a 429."""

    def __init__(
        self,
        session: Session,
        limiter: ConcurrencyLimiter,
        witnesses: Witnesses,
        *,
        agent: Callable[[], str],
        clock: Callable[[], float],
        mismatched: Callable[[], None],
    ) -> None:
        """Create the sender; nothing is sent.

        Args:
            session: sends the requests.
            limiter: makes all requests wait after a 429.
            witnesses: remembers which paths were served.
            agent: returns the User-Agent.
            clock: returns seconds.
            mismatched: called after an answer to another question.

        """
        self.counters = RequestCounters()
        self._session = session
        self._limiter = limiter
        self._witnesses = witnesses
        self._agent = agent
        self._clock = clock
        self._mismatched = mismatched
        self._throttled_log = ThrottledLog(clock)
        self._limits = NameLimits()

    def needs_control(self, path: str) -> bool:
        """Return whether another path should be requested before this one, which was answered 429."""
        return self._limits.needs_control(path)

    async def send(
        self, call: Call, authentication: Authentication, authorization: Authorization, waits: int
    ) -> object:
        """Send the request once; record the result everywhere it counts before it is returned or raised.

        `waits`: how often this request has already waited after a 429.
        """
        try:
            answer, payload, error = await self.exchange(call, authorization)
        except BaseException:
            authentication.record_abort(authorization)
            raise
        error = self._compare_with_others(call.path, answer, error)
        if isinstance(error, RateLimited):
            wait = seconds_after_429(_announced(error), waits)
            seconds = authentication.record_answer(authorization, answer, error, wait)
            self._hold(seconds, announced=max(seconds, error.retry_after or 0.0))
        else:
            authentication.record_answer(authorization, answer, error, 0.0)
        self.count(call.path, answer, error)
        if error is None:
            return payload
        del answer, payload  # an error that is kept keeps this frame
        try:
            raise error
        finally:
            del error  # or error and frame would keep each other alive

    async def exchange(
        self, call: Call, authorization: Authorization
    ) -> tuple[Answer | None, object, GaplessError | None]:
        """Send the request; return the answer, the decoded payload, and the error."""
        headers = {"User-Agent": self._agent()}
        if authorization.bearer is not None:
            headers["Authorization"] = authorization.bearer
        try:
            answer = await self._session.get(call.url, headers, apart=call.apart)
        except (Unreachable, TooLarge) as failure:
            return None, None, failure
        error = classify(answer.status, answer.headers, answer.body, datetime.now(UTC))
        payload, error = call.read(answer, error, with_token=authorization.bearer is not None)
        return answer, payload, error

    def _compare_with_others(self, path: str, answer: Answer | None, error: GaplessError | None) -> GaplessError | None:
        """Record the answer; a 429 that concerns only this path becomes NameLimited."""
        now = self._clock()
        if not isinstance(error, RateLimited):
            if answer is not None and error is None:
                self._limits.served(path, now)
            return error
        return PathLimited() if self._limits.refused(path, now, has_delay=_announced(error) is not None) else error

    def token_answered(self, path: str, answer: Answer | None, error: GaplessError | None) -> None:
        """Record the answer to a request for a token."""
        if isinstance(error, RateLimited):
            seconds = seconds_after_429(_announced(error), 0)
            self._hold(seconds, announced=seconds)
        self.count(path, answer, error)

    def count(self, path: str, answer: Answer | None, error: GaplessError | None) -> None:
        """Count the end of an attempt."""
        if error is None and answer is not None:
            self.counters.good(answer.status, answer.seconds)
            self._witnesses.served(path)
        elif error is not None:
            if isinstance(error, Mismatch):
                self._mismatched()
            status = answer.status if answer is not None else getattr(error, "status", None)
            outcome = self.counters.bad(status, error, datetime.now(UTC))
            if outcome not in _NOT_LOGGED:
                self._throttled_log.failed(outcome, error, path)

    def _hold(self, seconds: float, announced: float) -> None:
        """Make all requests wait after a 429; log one line for all requests that were answered 429 together."""
        if not self._limiter.held:
            log.warning("rate_limited", wait_seconds=round(announced, 1))
        self._limiter.hold(seconds)


def _announced(error: RateLimited) -> float | None:
    """Return the time to wait that a 429 names, seconds; None if it names none."""
    return named_wait(error.retry_after, error.rate, time.time())
