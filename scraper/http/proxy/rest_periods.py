"""The state of a proxy: when it rests, for how long, and when it counts as idle. Pure."""

import enum
from collections.abc import Callable

from core.backoff import Backoff
from core.status import crawl

_REST = Backoff(first=5.0, longest=300.0, jitter=0.1)

#: The longest rest when nothing works anywhere, seconds: the proxy is not the cause, and all return at once.
_LONGEST_COMMON_REST = 60.0

#: A proxy that failed at a part of its requests is trusted again after it worked for this time, seconds. Until then one
#: test shows little about it: this many in a row must succeed at the end of a rest.
_UNSTEADY_FOR = 600.0
_STEADY_TESTS = 5

#: A proxy with no good answer for this time is not known to work, seconds.
IDLE_AFTER = 60.0


class State(enum.StrEnum):
    """The current state of the proxy."""

    HEALTHY = crawl.HEALTHY
    IDLE = crawl.IDLE  #: not used recently, so its health is unknown
    RESTING = crawl.RESTING  #: nothing is sent until the end of the rest
    PROBING = crawl.PROBING  #: one request is in flight, and decides


class RestPeriods:
    """The rest periods of one proxy; `resting_until` and all times are seconds of one clock."""

    def __init__(self, began: float, random: Callable[[], float]) -> None:
        self.state = State.HEALTHY
        self.resting_until = 0.0
        self.rests = 0  #: in a row
        self.failing_since = began
        self._random = random
        self._recovered_at = began
        self._rested = 0.0
        self._unsteady = False

    @property
    def works(self) -> bool:
        """Whether requests go through the proxy."""
        return self.state is State.HEALTHY

    @property
    def tests_to_return(self) -> int:
        """How many tests in a row must succeed at the end of a rest."""
        return _STEADY_TESTS if self._unsteady else 1

    def begin_probe(self) -> None:
        """Record that one request is sent to test the proxy."""
        self.state = State.PROBING

    def rest(self, now: float, since: float, *, common: bool = False, unsteady: bool = False) -> None:
        """Start a rest: longer each time, unless the proxy worked for longer than it rested.

        Args:
            now: the current time, seconds.
            since: the time when the failures began, seconds.
            common: whether nothing works anywhere, so that the proxy is not the cause.
            unsteady: whether a part of the requests failed, with good answers between them.

        """
        if self.state is State.HEALTHY:
            if now - self._recovered_at > max(self._rested, _UNSTEADY_FOR if self._unsteady else 0.0):
                self.rests, self._unsteady = 0, False  # unrelated to the failures before
            self.failing_since = since
        self._unsteady |= unsteady
        self.rests += 1
        rested = _REST.pause(self.rests, self._random)
        self._rested = min(rested, _LONGEST_COMMON_REST) if common else rested
        self.state, self.resting_until = State.RESTING, now + self._rested

    def recovered(self, now: float) -> None:
        """Take the proxy into use again: a probe was served."""
        self.state, self._recovered_at = State.HEALTHY, now

    def shown(self, now: float, good_at: float | None) -> State:
        """Return the state to show; `good_at` is the time of the last good answer, seconds."""
        seen_at = self._recovered_at if good_at is None else max(good_at, self._recovered_at)
        return State.IDLE if self.state is State.HEALTHY and now - seen_at > IDLE_AFTER else self.state
