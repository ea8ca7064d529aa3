"""The interface of a sink, the loop step that drives it, and its retry pauses.

A sink reads its sources itself, through senders (`streams.sinks.spool_senders`), and has its own position in each of
them. So a slow or unreachable sink does not delay the others.
"""

import enum
from collections.abc import Callable
from typing import Protocol

from core.backoff import Backoff


class RoundResult(enum.Enum):
    """When the next round is due."""

    BUSY = "continue at once"
    IDLE = "everything captured is delivered: wait for new records"
    BLOCKED = "there is work that cannot be done now: wait a moment"


class Sink(Protocol):
    """One destination of records.

    `drive` calls `open`, `send`, `flush` and `commit` in this order, repeatedly, in one thread. Each call returns
    within about a second, whatever the destination does; unfinished work continues at the next call.

    Delivery is at least once if `commit` follows the destination's acknowledgement, and exactly once if records and
    position become visible at the destination together.
    """

    #: the name under which its positions are stored; it never changes
    name: str

    def open(self) -> bool:
        """Connect as far as needed and check for new sources; return whether the sink accepts records now."""
        ...

    def send(self) -> int:
        """Send a batch from the sources, in their order; return the number of records."""
        ...

    def flush(self) -> bool:
        """Process the destination's acknowledgements and refusals; return whether nothing is in flight."""
        ...

    def commit(self) -> RoundResult:
        """Make the positions of what is delivered durable; return when the next round is due."""
        ...

    def close(self, seconds: float, /) -> None:
        """Wait at most `seconds` for records in flight, then disconnect from the destination."""
        ...

    def backlog(self) -> int:
        """Return the number of records that are captured and not yet delivered to this sink."""
        ...

    @property
    def held(self) -> bool:
        """Whether the destination is reachable and currently refuses records: a stop need not wait for it."""
        ...


def drive(sink: Sink) -> RoundResult:
    """Do one round of work for a sink; return when the next round is due."""
    if sink.open():
        sink.send()
    sink.flush()
    return sink.commit()


class Retries:
    """Counts consecutive failures and returns the pause after each."""

    def __init__(self, first: float, longest: float, random: Callable[[], float]) -> None:
        self._backoff = Backoff(first, longest)
        self._random = random
        self.failures = 0

    def fail(self) -> float:
        """Count a failure; return the seconds to wait."""
        self.failures += 1
        return self._backoff.pause(self.failures, self._random)

    def succeed(self) -> None:
        """Reset the count to zero."""
        self.failures = 0
