"""Decides when refused credentials are certain: only after several tries, spread over time. Pure."""

from collections.abc import Callable

from core.reddit.request_errors import CredentialsRejected, TokenRejected

#: For credentials that have not worked yet in this process: consecutive tries, and seconds from first to last.
NEW = (4, 8.0)

#: The same for credentials that have worked: an error of Reddit for some minutes is more likely than a change.
PROVEN = (10, 600.0)

_REFUSED_WHEN_FRESH = (
    "Reddit gives tokens for these credentials and then refuses each of them (401): check that reddit.oauth_url "
    "belongs to reddit.reddit_url, that no proxy changes the Authorization header, and that the application still "
    "has access (https://www.reddit.com/prefs/apps); then start again"
)


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
