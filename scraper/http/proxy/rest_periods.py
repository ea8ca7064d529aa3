"""The health of a proxy: when it rests, for how long, and when it counts as idle. Pure."""

import enum
from collections.abc import Callable

from core.backoff import Backoff
from core.status import crawl

_REST = Backoff(first=5.0, longest=300.0, jitter=0.1)

#: The longest rest where nothing works anywhere, seconds: the proxy is not to blame, and all come back at once.
_LONGEST_COMMON_REST = 60.0

#: A proxy that brought nothing for this time is not known to work, seconds.
IDLE_AFTER = 60.0


class State(enum.StrEnum):
    """What the proxy is doing."""

    HEALTHY = crawl.HEALTHY
    IDLE = crawl.IDLE  #: it was not used lately, so nobody knows
    RESTING = crawl.RESTING  #: nothing is sent until its time has come
    PROBING = crawl.PROBING  #: one request is under way, and decides


class RestPeriods:
    """The state of one proxy; `resting_until` and all moments are of one clock, seconds."""

    def __init__(self, began: float, random: Callable[[], float]) -> None:
        self.state = State.HEALTHY
        self.resting_until = 0.0
        self.rests = 0  #: in a row
        self.failing_since = began
        self._random = random
        self._recovered_at = began
        self._rested = 0.0

    @property
    def works(self) -> bool:
        """Whether requests go through it."""
        return self.state is State.HEALTHY

    def begin_probe(self) -> None:
        """Note that one request goes out to see how it is."""
        self.state = State.PROBING

    def rest(self, now: float, since: float, *, common: bool = False) -> None:
        """Let it rest: longer each time, unless it worked for longer than it rested.

        Args:
            now: the moment.
            since: the moment of its first failure.
            common: whether nothing works anywhere, so that the proxy is not to blame.

        """
        if self.state is State.HEALTHY:
            if now - self._recovered_at > self._rested:
                self.rests = 0  # this is another story
            self.failing_since = since
        self.rests += 1
        rested = _REST.pause(self.rests, self._random)
        self._rested = min(rested, _LONGEST_COMMON_REST) if common else rested
        self.state, self.resting_until = State.RESTING, now + self._rested

    def recovered(self, now: float) -> None:
        """Take it into work again: a probe was served."""
        self.state, self._recovered_at = State.HEALTHY, now

    def shown(self, now: float, good_at: float | None) -> State:
        """Return the state to show; `good_at` is the moment of the last good answer."""
        seen_at = self._recovered_at if good_at is None else max(good_at, self._recovered_at)
        return State.IDLE if self.state is State.HEALTHY and now - seen_at > IDLE_AFTER else self.state
