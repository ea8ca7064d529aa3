"""The request quota: fixed windows of time, counted per client id."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """A client's usage in the current window."""

    used: int
    remaining: int
    reset: float
    allowed: bool = True

    def headers(self, *, fractional_reset: bool = False) -> dict[str, str]:
        """Return the headers that every data answer carries."""
        reset = f"{self.reset:.2f}" if fractional_reset else str(math.ceil(self.reset))
        return {
            "X-Ratelimit-Used": str(self.used),
            "X-Ratelimit-Remaining": f"{float(self.remaining):.1f}",
            "X-Ratelimit-Reset": reset,
        }


class Quota:
    """Counts requests; windows begin at multiples of their length since the epoch."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._used: dict[str, tuple[int, int]] = {}

    def charge(self, client: str, now: float) -> Usage:
        """Count one request of the client; return its usage, including whether the request may be answered."""
        window, used = self._used.get(client, (0, 0))
        number = self._number(now)
        used = used + 1 if window == number else 1
        self._used[client] = (number, used)
        return self._usage(used, now)

    def usage(self, client: str, now: float) -> Usage:
        """Return the client's usage without counting."""
        number, used = self._used.get(client, (0, 0))
        return self._usage(used if number == self._number(now) else 0, now)

    def clients(self) -> list[str]:
        """Return every client that ever sent a request."""
        return sorted(self._used)

    def _number(self, now: float) -> int:
        return int(now // self._window)

    def _usage(self, used: int, now: float) -> Usage:
        reset = (self._number(now) + 1) * self._window - now
        return Usage(used=used, remaining=max(0, self._limit - used), reset=reset, allowed=used <= self._limit)
