"""The interface of a sink: where records go, how it is driven, and how soon to go on.

A sink reads its sources by itself, through senders (`streams.sinks.spool_senders`), and has a position of its own in
each of them. So a sink that is slow, or away, holds up no other one.
"""

import enum
from collections.abc import Callable
from typing import Protocol

from core.backoff import Backoff


class RoundResult(enum.Enum):
    """How soon to go on."""

    BUSY = "go on at once"
    IDLE = "all that was captured is delivered: wait for news"
    BLOCKED = "there is work, but it cannot be done just now: wait a moment"


class Sink(Protocol):
    """One destination of records.

    `drive` calls `open`, `send`, `flush` and `commit` in this order, again and again, in one thread. Each call returns
    within about a second, whatever the destination does: what is not finished then goes on at the next call.

    Delivery is at least once if `commit` follows the acknowledgement of the destination, and exactly once if records
    and position become visible there together.
    """

    #: under which its positions are kept; it never changes
    name: str

    def open(self) -> bool:
        """Work towards taking records, and look for new sources; return whether it takes records now."""
        ...

    def send(self) -> int:
        """Hand over a portion of what the sources hold, in their order; return how many records."""
        ...

    def flush(self) -> bool:
        """Take in what the destination acknowledged or refused; return whether nothing is on its way."""
        ...

    def commit(self) -> RoundResult:
        """Make it durable up to where all is delivered; return how soon to go on."""
        ...

    def close(self, seconds: float, /) -> None:
        """Wait at most `seconds` for what is on its way, then let go of the destination."""
        ...

    def backlog(self) -> int:
        """Return how many records are captured and not yet delivered here."""
        ...

    @property
    def held(self) -> bool:
        """Whether the destination is there and takes nothing just now: to wait for it is no use at a stop."""
        ...


def drive(sink: Sink) -> RoundResult:
    """Do one round of work for a sink; return how soon to go on."""
    if sink.open():
        sink.send()
    sink.flush()
    return sink.commit()


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
