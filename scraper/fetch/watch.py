"""Watches over one proxy: takes it out of work when it fails, and brings it back when a probe comes through."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from core.errors import GaplessError
from scraper.fetch.gate import Gate, Sleep
from scraper.fetch.health import Health, Sign, State, sign_of
from scraper.fetch.outcome import outcome_of

log = structlog.stdlib.get_logger(__name__)

#: Probes that together took less than this have failed quickly, seconds.
_QUICK = 1.0

#: Makes one attempt and returns what went wrong.
Probe = Callable[[], Awaitable[GaplessError | None]]


class Watch:
    """Feeds the health of a proxy, opens and shuts the gate accordingly, and says so."""

    def __init__(
        self, health: Health, gate: Gate, probe: Probe, *, reads_along: bool, clock: Callable[[], float], sleep: Sleep
    ) -> None:
        self.health = health
        self._gate = gate
        self._probe = probe
        self._reads_along = reads_along
        self._clock = clock
        self._sleep = sleep
        self._return: asyncio.Task[None] | None = None

    def sign(self, error: GaplessError | None) -> Sign:
        """Tell what the end of an attempt says about the proxy."""
        return Sign.GOOD if error is None else sign_of(outcome_of(error), reads_along=self._reads_along)

    def take(self, error: GaplessError | None) -> None:
        """Take in the end of an attempt."""
        if self.health.take(self.sign(error), self._clock()):
            log.warning("proxy_failing", error=str(error), failures=self.health.failures)
            self._send_to_rest(error)

    async def probe(self, attempts: int = 1) -> bool:
        """Test the proxy now; tells whether it works. Several attempts are made only while they fail quickly."""
        self.health.begin_probe()
        began = self._clock()
        error = await self._one_probe()
        while attempts > 1 and self.sign(error) is not Sign.GOOD and self._clock() - began < _QUICK:
            attempts -= 1
            error = await self._one_probe()
        if self.health.probed(self.sign(error), self._clock()):
            self._gate.open()
            return True
        self._send_to_rest(error)
        return False

    async def close(self) -> None:
        """End the wait for its return."""
        task, self._return = self._return, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _one_probe(self) -> GaplessError | None:
        try:
            return await self._probe()
        except Exception as unforeseen:
            # an error of ours: it must not take the proxy away for good
            log.exception("probe_broke_off")
            return GaplessError(f"{type(unforeseen).__name__}: {unforeseen}")

    def _send_to_rest(self, error: GaplessError | None) -> None:
        health = self.health
        self._gate.shut(health.resting_until)
        seconds = round(health.resting_until - self._clock(), 1)
        log.warning("proxy_rests", seconds=seconds, rests=health.rests, reason=str(error))
        if self._return is None or self._return.done():
            self._return = asyncio.create_task(self._bring_back(), name="proxy returns")

    async def _bring_back(self) -> None:
        while self.health.state is not State.HEALTHY:
            await self._sleep(max(0.0, self.health.resting_until - self._clock()))
            if await self.probe():
                away = round(self._clock() - self.health.failing_since, 1)
                log.info("proxy_recovered", seconds_away=away, rests=self.health.rests)
