"""Reddit's clock: an item's age is measured by it, whatever this machine's clock says."""

import time
from collections.abc import Callable

from core.reddit.server_clock import ServerClock

#: A step of this machine's clock that is larger than this, seconds, was set by somebody.
_STEP_S = 5.0

#: After this many answers, Reddit's clock is known again.
_ANSWERS = 5


def steady() -> float:
    """Return seconds that pass evenly; where the system has such a clock, also while the machine is suspended."""
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class RedditClock:
    """Returns epoch seconds by Reddit's clock.

    After this machine's clock was set, time goes on as before, until answers have shown the new difference. So a clock
    that is days ahead for a while makes no look late or superfluous, and one that is set back does not stop the looks.

    Args:
        server: the difference, measured from the answers.
        wall: this machine's clock, epoch seconds.
        steady: a clock that nobody sets, seconds.
    """

    def __init__(
        self,
        server: ServerClock,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady,
    ) -> None:
        self._server = server
        self._wall = wall
        self._steady = steady
        self._difference = wall() - steady()
        self._held = 0.0
        self._offset_before = 0.0
        self._held_until = 0  # answers

    def __call__(self) -> float:
        """Return the time."""
        wall, server = self._wall(), self._server
        difference = wall - self._steady()
        step, self._difference = difference - self._difference, difference
        if abs(step) > _STEP_S:
            if not self._held:
                self._offset_before = server.offset
            self._held -= step
            self._held_until = server.answers + _ANSWERS
        followed = abs(server.offset - self._offset_before - self._held) < abs(self._held) / 2
        if self._held and (followed or server.answers >= self._held_until):
            self._held = 0.0
        return wall + server.offset + self._held
