"""Health of one proxy: takes it out of use when it causes failures, and back into use when it works."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import NamedTuple

import structlog

from core.errors import GaplessError
from scraper.http.pacing.concurrency_limiter import ConcurrencyLimiter, Sleep
from scraper.http.proxy.blame import Blame, Evidence, Sign, find_cause, item_of, sign_of
from scraper.http.proxy.proxy_tests import ProxyTest
from scraper.http.proxy.rest_periods import RestPeriods
from scraper.http.proxy.siblings import Siblings

log = structlog.stdlib.get_logger(__name__)

#: Probes that together took less than this failed quickly, seconds.
_QUICK_S = 1.0

#: A proxy with no good answer for this time is tested, before it would be shown as idle; seconds.
_TEST_AFTER_S = 45.0

#: How often to check whether a test is due, and during a rest whether another proxy works again; seconds.
_CHECK_INTERVAL_S = 5.0

#: Tests of an idle proxy in a row, as long as they fail quickly.
_IDLE_TESTS = 3


class Result(NamedTuple):
    """The result of a test, and its error."""

    outcome: ProxyTest
    error: GaplessError | None = None


#: Makes one attempt before the first request and returns its error.
Probe = Callable[[], Awaitable[GaplessError | None]]

#: Tests the proxy with a recently served path; the arguments are the names that fail, and how many times in a row one
#: path must be served.
Control = Callable[[Collection[str], int], Awaitable[Result]]


class ProxyHealth:
    """Keeps the evidence and the health of a proxy, and opens and shuts the concurrency limiter accordingly."""

    def __init__(
        self,
        rest_periods: RestPeriods,
        evidence: Evidence,
        limiter: ConcurrencyLimiter,
        *,
        probe: Probe,
        control: Control,
        siblings: Siblings,
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self.rest_periods = rest_periods
        self.evidence = evidence
        self._limiter = limiter
        self._probe = probe
        self._control = control
        self._siblings = siblings
        self._clock = clock
        self._sleep = sleep
        self._control_task: asyncio.Task[None] | None = None
        self._recovery_task: asyncio.Task[None] | None = None

    @property
    def doubtful(self) -> bool:
        """Whether a check of the proxy is in progress: no new request should start."""
        return _is_running(self._control_task)

    def record(self, path: str, error: GaplessError | None) -> None:
        """Add the end of an attempt."""
        if not self.rest_periods.works:
            return  # requests that were still in flight decide nothing, the probe does
        now = self._clock()
        if not self.evidence.record(item_of(path), sign_of(error), now) or self.doubtful:
            return
        blame = find_cause(self.evidence, self._siblings(), now)
        if blame is None:
            self._control_task = asyncio.create_task(self._decide_by_control(error), name="proxy test")
        else:
            self._conclude(blame, error)

    async def _decide_by_control(self, error: GaplessError | None) -> None:
        """Decide by the control."""
        result = await self._attempt_safely(self._send_control)
        now = self._clock()
        if not self.rest_periods.works or not self.evidence.suspicious(now):
            return  # a good answer arrived meanwhile
        if result.outcome is ProxyTest.UNKNOWN:
            self.evidence.begin_anew(window=False)
            return
        served = result.outcome is ProxyTest.SERVED
        blame = find_cause(self.evidence, self._siblings(), now, control_served=served)
        self._conclude(blame or Blame.NOBODY, result.error or error)

    def _conclude(self, blame: Blame, error: GaplessError | None) -> None:
        evidence = self.evidence
        if blame is Blame.NOBODY:
            evidence.siblings_are_no_better(self._clock())
        elif blame is Blame.ITEM:
            if names := evidence.blame_names(self._clock()):
                log.warning(
                    "names_failing",
                    names=names,
                    error=str(error),
                    hint="the proxy works: these names are retried later",
                )
        else:
            unsteady = not evidence.suspicious(self._clock())
            log.warning(
                "proxy_failing",
                error=str(error),
                failures=evidence.failures,
                blame=blame.name.lower(),
                recent_bad=evidence.bad,
                recent_good=evidence.good,
            )
            self._rest(error, unsteady=unsteady)

    async def probe(self, attempts: int = 1) -> bool:
        """Test the proxy before the first request; return whether it works.

        Makes several attempts only while they fail quickly.
        """

        async def attempt() -> Result:
            error = await self._probe()
            return Result(ProxyTest.SERVED if _shows_work(error) else ProxyTest.FAILED, error)

        self.rest_periods.begin_probe()
        return self._apply(await self._attempt_repeatedly(attempts, attempt))

    async def keep_testing(self) -> None:
        """Test the proxy whenever it was not used for a while; runs until cancelled."""
        while True:
            await self._sleep(_CHECK_INTERVAL_S)
            if self._is_test_due():
                await self._test()

    def _is_test_due(self) -> bool:
        if not self.rest_periods.works or self.doubtful or self._limiter.in_flight or self._limiter.held:
            return False
        good_at = self.evidence.good_at
        return good_at is None or self._clock() - good_at >= _TEST_AFTER_S

    async def _test(self) -> None:
        """Test an idle proxy; it stays idle when the quota allows no request."""
        result = await self._attempt_repeatedly(_IDLE_TESTS, self._send_control)
        if result.outcome is ProxyTest.FAILED and self.rest_periods.works:
            log.warning("proxy_failing", error=str(result.error), failures=_IDLE_TESTS, blame="idle")
            self._rest(result.error)

    async def _attempt_repeatedly(self, attempts: int, attempt: Callable[[], Awaitable[Result]]) -> Result:
        began = self._clock()
        result = await self._attempt_safely(attempt)
        while attempts > 1 and result.outcome is ProxyTest.FAILED and self._clock() - began < _QUICK_S:
            attempts -= 1
            result = await self._attempt_safely(attempt)
        return result

    async def _attempt_safely(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await attempt()
        except Exception as unforeseen:
            # a bug of ours: it must not take the proxy out of use permanently
            log.exception("probe_broke_off")
            return Result(ProxyTest.FAILED, GaplessError(f"{type(unforeseen).__name__}: {unforeseen}"))

    async def _send_control(self, times: int = 1) -> Result:
        result = await self._control(self.evidence.run.items, times)
        if result.outcome is ProxyTest.SERVED:
            self.evidence.good_at = self._clock()
        return result

    def _apply(self, result: Result) -> bool:
        """Take the proxy into use, or start a rest (again)."""
        now = self._clock()
        if result.outcome is ProxyTest.SERVED:
            self.rest_periods.recovered(now)
            self.evidence.begin_anew()
            self._limiter.open()
            return True
        self._rest(result.error)
        return False

    def _rest(self, error: GaplessError | None, *, unsteady: bool = False) -> None:
        rest_periods, now = self.rest_periods, self._clock()
        good_at = self.evidence.good_at
        others_work = any(sibling.works for sibling in self._siblings())
        rest_periods.rest(now, now if good_at is None else good_at, common=not others_work, unsteady=unsteady)
        self._limiter.shut(rest_periods.resting_until)
        seconds = round(rest_periods.resting_until - now, 1)
        log.warning("proxy_rests", seconds=seconds, rests=rest_periods.rests, reason=str(error))
        if not _is_running(self._recovery_task):
            self._recovery_task = asyncio.create_task(self._test_until_recovered(), name="proxy returns")

    async def _test_until_recovered(self) -> None:
        while not self.rest_periods.works:
            await self._wait_for_return()
            self.rest_periods.begin_probe()
            test = partial(self._send_control, self.rest_periods.tests_to_return)
            result = await self._attempt_safely(test)
            while result.outcome is ProxyTest.UNKNOWN:
                # the quota has no request left for it: that is not the proxy's fault
                await self._sleep(_CHECK_INTERVAL_S)
                result = await self._attempt_safely(test)
            if self._apply(result):
                away = round(self._clock() - self.rest_periods.failing_since, 1)
                log.info("proxy_recovered", seconds_away=away, rests=self.rest_periods.rests)

    async def _wait_for_return(self) -> None:
        """Wait for the end of the rest; when no other proxy worked either, only until one works."""
        began, others = self._clock(), self._siblings()
        if not others or any(sibling.works for sibling in others):
            await self._sleep(max(0.0, self.rest_periods.resting_until - began))
            return
        while (left := self.rest_periods.resting_until - self._clock()) > 0:
            await self._sleep(min(left, _CHECK_INTERVAL_S))
            if any(sibling.good_for < self._clock() - began for sibling in self._siblings()):
                return

    async def close(self) -> None:
        """Cancel the tasks in progress."""
        tasks = [task for task in (self._control_task, self._recovery_task) if task is not None]
        self._control_task = self._recovery_task = None
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _is_running(task: asyncio.Task[None] | None) -> bool:
    return task is not None and not task.done()


def _shows_work(error: GaplessError | None) -> bool:
    """Return whether a probe before the first request reached Reddit: a refusal and a 429 are Reddit's own."""
    return sign_of(error) in {Sign.GOOD, Sign.WEAK, Sign.NOTHING}
