"""Retries while the database is away; logs once when it goes away and once when it is back."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import structlog

from core.backoff import Backoff
from scraper.store.connection.database_errors import Fault, StoreUnavailable, classify, reason

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

#: Pauses between attempts: short for a conflict, and never so long that its return goes unnoticed.
_BACKOFF = Backoff(first=0.05, longest=2.0)

#: Seconds that conflicts with other transactions may last before the database counts as away.
_LONGEST_BUSY = 5.0


class OutageRetry:
    """Repeats calls until the database is back, and records its absence."""

    def __init__(
        self,
        place: str,
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._place = place
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._draw = draw
        self._went_away_at = 0.0
        #: since when the database has been away; None while it answers
        self.away_since: datetime | None = None

    async def run(
        self, attempt: Callable[[], Awaitable[T]], *, seconds: float | None = None, only_reads: bool = False
    ) -> T:
        """Retry until success, for at most `seconds` (None: without limit); then raise StoreUnavailable.

        Errors of the rows themselves are raised at once. `only_reads`: success does not prove that the database is
        back, because a SQLite file that another program keeps locked can still be read.
        """
        began = self._monotonic()
        failures = 0
        while True:
            try:
                result = await attempt()
            except Exception as error:
                fault = classify(error)
                if fault is Fault.ROWS:
                    raise
                failures += 1
                waited = self._monotonic() - began
                if fault is Fault.AWAY or waited > _LONGEST_BUSY:
                    self._note_away(began, reason(error))
                if seconds is not None and waited >= seconds:
                    raise StoreUnavailable(f"{self._place} does not answer: {reason(error)}") from error
            else:
                if not only_reads:
                    self._note_back()
                return result
            await self._sleep(_BACKOFF.pause(failures, self._draw))

    def _note_away(self, began: float, why: str) -> None:
        if self.away_since is None:
            self.away_since = self._clock()
            self._went_away_at = began
            log.error("database_away", database=self._place, reason=why)

    def _note_back(self) -> None:
        if self.away_since is not None:
            self.away_since = None
            log.warning("database_back", database=self._place, seconds=round(self._monotonic() - self._went_away_at, 1))
