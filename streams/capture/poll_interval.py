"""Computes the poll interval: short enough for the arriving items, long enough for the quota. Pure."""

from dataclasses import dataclass

from streams.reddit.listing_page import PAGE_SIZE

#: Share of a page that should be new at each poll: room for a doubling before the next one.
_TARGET = PAGE_SIZE / 2

#: The quota is spare down to this: a window begins with a burst, which is not yet a shortage.
_SPARE = 0.8

#: While quota is spare, a poll is worth its request when this number of items waits; it saves seconds of delay.
_WORTH_A_REQUEST = 2.0

#: Polls are never closer than this, seconds; a page of a burst takes longer to arrive.
_SHORTEST = 0.25

#: This multiple of the usual rate is a burst, not chance.
_BURST = 1.5

#: While quota is spare, a busy stream is polled at least this often, and not more often for freshness, seconds.
_FRESH = 2.5


@dataclass(frozen=True, slots=True)
class PollInterval:
    """The observed rate of a stream, items a second."""

    rate: float = 1.0  # a first guess: the next poll is soon

    def observe(self, new_items: int, seconds: float) -> "PollInterval":
        """Record a poll: a burst counts at once, its end slowly; random variation is averaged."""
        if seconds <= 0:
            return self
        now = new_items / seconds
        return PollInterval(now if now > _BURST * self.rate else 0.7 * self.rate + 0.3 * now)

    def interval(self, longest: float, spare: float, seconds_per_request: float) -> float:
        """Return the seconds to the next poll.

        `spare` is how far the quota's window is ahead of an even pace (1: on pace); `seconds_per_request` is what an
        even use of the rest would allow each stream.
        """
        if self.rate <= 0.001:
            return longest
        needed = _TARGET / self.rate
        fresh = max(_FRESH, _WORTH_A_REQUEST / self.rate) if spare >= _SPARE else needed
        wanted = max(_SHORTEST, min(needed, fresh))
        if spare < 0.5:
            wanted = max(wanted, seconds_per_request)
        return min(longest, wanted)
