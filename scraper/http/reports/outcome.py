"""The outcome of one attempt, in the words of the report and the metrics."""

import enum

from core.errors import GaplessError, PermanentError
from core.reddit.request_errors import BadAnswer, NetworkBlocked, RateLimited, ServerTrouble, TokenRejected, Unavailable
from scraper.http.transport.proxy_errors import ProxyRejectsUs
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import Mismatch, Unexplained, Unproven


class AttemptOutcome(enum.StrEnum):
    """The outcome of one attempt."""

    OK = "ok"
    REFUSED = "refused"  #: private, banned, a deleted user …
    RATE_LIMITED = "rate_limited"
    UNAUTHORISED = "unauthorised"  #: token or credentials not accepted
    SERVER_ERROR = "server_error"
    BAD_ANSWER = "bad_answer"  #: HTML, truncated JSON
    MISMATCH = "mismatch"  #: a good answer to another question
    UNEXPLAINED = "unexplained"  #: refused without a reason
    UNPROVEN = "unproven"  #: requested again: the answer may be an earlier one, or is at another address
    TRANSPORT_ERROR = "transport_error"  #: connection refused, reset, timed out, TLS, SOCKS
    NETWORK_BLOCK = "network_block"
    PROXY_AUTH = "proxy_auth"  #: the proxy does not accept our user and password


_OUTCOMES: tuple[tuple[type[GaplessError], AttemptOutcome], ...] = (
    (Unavailable, AttemptOutcome.REFUSED),
    (RateLimited, AttemptOutcome.RATE_LIMITED),
    (TokenRejected, AttemptOutcome.UNAUTHORISED),
    (PermanentError, AttemptOutcome.UNAUTHORISED),
    (ServerTrouble, AttemptOutcome.SERVER_ERROR),
    (Mismatch, AttemptOutcome.MISMATCH),
    (BadAnswer, AttemptOutcome.BAD_ANSWER),
    (Unexplained, AttemptOutcome.UNEXPLAINED),
    (Unproven, AttemptOutcome.UNPROVEN),
    (SameElsewhere, AttemptOutcome.UNPROVEN),
    (NetworkBlocked, AttemptOutcome.NETWORK_BLOCK),
    (ProxyRejectsUs, AttemptOutcome.PROXY_AUTH),
)


def outcome_of(error: GaplessError) -> AttemptOutcome:
    """Classify an error; any other error means that no answer arrived."""
    if isinstance(error, Unexplained) and error.common:
        return AttemptOutcome.REFUSED
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), AttemptOutcome.TRANSPORT_ERROR)
