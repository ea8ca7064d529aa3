"""When a proxy is taken out of work, and when it is tried again. Pure: moments and randomness come in.

A proxy that stops working makes requests fail one after the other; a network that loses a few makes them fail here
and there. So only an unbroken run of failures counts, and what cannot be told from Reddit's own trouble counts less.
"""

import enum
from collections.abc import Callable

from core import crawl
from core.backoff import Backoff
from scraper.fetch.outcome import Outcome

#: So many transport errors or network blocks in a row, without one good answer between them, mean that it is dead.
_FAULTS = 5

#: So many are enough where nothing good has come for as long as a request may take (it hangs, or is little used).
_FAULTS_IN_SILENCE = 2

#: So many failures of any kind in a row, 5xx and HTML too, which may be the proxy's or Reddit's.
_ANY_FAILURES = 10

_REST = Backoff(first=5.0, longest=300.0, jitter=0.1)


class State(enum.StrEnum):
    """What the proxy is doing."""

    HEALTHY = crawl.HEALTHY
    RESTING = crawl.RESTING  #: nothing is sent until its time has come
    PROBING = crawl.PROBING  #: one request is under way, and decides


class Sign(enum.Enum):
    """What one attempt says about the proxy."""

    GOOD = "it brought an answer from Reddit"
    FAULT = "it did not"
    DOUBT = "it brought an answer that may be Reddit's or its own"


_SIGNS = {
    Outcome.TRANSPORT_ERROR: Sign.FAULT,
    Outcome.NETWORK_BLOCK: Sign.FAULT,
    Outcome.PROXY_AUTH: Sign.FAULT,
    Outcome.SERVER_ERROR: Sign.DOUBT,
    Outcome.BAD_ANSWER: Sign.DOUBT,
}


def sign_of(outcome: Outcome, *, reads_along: bool) -> Sign:
    """Tell what an outcome says; a proxy that cannot read along cannot have answered itself."""
    sign = _SIGNS.get(outcome, Sign.GOOD)
    return Sign.GOOD if sign is Sign.DOUBT and not reads_along else sign


class Health:
    """Takes the signs in the order in which they come; `resting_until` and all moments are of one clock, seconds."""

    def __init__(self, silence: float, began: float, random: Callable[[], float]) -> None:
        self.state = State.HEALTHY
        self.resting_until = 0.0
        self.failures = 0  #: in a row, since the last good answer
        self.rests = 0  #: in a row
        self.failing_since = began
        self._silence = silence
        self._random = random
        self._faults = 0
        self._good_at = began
        self._recovered_at = began
        self._rested = 0.0

    def take(self, sign: Sign, now: float) -> bool:
        """Take in what an attempt came to; tells whether the proxy rests from now on."""
        if self.state is not State.HEALTHY:
            return False  # the last ones that were under way decide nothing, the probe does
        if sign is Sign.GOOD:
            self._good_at = now
            self.failures = self._faults = 0
            return False
        self._count(sign)
        silent = now - self._good_at >= self._silence
        dead = self._faults >= (_FAULTS_IN_SILENCE if silent else _FAULTS)
        if not dead and self.failures < _ANY_FAILURES:
            return False
        if now - self._recovered_at > self._rested:
            self.rests = 0  # it worked for longer than it rested: this is another story
        self.failing_since = self._good_at
        self._rest(now)
        return True

    def begin_probe(self) -> None:
        """One request goes out to see how it is."""
        self.state = State.PROBING

    def probed(self, sign: Sign, now: float) -> bool:
        """Take in what the probe came to; tells whether the proxy works."""
        if sign is Sign.GOOD:
            self.state = State.HEALTHY
            self.failures = self._faults = 0
            self._good_at = self._recovered_at = now
            return True
        self._count(sign)
        self._rest(now)
        return False

    def _count(self, sign: Sign) -> None:
        self.failures += 1
        self._faults += sign is Sign.FAULT

    def _rest(self, now: float) -> None:
        self.rests += 1
        self._rested = _REST.pause(self.rests, self._random)
        self.state, self.resting_until = State.RESTING, now + self._rested
