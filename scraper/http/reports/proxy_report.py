"""Counters of one process's requests, read as one immutable report."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import GaplessError
from scraper.http.reports.outcome import AttemptOutcome, outcome_of


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
