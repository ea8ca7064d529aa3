"""Errors of requests to Reddit, by the reaction that they require."""

from core.errors import FaultCode, GaplessError, PermanentError, TransientError
from core.reddit.quota import RateHeaders


class Stopped(GaplessError):
    """A stop was requested while the process waited: no position moved, nothing is lost."""


class Unreachable(TransientError):
    """No answer: refused, reset, timed out."""


class TooSlow(Unreachable):
    """No complete answer within the deadline: a smaller page may be faster."""


class ServerTrouble(TransientError):
    """Reddit answered 5xx or 408."""


class BadAnswer(TransientError):
    """An answer that is not JSON, is truncated, or is not what was requested."""


class RequestRejected(BadAnswer):
    """An answer about the request itself, by its `status`: 400, 410, 414, 431, 451, a redirect elsewhere, and the like.

    The same request would get the same answer: other names, a smaller page or another anchor may not.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    @property
    def too_long(self) -> bool:
        """Whether the request line or the headers are too long for the server."""
        return self.status in {413, 414, 431}


class TooLarge(BadAnswer):
    """The answer exceeds the limit on its size: a smaller page may fit."""


class NetworkBlocked(TransientError):
    """A 403 with HTML: the network refuses us; it shows nothing about the subreddit."""


class TokenRejected(TransientError):
    """The access token expired or was revoked: a new one is fetched."""


class QuotaShort(TransientError):
    """No permission for work that can wait: the rest of the quota belongs to the streams."""


class RateLimited(TransientError):
    """A 429; `retry_after` in seconds, None when Reddit names no time; `rate` are its rate headers."""

    def __init__(self, retry_after: float | None, rate: RateHeaders | None = None) -> None:
        super().__init__("Reddit answered 429 (too many requests)")
        self.retry_after = retry_after
        self.rate = rate


class Unavailable(GaplessError):
    """The requested subreddit, or one of several, cannot be read: private, banned, quarantined, missing.

    `named`: Reddit gave a reason that is about the subreddit; without one, the account or the network may be refused.
    """

    def __init__(self, reason: str, *, named: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.named = named


class CredentialsRejected(PermanentError):
    """Reddit does not know the client id and secret."""

    code = FaultCode.CREDENTIALS
