"""Sends one request to Reddit at a time: permission from the shared quota, PRAW in a thread, the answer reported back.

The thread lets the working loop send heartbeats and react to a stop during a request. An abandoned request is ended:
its sockets are shut down, so the thread ends and the server sees the close.
"""

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from prawcore.exceptions import PrawcoreException

from core.child import ChildContext
from core.config.network_variables import network
from core.config.slices import RedditAccess
from core.errors import GaplessError
from core.masking.external import outside
from core.reddit.limiter import Grant, Limiter, Wait
from core.reddit.quota import Priority
from core.reddit.quota_answers import named_wait
from core.reddit.request_errors import (
    BadAnswer,
    CredentialsRejected,
    QuotaShort,
    RateLimited,
    Stopped,
    TokenRejected,
    TooSlow,
    Unreachable,
)
from core.reddit.server_clock import ServerClock
from streams.reddit.checked_requestor import CheckedRequestor, LastAnswer
from streams.reddit.credentials import CredentialRejections, TokenRate
from streams.reddit.http_client import HttpClient
from streams.reddit.limited_names import LimitedNames, RequestLimited
from streams.reddit.praw_loading import PRAWException, make_reddit, praw

#: Seconds to wait for a complete answer.
ANSWER_DEADLINE = 20.0

_CHECK_EVERY_S = 0.5
_END_WITHIN_S = 1.0  # seconds: longer than a thread takes to end after its sockets are shut down

#: The errors that PRAW may raise for an invalid answer.
_PRAW_ERRORS = (
    PrawcoreException,
    PRAWException,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)


class Connection:
    """A PRAW instance with its HTTP client, used from one thread."""

    def __init__(self, access: RedditAccess) -> None:
        self._access = access
        self._client = HttpClient(network(os.environ).ca_bundle)
        self._token_rate = TokenRate()
        #: about the request in progress, or the last one
        self.last_answer = LastAnswer()
        self._reddit = self._log_in()

    def _log_in(self) -> praw.Reddit:
        settings = self._access

        def make_requestor(**kwargs: Any) -> CheckedRequestor:  # noqa: ANN401 (PRAW decides what it passes)
            return CheckedRequestor(
                **kwargs, client=self._client, last_answer=self.last_answer, token_rate=self._token_rate
            )

        return make_reddit(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            user_agent=settings.user_agent,
            reddit_url=settings.reddit_url,
            oauth_url=settings.oauth_url,
            requestor_class=make_requestor,
        )

    def get(self, path: str, params: dict[str, str | int]) -> object:
        """Fetch and decode; PRAW logs in if it has no token. Raises only this project's errors."""
        # without a token there is no answer, and the headers of the last one would move the quota's window
        self.last_answer.clear()
        try:
            return self._reddit.request(method="GET", path=path, params=params)
        except TokenRejected:
            # a new PRAW instance has no token and fetches one: PRAW's own renewal would sleep first
            self._reddit = self._log_in()
            raise
        except GaplessError:
            raise
        except _PRAW_ERRORS as error:
            raise BadAnswer(f"PRAW could not read the answer: {type(error).__name__}: {outside(error)}") from error

    def abort(self) -> None:
        """End the request in progress, from another thread."""
        self._client.abort()

    def revive(self) -> None:
        """Allow requests again, once the aborted one has ended."""
        self._client.revive()

    def close(self) -> None:
        """Close the persistent connections."""
        self._client.close()


class _Job:
    """One request that the thread processes."""

    def __init__(self, path: str, params: dict[str, str | int]) -> None:
        self.path = path
        self.params = params
        self.done = threading.Event()  #: or interrupted
        self.ended = threading.Event()  #: whether the thread is free again
        self.interrupted = False
        self.answer: object = None
        self.error: BaseException | None = None


class PrawClient:
    """The client from which the capture requests pages. `get` makes one attempt; the caller retries."""

    def __init__(
        self,
        access: RedditAccess,
        context: ChildContext,
        limiter: Limiter,
        *,
        clock: Callable[[], float] = time.monotonic,
        connect: Callable[[RedditAccess], Connection] = Connection,
        answer_deadline: float = ANSWER_DEADLINE,
        is_second: bool = False,
    ) -> None:
        # `is_second`: another client of this process reports what both see
        self._is_second = is_second
        self._access = access
        self._context = context
        self._limiter = limiter
        self._clock = clock
        self._connect = connect
        self._answer_deadline = answer_deadline
        self._rejections = CredentialRejections(clock)
        #: Reddit's clock, from the Date headers of its answers
        self.server_clock = ServerClock()
        self._limited = LimitedNames()
        self._current: _Job | None = None
        self._start_thread()
        if not is_second and (variables := network(os.environ).shown()):
            hint = "Reddit is reached through these; see docs/configuration.md"
            context.log.info("network_variables", variables=variables, hint=hint)
        context.on_stop(self._interrupt)

    def _start_thread(self) -> None:
        self._connection = self._connect(self._access)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        arguments = (self._connection, self._jobs)
        threading.Thread(target=_work, args=arguments, name="reddit", daemon=True).start()

    def _interrupt(self) -> None:
        job = self._current
        if job is not None and not job.ended.is_set():
            job.interrupted = True
            job.done.set()
            self._connection.abort()

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Return the decoded answer. Raises Stopped, TransientErrors, Unavailable, CredentialsRejected."""
        try:
            self._send_control(path, priority)
            answer = self._send_renewing(path, params, priority)
        except (CredentialsRejected, TokenRejected) as error:
            if (permanent := self._rejections.refused(error)) is not None:
                raise permanent from error
            raise Unreachable(f"retried before it counts: {error}") from error
        self._rejections.worked()
        return answer

    def _send_control(self, path: str, priority: Priority) -> None:
        """Send another request before one that was answered 429; raise RateLimited if that one is refused too."""
        control = self._limited.control(path)
        if control is None:
            return
        try:
            self._send_renewing(control, {}, priority)
        except (RateLimited, QuotaShort, Stopped, CredentialsRejected, TokenRejected):
            raise
        except GaplessError as error:  # not found, or not readable: still an answer
            self._context.log.debug("control_not_served", path=control, error=str(error))

    def _send_renewing(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        try:
            return self._send(path, params, priority)
        except TokenRejected:
            if self._connection.last_answer.fresh_token:
                raise  # another one would be refused as well
            self._context.log.info("token_renewed")
        return self._send(path, params, priority)

    def _send(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        grant = self._await_grant(priority)
        job = _Job(path, params)
        self._current = job
        self._jobs.put(job)
        self._await_answer(job, grant)
        last_answer = self._connection.last_answer
        self._read_clock(last_answer)
        error = job.error
        if isinstance(error, RateLimited) and self._concerns_only(path, error):
            self._limiter.failed(grant, "429")
            self._current = None
            raise RequestLimited
        if last_answer.status is not None and not isinstance(error, RateLimited):
            self._limited.served(path, self._clock())
        if isinstance(error, RateLimited):
            error.retry_after = self._limiter.refused(grant, error.retry_after, error.rate)
        elif last_answer.status is None:
            self._limiter.failed(grant, "none")
        else:
            self._limiter.answered(grant, str(last_answer.status), last_answer.rate)
        if error is None:
            return job.answer
        try:
            raise error
        finally:
            self._current = None
            del (
                job,
                error,
            )  # the error's traceback holds this frame: a reference cycle that would keep the answer's body in memory

    def _concerns_only(self, path: str, error: RateLimited) -> bool:
        """Return whether a 429 concerns this path, not the quota."""
        has_delay = named_wait(error.retry_after, error.rate, time.time()) is not None
        return self._limited.refused(path, self._clock(), has_delay=has_delay)

    def _await_grant(self, priority: Priority) -> Grant:
        """Wait for permission from the shared quota."""
        logged = False
        while True:
            if self._context.stop.is_set():
                raise Stopped
            answer = self._limiter.ask(priority)
            if isinstance(answer, Grant):
                return answer
            if priority is not Priority.STREAM:
                raise QuotaShort(f"the quota is reserved for the streams for another {answer.seconds:.0f} s")
            if not logged and answer.seconds > 5.0:
                logged = True
                self._context.log.warning("waiting_for_quota", seconds=round(answer.seconds, 1))
            self._pause(answer)

    def _pause(self, wait: Wait) -> None:
        # another process may be refused meanwhile, or the window may change: check again periodically
        self._context.wait(min(wait.seconds, 5.0))

    def _await_answer(self, job: _Job, grant: Grant) -> None:
        deadline = self._clock() + self._answer_deadline
        while not job.done.wait(_CHECK_EVERY_S):
            self._context.beat()
            if self._context.stop.is_set():
                self._interrupt()  # a stop was requested just before this job could be interrupted
            if self._clock() > deadline:
                self._abandon(job, grant)
                raise TooSlow(f"no complete answer within {self._answer_deadline:g} s")
        if job.interrupted:
            self._limiter.failed(grant, "stopped")
            raise Stopped

    def _abandon(self, job: _Job, grant: Grant) -> None:
        """End the request; if its thread does not end (a DNS server that does not answer), start a new one."""
        self._limiter.failed(grant, "timeout")
        self._connection.abort()
        if job.ended.wait(_END_WITHIN_S):
            self._connection.revive()
            return
        self._jobs.put(None)
        self._start_thread()

    def _read_clock(self, last_answer: LastAnswer) -> None:
        for seen in last_answer.dates:
            notice = self.server_clock.observe(seen)
            if notice is None or self._is_second:
                continue
            offset = round(notice.offset, 1)
            if notice.wrong:
                self._context.log.warning("clock_offset", offset_seconds=offset, hint=str(notice))
            else:
                self._context.log.info("clock_right_again", offset_seconds=offset, hint=str(notice))
        last_answer.dates = []


def _work(connection: Connection, jobs: "queue.SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        try:
            job.answer = connection.get(job.path, job.params)
        except GaplessError as error:
            # expected, and logged as text; its traceback and causes would keep the whole answer in memory
            error.__cause__ = error.__context__ = None
            job.error = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 (handed over, not swallowed: the caller raises it)
            job.error = error
        job.done.set()
        job.ended.set()
    connection.close()
