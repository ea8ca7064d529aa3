"""Outcomes of the attempts through one proxy: classified, counted for its report, and logged at most once a minute."""

import enum
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from core.errors import GaplessError, PermanentError
from core.reddit.request_errors import BadAnswer, NetworkBlocked, RateLimited, ServerTrouble, TokenRejected, Unavailable
from scraper.http.transport.route import ProxyRejectsUs
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import Mismatch, Unexplained, Unproven

log = structlog.stdlib.get_logger(__name__)

#: After the first failure of a kind, one line of that kind per this interval counts the further ones, seconds.
_LOG_INTERVAL_S = 60.0


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


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """All counters of one proxy since the process started; they only grow."""

    name: str
    address: str  #: with the password masked; empty without a proxy
    state: str  #: a rest_periods.State
    resting_until: datetime | None
    consecutive_failures: int
    outcomes: Mapping[str, int]
    statuses: Mapping[int, int]  #: HTTP status of the answers
    latency_sum: float  #: of the good answers, seconds
    latency_count: int
    last_error: str | None
    last_error_at: datetime | None
    distrusted: int = 0  #: connections closed because of unrequested bytes
    good_at: datetime | None = None  #: time of the last good answer
    witness: str | None = None  #: a recently served path
    recent_good: int = 0  #: of the last attempts
    recent_bad: int = 0
    failing: tuple[str, ...] = ()  #: names that fail repeatedly

    @property
    def successes(self) -> int:
        """Answers that show that the proxy works: the good ones, and Reddit's refusals."""
        return self.outcomes.get(AttemptOutcome.OK, 0) + self.outcomes.get(AttemptOutcome.REFUSED, 0)

    @property
    def errors(self) -> int:
        """Failed attempts, except 429 and rejected tokens, which say nothing about the proxy."""
        neutral = (
            AttemptOutcome.OK,
            AttemptOutcome.REFUSED,
            AttemptOutcome.RATE_LIMITED,
            AttemptOutcome.UNAUTHORISED,
            AttemptOutcome.UNPROVEN,
        )
        return sum(count for outcome, count in self.outcomes.items() if outcome not in neutral)


#: Outcomes that are not an error.
_NO_ERROR = (AttemptOutcome.OK, AttemptOutcome.REFUSED, AttemptOutcome.UNPROVEN)


@dataclass(slots=True)
class RequestCounters:
    """The mutable counters."""

    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    latency_sum: float = 0.0
    latency_count: int = 0
    last_error: str | None = None
    last_error_at: datetime | None = None

    def good(self, status: int, seconds: float) -> None:
        """Count a good answer."""
        self.outcomes[AttemptOutcome.OK] += 1
        self.statuses[status] += 1
        self.latency_sum += seconds
        self.latency_count += 1

    def bad(self, status: int | None, error: GaplessError, at: datetime) -> AttemptOutcome:
        """Count a failed attempt; a refusal is counted, but not as an error."""
        outcome = outcome_of(error)
        self.outcomes[outcome] += 1
        if status is not None:
            self.statuses[status] += 1
        if outcome not in _NO_ERROR:
            self.last_error, self.last_error_at = str(error), at
        return outcome


class ThrottledLog:
    """Logs failed attempts: the first of a kind at once, then one line a minute with the number of further ones."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged_at: dict[AttemptOutcome, float] = {}
        self._not_logged: dict[AttemptOutcome, int] = {}

    def failed(self, outcome: AttemptOutcome, error: GaplessError, path: str) -> None:
        """Log the failure, or count it for the next line of its kind."""
        now = self._clock()
        if now - self._logged_at.get(outcome, float("-inf")) < _LOG_INTERVAL_S:
            self._not_logged[outcome] = self._not_logged.get(outcome, 0) + 1
            return
        self._logged_at[outcome] = now
        more = self._not_logged.pop(outcome, 0)
        log.warning("request_failed", kind=str(outcome), error=str(error), path=path, more_since_last_line=more)
