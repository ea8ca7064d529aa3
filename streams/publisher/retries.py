"""How long to wait before the next try, given how many failed in a row."""

from collections.abc import Callable

from core.backoff import Backoff


class Retries:
    """Counts failures in a row and gives the pause that follows each."""

    def __init__(self, first: float, longest: float, random: Callable[[], float]) -> None:
        self._backoff = Backoff(first, longest)
        self._random = random
        self.failures = 0

    def fail(self) -> float:
        """Count a failure; return how long to wait, in seconds."""
        self.failures += 1
        return self._backoff.pause(self.failures, self._random)

    def succeed(self) -> None:
        """Start from the beginning."""
        self.failures = 0
