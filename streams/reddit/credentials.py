"""Limits how a process uses its credentials. Pure.

Token requests have a highest rate, and refused credentials are certain only after several tries, spread over time.
"""

import time
from collections.abc import Callable

from core.reddit.request_errors import CredentialsRejected, TokenRejected, Unreachable

#: For credentials that have not worked yet in this process: consecutive tries, and seconds from first to last.
NEW = (4, 8.0)

#: The same for credentials that have worked: an error of Reddit for some minutes is more likely than a change.
PROVEN = (10, 600.0)

_REFUSED_WHEN_FRESH = (
    "Reddit issues tokens for these credentials and then rejects each of them (401): check that reddit.oauth_url "
    "belongs to reddit.reddit_url, that no proxy changes the Authorization header, and that the application still "
    "has access (https://www.reddit.com/prefs/apps); then restart"
)


class TokenRate:
    """Limits token requests: a few at once, then one per `seconds`."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, at_once: float = 4.0, seconds: float = 5.0
    ) -> None:
        self._clock = clock
        self._at_once = at_once
        self._seconds = seconds
        self._left = at_once
        self._counted_at = clock()

    def take(self) -> None:
        """Count a token request. Raises Unreachable if it is too early."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._counted_at) / self._seconds)
        self._counted_at = now
        if self._left < 1.0:
            wait = (1.0 - self._left) * self._seconds
            raise Unreachable(f"the last tokens were rejected: the next one is requested in {wait:.1f} s")
        self._left -= 1.0


class CredentialRejections:
    """Counts consecutive refusals of the credentials, or of tokens that were just issued for them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._since = 0.0
        self._proven = False

    def worked(self) -> None:
        """Record an answer: the credentials are valid."""
        self._proven = True
        self._count = 0

    def refused(self, error: CredentialsRejected | TokenRejected) -> CredentialsRejected | None:
        """Count one refusal; return the permanent error once it is certain."""
        now = self._clock()
        if self._count == 0:
            self._since = now
        self._count += 1
        tries, seconds = PROVEN if self._proven else NEW
        if self._count < tries or now - self._since < seconds:
            return None
        return error if isinstance(error, CredentialsRejected) else CredentialsRejected(_REFUSED_WHEN_FRESH)
