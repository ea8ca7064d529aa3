"""The requests of the last minute, and the pace at which no minute gets more than a limit. Pure."""

from collections import deque

#: Length of the window, seconds.
MINUTE_S = 60.0


class RecentRequests:
    """The moments of the requests of the last minute, on the caller's clock, seconds; they come in order.

    Example: 40 requests in the first second, and a limit of 50 a minute. One more may be sent at once (`due`). The even
    pace until those 40 are a minute old is a request in 6 seconds (`pace`).
    """

    def __init__(self) -> None:
        self._moments: deque[float] = deque()
        #: the number of requests that the others have ever sent, as last reported
        self._others: int | None = None

    def add(self, now: float) -> None:
        """Record a request."""
        self._forget(now)
        self._moments.append(now)

    def others_sent(self, now: float, total: int) -> None:
        """Record how many requests the others have ever sent: those since the last report count as sent now."""
        new = 0 if self._others is None else max(0, total - self._others)
        self._others = total
        self._moments.extend([now] * new)
        self._forget(now)

    def count(self, now: float) -> int:
        """Return the number of requests of the last minute."""
        self._forget(now)
        return len(self._moments)

    def due(self, now: float, limit: float) -> float:
        """Return when a minute has room for one more request; in the past: it has room now."""
        self._forget(now)
        excess = len(self._moments) - max(1, int(limit))
        return self._moments[excess] + MINUTE_S if excess >= 0 else float("-inf")

    def pace(self, now: float, limit: float) -> float:
        """Return the highest even pace that leaves each minute within the limit, requests per second."""
        self._forget(now)
        room, slowest = limit - len(self._moments), limit / MINUTE_S
        for gone, moment in enumerate(self._moments):
            # until this one is a minute old, only the room counts, and what those before it leave
            seconds = moment + MINUTE_S - now
            if seconds > 0:
                slowest = min(slowest, max(0.0, room + gone) / seconds)
        return slowest

    def _forget(self, now: float) -> None:
        while self._moments and self._moments[0] <= now - MINUTE_S:
            self._moments.popleft()
