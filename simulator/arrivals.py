"""Schedules items of one kind: an even rate, each item at a random time inside its own slot."""

import math
import random


class Arrivals:
    """Item n of a rate appears at a random time in slot n: the count is exactly rate x time, however long the run.

    A change of the rate, and a pause, restart the slots at that time.
    """

    def __init__(self, rate: float, start: float, dice: random.Random) -> None:
        self._dice = dice
        self._normal = rate
        self._burst: float | None = None
        self._burst_end = math.inf
        self._paused = False
        self._origin = start
        self._slot = 0
        self._next_item = self._draw()

    @property
    def rate(self) -> float:
        """Items per second at present."""
        if self._paused:
            return 0.0
        return self._normal if self._burst is None else self._burst

    def set(self, rate: float, now: float, seconds: float | None = None) -> None:
        """Change the rate permanently, or for `seconds` only."""
        if seconds is None:
            self._normal, self._burst, self._burst_end = rate, None, math.inf
        else:
            self._burst, self._burst_end = rate, now + seconds
        self._restart(now)

    def pause(self, now: float) -> None:
        """Schedule nothing until `resume`."""
        self._paused = True
        self._restart(now)

    def resume(self, now: float) -> None:
        """Continue after a pause."""
        self._paused = False
        self._restart(now)

    @property
    def next_at(self) -> float:
        """The time when the next item is due or a burst ends, whichever is first; infinity if neither is scheduled."""
        return min(self._next_item, self._burst_end)

    def step(self) -> float | None:
        """Pass the time `next_at`; return the creation time of the item that appears then, or None if a burst ended."""
        if self._burst_end <= self._next_item:
            end = self._burst_end
            self._burst, self._burst_end = None, math.inf
            self._restart(end)
            return None
        created = self._next_item
        self._slot += 1
        self._next_item = self._draw()
        return created

    def _restart(self, now: float) -> None:
        self._origin = now
        self._slot = 0
        self._next_item = self._draw()

    def _draw(self) -> float:
        rate = self.rate
        return self._origin + (self._slot + self._dice.random()) / rate if rate > 0 else math.inf
