"""Growing pauses between attempts, with jitter. Pure: randomness is an argument."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential pauses: `first`, then twice as long each time, at most `longest` seconds, ± the share `jitter`."""

    first: float
    longest: float
    jitter: float = 0.3

    def pause(self, failures: int, random: Callable[[], float]) -> float:
        """Return the pause in seconds after this number of failures in a row (1 or more); `random` returns [0, 1)."""
        plain = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return plain * (1.0 + self.jitter * (2.0 * random() - 1.0))
