"""Decides when refused credentials are believed, and how often a token may be asked for. Pure, but for one small file.

Credentials that worked a while ago are refused because of something that passes, more often than because somebody
revoked them. So they are tried again, with growing pauses, for minutes.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from core.backoff import Backoff
from core.reddit.request_errors import TokenRejected
from core.storage.private_files import make_directory, write_private

#: Refusals in a row that are believed at once, of credentials that never worked here.
_NEW = 2

#: Of credentials that worked: refusals in a row, and seconds from the first to the last.
_PROVEN, _PROVEN_SECONDS = 10, 600.0

#: Pauses after a token could not be had, seconds.
_PAUSES = Backoff(first=1.0, longest=60.0, jitter=0.1)

#: Tokens that are given and do not last: this many at once, then one in this many seconds.
_AT_ONCE, _EVERY = 4.0, 2.0


class CredentialsDoubted(TokenRejected):
    """Reddit refuses credentials that worked before: they are tried again before that is believed."""


class Renewals:
    """Keeps the pauses between token requests, and counts refusals."""

    def __init__(self, clock: Callable[[], float], random: Callable[[], float], known: Callable[[], bool]) -> None:
        """`known`: tells whether these credentials worked before this process began."""
        self._clock = clock
        self._random = random
        self._known = known
        self._worked = False
        self._failures = 0
        self._refusals = 0
        self._refused_since = 0.0
        self._not_before = float("-inf")
        self._left = _AT_ONCE
        self._counted_at = clock()

    @property
    def wait(self) -> float:
        """Seconds until the next token may be asked for; 0 for now."""
        now = self._clock()
        refilled = min(_AT_ONCE, self._left + (now - self._counted_at) / _EVERY)
        return max(0.0, self._not_before - now, (1.0 - refilled) * _EVERY)

    @property
    def proven(self) -> bool:
        """Whether these credentials have worked."""
        if not self._worked and self._known():
            self._worked = True
        return self._worked

    @property
    def are_wrong(self) -> bool:
        """Whether the refusals are enough to be believed."""
        if not self.proven:
            return self._refusals >= _NEW
        return self._refusals >= _PROVEN and self._clock() - self._refused_since >= _PROVEN_SECONDS

    def asked(self) -> None:
        """Count a token request."""
        now = self._clock()
        self._left = min(_AT_ONCE, self._left + (now - self._counted_at) / _EVERY) - 1.0
        self._left = max(self._left, 0.0)
        self._counted_at = now

    def given(self) -> None:
        """Note a token: the credentials are good."""
        self._worked = True
        self._failures = self._refusals = 0
        self._not_before = float("-inf")

    def refused(self) -> None:
        """Count a clear refusal."""
        if self._refusals == 0:
            self._refused_since = self._clock()
        self._refusals += 1

    def failed(self) -> float:
        """Note that there is no token; return the pause before the next request, seconds."""
        self._failures += 1
        pause = _PAUSES.pause(self._failures, self._random)
        self._not_before = self._clock() + pause
        return pause


class ProvenCredentials:
    """Remembers over restarts, and for all processes, that these credentials worked.

    An empty file says so; its name holds a short hash of the credentials.
    """

    def __init__(self, state_dir: Path, client_id: str, client_secret: str) -> None:
        text = f"gapless {len(client_id)} {client_id} {client_secret}"
        self._path = state_dir / "crawl" / f"credentials-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def known(self) -> bool:
        """Tell whether they are known to have worked; what cannot be read counts as not known."""
        try:
            return self._path.exists()
        except OSError:
            return False

    def remember(self) -> None:
        """Note that they work. Raises OSError when the disk does not take it."""
        if not self.known():
            make_directory(self._path.parent)
            write_private(self._path, "")
