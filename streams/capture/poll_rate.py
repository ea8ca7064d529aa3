"""Observes the rate of new items of a group. Pure."""

from dataclasses import dataclass

#: This multiple of the usual rate is a burst, not chance.
_BURST = 1.5


@dataclass(frozen=True, slots=True)
class PollRate:
    """The observed rate of a stream, items a second."""

    rate: float = 1.0  # a first guess: the next poll is soon

    def observe(self, new_items: int, seconds: float) -> "PollRate":
        """Record a poll: a burst counts at once, its end slowly; random variation is averaged."""
        if seconds <= 0:
            return self
        now = new_items / seconds
        return PollRate(now if now > _BURST * self.rate else 0.7 * self.rate + 0.3 * now)
