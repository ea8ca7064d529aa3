"""Decides when refused credentials count as wrong, and how often to request a token. Pure except for one small file.

When credentials that worked recently are refused, the cause is more often temporary than a revocation. They are
therefore tried again for minutes, with growing pauses.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from core.backoff import Backoff
from core.reddit.request_errors import TokenRejected
from core.storage.private_files import make_directory, write_private

#: Refusals in a row after which credentials that never worked here count as wrong.
_REFUSALS_OF_NEW = 2

#: The same for credentials that worked: refusals in a row, and seconds from the first to the last.
_REFUSALS_OF_PROVEN, _REFUSED_FOR_S = 10, 600.0

#: Pauses after a failed token request, seconds.
_PAUSES = Backoff(first=1.0, longest=60.0, jitter=0.1)

#: Limit for tokens that are issued but do not last: this many at once, then one per this many seconds.
_BURST, _REFILL_INTERVAL_S = 4.0, 2.0


class CredentialsDoubted(TokenRejected):
    """Reddit refuses credentials that worked before: they are tried again before they count as wrong."""


class Renewals:
    """Tracks the pauses between token requests, and counts refusals."""

    def __init__(self, clock: Callable[[], float], random: Callable[[], float], known: Callable[[], bool]) -> None:
        """`known`: returns whether these credentials worked before this process started."""
        self._clock = clock
        self._random = random
        self._known = known
        self._worked = False
        self._failures = 0
        self._refusals = 0
        self._refused_since = 0.0
        self._not_before = float("-inf")
        self._left = _BURST
        self._counted_at = clock()

    @property
    def wait(self) -> float:
        """Seconds until the next token may be requested; 0: now."""
        now = self._clock()
        refilled = min(_BURST, self._left + (now - self._counted_at) / _REFILL_INTERVAL_S)
        return max(0.0, self._not_before - now, (1.0 - refilled) * _REFILL_INTERVAL_S)

    @property
    def proven(self) -> bool:
        """Whether these credentials have worked."""
        if not self._worked and self._known():
            self._worked = True
        return self._worked

    @property
    def are_wrong(self) -> bool:
        """Whether there are enough refusals to count the credentials as wrong."""
        if not self.proven:
            return self._refusals >= _REFUSALS_OF_NEW
        return self._refusals >= _REFUSALS_OF_PROVEN and self._clock() - self._refused_since >= _REFUSED_FOR_S

    def asked(self) -> None:
        """Count a token request."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._counted_at) / _REFILL_INTERVAL_S) - 1.0
        self._left = max(self._left, 0.0)
        self._counted_at = now

    def given(self) -> None:
        """Record a token: the credentials are good."""
        self._worked = True
        self._failures = self._refusals = 0
        self._not_before = float("-inf")

    def refused(self) -> None:
        """Count an explicit refusal."""
        if self._refusals == 0:
            self._refused_since = self._clock()
        self._refusals += 1

    def failed(self) -> float:
        """Record that there is no token; return the pause before the next request, seconds."""
        self._failures += 1
        pause = _PAUSES.pause(self._failures, self._random)
        self._not_before = self._clock() + pause
        return pause


class ProvenCredentials:
    """Remembers across restarts, and for all processes, that these credentials worked.

    The record is an empty file; its name contains a short hash of the credentials.
    """

    def __init__(self, state_dir: Path, client_id: str, client_secret: str) -> None:
        text = f"gapless {len(client_id)} {client_id} {client_secret}"
        self._path = state_dir / "crawl" / f"credentials-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def known(self) -> bool:
        """Return whether the credentials are known to have worked; an unreadable file counts as not known."""
        try:
            return self._path.exists()
        except OSError:
            return False

    def remember(self) -> None:
        """Record that the credentials work. Raises OSError when the disk does not accept the file."""
        if not self.known():
            make_directory(self._path.parent)
            write_private(self._path, "")
