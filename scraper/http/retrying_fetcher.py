"""The crawl's HTTP client: retries, concurrency, the proxy's health and the counters of one process."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

import structlog

from core.config.proxies import DIRECT
from core.config.slices import ScraperConfig
from core.errors import GaplessError, TransientError
from core.masking.redact import show_address
from core.reddit.limiter import Limiter, QuotaFileError
from core.reddit.request_errors import (
    CredentialsRejected,
    QuotaShort,
    RateLimited,
    TokenRejected,
)
from scraper.http.attempts import Attempts
from scraper.http.auth.access_token import Token, TokenMemory
from scraper.http.auth.authentication import (
    Authentication,
    Authorization,
    NoAuthentication,
    Params,
    TokenAuthentication,
)
from scraper.http.auth.credentials import CredentialsDoubted
from scraper.http.auth.user_agents import agents_of
from scraper.http.pacing.concurrency_limiter import ConcurrencyLimiter, Sleep
from scraper.http.pacing.retry import Action, RetryState
from scraper.http.proxy.answer_agreement import AgreedRules
from scraper.http.proxy.blame import Evidence, Sign, item_of, sign_of
from scraper.http.proxy.proxy_health import ProxyHealth, Result
from scraper.http.proxy.proxy_tests import ANY_SUBREDDIT, ProxyTest, Witnesses
from scraper.http.proxy.rest_periods import RestPeriods
from scraper.http.proxy.siblings import Siblings, alone
from scraper.http.proxy_report import ProxyReport
from scraper.http.request import Call
from scraper.http.transport.route import Route
from scraper.http.transport.session import Answer, Session, uses_tls
from scraper.reddit.answer_check import names_it
from scraper.reddit.question import RAW, Kind, Question, about
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import Mismatch, Unproven

log = structlog.stdlib.get_logger(__name__)

#: Attempts to test a proxy at the start: a proxy that loses a few requests must not begin with a rest.
_FIRST_PROBES = 3

_TOKEN_PATH = "/api/v1/access_token"  # noqa: S105 (an address)

#: How many failing names are in the report: the newest.
_SHOWN_FAILING = 20

#: Reddit's own answers: a fact, or a wait.
_REACHED_REDDIT = {Sign.GOOD, Sign.NOTHING}


class RetryingFetcher:
    """Fetches from Reddit through one proxy, or directly. Used from one event loop."""

    def __init__(
        self,
        config: ScraperConfig,
        limiter: Limiter | None = None,
        *,
        siblings: Siblings = alone,
        memory: TokenMemory | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Create the fetcher; nothing is sent.

        Args:
            config: the configuration of the process: concurrency, timeouts, authentication and the proxy.
            limiter: the quota shared by all processes; required for requests with a token.
            siblings: returns the reports of the other processes about their proxies.
            memory: records whether the credentials worked before.
            clock: returns seconds.
            sleep: waits.
            draw: returns a random number in [0, 1).

        """
        self._config = config
        self._clock = clock
        self._draw = draw
        self._limiter = ConcurrencyLimiter(config.concurrency, clock, sleep)
        self._session = Session(
            Route.through(config.proxy), config.timeout, config.concurrency, clock, encrypted=uses_tls(config.access)
        )
        self._agent = agents_of(config)
        self._rules = AgreedRules(self._ask, clock)
        seeds = config.subreddits or (ANY_SUBREDDIT,)
        self._seeds = itertools.cycle(seeds)
        self._witnesses = Witnesses(seeds)
        self._attempts = Attempts(
            self._session,
            self._limiter,
            self._witnesses,
            agent=self._agent,
            clock=clock,
            mismatched=self._rules.mixed_up,
        )
        self._token: Token | None = None
        self._rejected: CredentialsRejected | None = None
        self._siblings = siblings
        self._authentication = self._make_authentication(limiter, memory)
        self._compares = False  # whether answers are compared with questions, also those of tests
        self._health = self._make_health(sleep)

    def _make_authentication(self, limiter: Limiter | None, memory: TokenMemory | None) -> Authentication:
        access = self._config.access
        if not self._config.with_token:
            return NoAuthentication(access.reddit_url)
        if limiter is None:
            raise ValueError("requests with a token need the limiter that all processes of the client id share")
        self._token = Token(
            self._session,
            access,
            agent=self._agent,
            on_answer=self._token_answered,
            clock=self._clock,
            draw=self._draw,
            limiter=limiter,
            memory=memory,
            others_work=lambda: any(sibling.works for sibling in self._siblings()),
        )
        return TokenAuthentication(access.oauth_url, self._token, limiter)

    def _make_health(self, sleep: Sleep) -> ProxyHealth:
        now = self._clock()
        return ProxyHealth(
            RestPeriods(now, self._draw),
            Evidence(self._config.timeout, now),
            self._limiter,
            probe=self._probe,
            control=self._control,
            siblings=self._siblings,
            clock=self._clock,
            sleep=sleep,
        )

    async def start(self) -> None:
        """Open the session; nothing is sent yet."""
        self._session.open()

    async def close(self) -> None:
        """Close all connections; requests that still wait in `get` must have been cancelled before."""
        await self._health.close()
        await self._session.close()

    @property
    def idle(self) -> int:
        """The number of requests that could start now; 0 while any has to wait, or the proxy rests or is checked."""
        return 0 if self._health.doubtful else self._limiter.idle

    @property
    def paused(self) -> bool:
        """Whether requests wait for more than a free slot: a pause of all, a rest or a check of the proxy."""
        return self._health.doubtful or self._limiter.paused

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        return self._limiter.in_flight

    @property
    def resting(self) -> bool:
        """Whether the proxy is out of use, and `get` raises ProxyResting."""
        return not self._health.rest_periods.works

    async def keep_testing(self) -> None:
        """Test the proxy while it is not used; runs until cancelled."""
        await self._health.keep_testing()

    async def probe(self) -> bool:
        """Test the proxy before the first request; if it fails, it rests and is tested again automatically.

        Raises CredentialsRejected when Reddit does not know the client id and secret.
        """
        works = await self._health.probe(_FIRST_PROBES)
        if self._rejected is not None:
            raise self._rejected
        return works

    @property
    def mixes_up(self) -> bool:
        """Whether an answer to another question arrived recently: rules are then compared."""
        return self._rules.are_doubtful

    async def ask(self, question: Question) -> object:
        """Fetch the answer to a question, with retries; it is about the requested name.

        Raises what `get` raises, Unexplained for a refusal without a reason, and Mismatch.
        """
        return await (self._rules.fetch if question.kind is Kind.RULES else self._ask)(question)

    async def _ask(self, question: Question) -> object:
        path, self._compares = question.path, True
        # rules contain no name: a separate connection cannot bring the answer to another request
        apart = question.kind is Kind.RULES
        return await self._fetch(Call(path, self._authentication.url(path, question.params), question, apart=apart))

    async def get(self, path: str, params: Params) -> object:
        """Fetch and decode with retries; the answer is not compared with the request.

        Raises Unavailable, CredentialsRejected, and TransientErrors: RateLimited, ServerTrouble, BadAnswer,
        Unreachable (ProxyRefused, ProxyRejectsUs, ProxyResting), NetworkBlocked, TokenRejected.
        """
        return await self._fetch(Call(path, self._authentication.url(path, params)))

    async def _fetch(self, call: Call) -> object:
        state, controls = RetryState(self._config.max_retries), 0
        while True:
            # the answers about a subreddit name the authors, which keep all slots busy
            await self._limiter.enter(urgent=call.question is not None and not call.question.of_user)
            try:
                authorization = await self._authentication.authorization()
                if not isinstance(authorization, Authorization):
                    self._limiter.hold(authorization.seconds)
                elif state.waits > controls and (other := self._control_of(call.path)) is not None:
                    controls = state.waits
                    await self._send_control(other, authorization, state.waits)
                else:
                    return await self._attempt(call, authorization, state.waits)
                continue
            except TransientError as error:
                step = state.after(error, self._draw)
                if step.action is Action.GIVE_UP:
                    raise
                call.after(error)
            finally:
                self._limiter.leave()
            if step.action is Action.RETRY:
                await self._limiter.pause(step.seconds)

    def _control_of(self, path: str) -> Call | None:
        """Return a request to send before this path, which was answered 429: it shows whether all have to wait."""
        if not self._attempts.needs_control(path):
            return None
        paths = self._witnesses.choose({item_of(path)}, self._siblings())
        return self._test_of(paths[0]) if paths else None

    async def _send_control(self, call: Call, authorization: Authorization, waits: int) -> None:
        """Send it; only a 429 matters to the request that waits for it. Raises RateLimited."""
        try:
            await self._attempt(call, authorization, waits)
        except RateLimited:
            raise
        except GaplessError as error:
            log.debug("control_not_served", path=call.path, error=str(error))

    async def _attempt(self, call: Call, authorization: Authorization, waits: int) -> object:
        """Send the request once, and record the result for or against the proxy."""
        try:
            payload = await self._attempts.send(call, self._authentication, authorization, waits)
        except GaplessError as error:
            self._health.record(call.path, error)
            raise
        if call.question is None or names_it(call.question, payload):  # another answer shows nothing about the proxy
            self._health.record(call.path, None)
        return payload

    def _token_answered(self, answer: Answer | None, error: GaplessError | None) -> None:
        self._attempts.token_answered(_TOKEN_PATH, answer, error)
        if error is not None:  # a token says nothing about the requests for data
            self._health.record(_TOKEN_PATH, error)

    async def _probe(self) -> GaplessError | None:
        """Send one request without retries; return its error."""
        if self._token is not None:
            try:
                await self._token.renew()
            except CredentialsRejected as rejection:
                self._rejected = rejection
                return rejection
            except TransientError as failure:
                return failure
            return None
        # a different seed each time: a closed one shows nothing about the proxy
        call = self._test_of(f"/r/{next(self._seeds)}/about")
        answer, _, error = await self._attempts.exchange(call, Authorization())
        self._attempts.count(call.path, answer, error)
        return error

    async def _control(self, failing: Collection[str], times: int = 1) -> Result:
        """Request a recently served path, from here or elsewhere, that is not among the failing names.

        The proxy works when one such path is served so many times in a row.
        """
        paths = self._witnesses.choose(failing, self._siblings())
        result = Result(ProxyTest.FAILED)
        for path in paths:
            result = await self._test_repeatedly(path, times)
            if result.outcome is not ProxyTest.FAILED or (self._token is not None and self._token.bearer is None):
                return result
        if paths:
            return result
        error = await self._probe()  # the only known name may itself be the cause
        return Result(ProxyTest.SERVED if sign_of(error) in _REACHED_REDDIT else ProxyTest.FAILED, error)

    def _test_of(self, path: str) -> Call:
        return Call(path, self._authentication.url(path, RAW), about(path) if self._compares else None)

    async def _test_repeatedly(self, path: str, times: int) -> Result:
        result = await self._test_once(path)
        while times > 1 and result.outcome is ProxyTest.SERVED:
            times -= 1
            result = await self._test_once(path)
        return result

    async def _test_once(self, path: str) -> Result:
        """Send one request without the concurrency limiter and without retries.

        It is sent once more with a new token, or on a separate connection, when the first answer requires that.
        """
        call = self._test_of(path)
        for _ in range(2):
            try:
                if self._token is not None:
                    await self._token.fresh()
                authorization = await self._authentication.authorization()
                if not isinstance(authorization, Authorization):
                    return Result(ProxyTest.UNKNOWN)
                await self._attempts.send(call, self._authentication, authorization, 0)
            except (QuotaShort, QuotaFileError, CredentialsDoubted) as error:
                others_work = any(sibling.works for sibling in self._siblings())
                doubted = isinstance(error, CredentialsDoubted)
                return Result(ProxyTest.FAILED if doubted and others_work else ProxyTest.UNKNOWN, error)
            except (TokenRejected, Unproven, Mismatch, SameElsewhere) as error:
                result = Result(ProxyTest.FAILED, error)
                call.after(error)
            except GaplessError as error:
                return Result(ProxyTest.SERVED if sign_of(error) in _REACHED_REDDIT else ProxyTest.FAILED, error)
            else:
                return Result(ProxyTest.SERVED)
        return result

    def report(self) -> ProxyReport:
        """Return all counters since the start, and the state of the proxy."""
        rest_periods, evidence = self._health.rest_periods, self._health.evidence
        counters, proxy, now = self._attempts.counters, self._config.proxy, self._clock()
        away = timedelta(seconds=max(0.0, rest_periods.resting_until - now))
        good_at = evidence.good_at
        return ProxyReport(
            name=proxy.name if proxy is not None else DIRECT,
            address=show_address(proxy.url) if proxy is not None else "",
            state=str(rest_periods.shown(now, good_at)),
            resting_until=None if rest_periods.works else datetime.now(UTC) + away,
            consecutive_failures=evidence.failures,
            outcomes={str(outcome): count for outcome, count in counters.outcomes.items()},
            statuses=dict(counters.statuses),
            latency_sum=counters.latency_sum,
            latency_count=counters.latency_count,
            last_error=counters.last_error,
            last_error_at=counters.last_error_at,
            distrusted=self._session.distrusted,
            good_at=None if good_at is None else datetime.now(UTC) - timedelta(seconds=now - good_at),
            witness=self._witnesses.newest,
            recent_good=evidence.good,
            recent_bad=evidence.bad,
            failing=evidence.failing[-_SHOWN_FAILING:],
        )
