"""Records and logs when the quota is too short for a stream's load, before anything is lost."""

from collections.abc import Callable

import structlog

from core.spool.stream_state import Shortage, StateChange
from streams.capture.coverage import Coverage
from streams.capture.groups import Groups
from streams.capture.request_plan import Plan

#: Seconds between two records of a shortage that lasts, and most subreddits named in one.
_EVERY_S = 60.0
_MOST_NAMED = 20

#: Where machines share a quota, a share follows the needs within this time, seconds.
SHARES_SETTLE_S = 20.0

_HINT = "these subreddits are polled less often, and items are lost if their rates grow: configure fewer subreddits"


class ShortageReport:
    """The shortage of one stream, in its spool and its log.

    Args:
        coverage: stores it.
        log: the logger.
        patience: seconds for which a plan must be short before it is a shortage.
        clock: monotonic seconds.
        wall: this machine's clock, epoch seconds.
    """

    def __init__(
        self,
        coverage: Coverage,
        log: structlog.stdlib.BoundLogger,
        *,
        patience: float = 0.0,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._patience = patience
        #: since when the plan has been short
        self._short_since: float | None = None
        self._coverage = coverage
        self._log = log
        self._clock = clock
        self._wall = wall
        self._recorded_at = float("-inf")

    def update(self, plan: Plan, groups: Groups) -> None:
        """Record the plan if it is short, and when it no longer is. Raises SpoolError."""
        before = self._coverage.state.shortage
        if not plan.short:
            self._recorded_at, self._short_since = float("-inf"), None
            if before is not None:
                self._coverage.store(StateChange(shortage=()))
                self._log.info("quota_sufficient_again", lasted_seconds=round(self._wall() - before.since))
            return
        now = self._clock()
        if self._short_since is None:
            self._short_since = now
        if now - self._short_since < self._patience or now - self._recorded_at < _EVERY_S:
            return
        self._recorded_at = now
        slowed = [name for key in plan.slowed for name in groups[key].names]
        since = self._wall() if before is None else before.since
        found = Shortage(round(plan.needed, 1), round(plan.allowed, 1), since, len(slowed), tuple(slowed[:_MOST_NAMED]))
        self._coverage.store(StateChange(shortage=found))
        self._log.warning(
            "quota_short",
            needed_per_minute=found.needed,
            allowed_per_minute=found.allowed,
            slowed=found.slowed,
            subreddits=list(found.subreddits),
            hint=_HINT,
        )
