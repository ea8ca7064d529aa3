"""How fast something goes lately: a count per hour over the last minutes."""

from collections import deque

_WINDOW = 300.0  # seconds
_TOO_EARLY = 3.0  # after less than this nothing can be said


class Pace:
    """Told of each thing that is finished; moments are of any clock that only goes forward."""

    def __init__(self, now: float, window: float = _WINDOW) -> None:
        self._began = now
        self._window = window
        self._finished: deque[float] = deque()

    def count(self, now: float) -> None:
        """Take in that one more is finished."""
        self._finished.append(now)

    def per_hour(self, now: float) -> float | None:
        """Give the pace over the window, or since the beginning while that is shorter; None when it is too early."""
        while self._finished and now - self._finished[0] > self._window:
            self._finished.popleft()
        seconds = min(self._window, now - self._began)
        return len(self._finished) / seconds * 3600.0 if seconds >= _TOO_EARLY else None
