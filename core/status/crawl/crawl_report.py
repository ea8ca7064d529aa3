"""The report of one scraper process and its proxy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

#: `proxy_state` of a proxy that returned an answer within the last minute.
HEALTHY = "healthy"

#: Its other values: not used lately, resting, being tested, not yet tested, its process has ended.
IDLE, RESTING, PROBING, STARTING, STOPPED = "idle", "resting", "probing", "starting", "stopped"


@dataclass(frozen=True, slots=True)
class Frontier:
    """The content of the database and the remaining work, as counted by one process."""

    subreddits: int = 0  #: rows
    users: int = 0
    posts: int = 0
    rules: int = 0
    waiting: int = 0  #: subreddits that are due and not leased
    leased: int = 0  #: in progress
    later: int = 0  #: to be retried later
    done: int = 0
    refused: int = 0  #: of `later`: refused by Reddit, requested again in days
    growing: int | None = None  #: of those to do and failed, the number that may lead to others; None: not counted

    @property
    def to_do(self) -> int:
        """Subreddits that are due now."""
        return self.waiting + self.leased

    @property
    def failed(self) -> int:
        """Subreddits to be retried soon."""
        return self.later - self.refused


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """One process and its proxy. Moments are epoch seconds; counters include all incarnations."""

    process: str
    proxy: str  #: its name; "direct" without a proxy
    address: str | None = None  #: without the password
    seen_at: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)  #: subreddits, users, posts, rules (saved), failures, …
    requests: dict[str, int] = field(default_factory=dict)  #: by HTTP status
    outcomes: dict[str, int] = field(default_factory=dict)  #: ok, refused, rate_limited, transport_error, …
    proxy_state: str = STARTING
    proxy_since: float | None = None  #: in this state
    failing_since: float | None = None  #: through rests and probes; None: it works, or was not tried yet
    resting_until: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    mean_latency_ms: float | None = None  #: of this incarnation's good answers; None: none yet
    in_flight: int = 0  #: requests
    subreddits_in_flight: int = 0
    frontier: Frontier | None = None
    counted_at: float | None = None  #: when `frontier` was read from the database
    per_hour: float | None = None  #: subreddits that this process finishes; None: not known yet
    database_away_since: float | None = None
    database_replaced_at: float | None = None  #: when the process found that the database was replaced
    database_replaced: str | None = None  #: the kind of replacement
    good_at: float | None = None  #: when the last good answer arrived
    witness: str | None = None  #: a path that was served lately: other processes test their proxies with it
    recent_good: int = 0  #: of the last attempts
    recent_bad: int = 0
    failing: tuple[str, ...] = ()  #: names that fail again and again, such as `r/bitcoin`

    @property
    def request_count(self) -> int:
        """All requests, with any outcome."""
        return sum(self.outcomes.values())

    @property
    def failed_count(self) -> int:
        """Requests without a result. A refusal by Reddit counts as an answer."""
        return self.request_count - self.outcomes.get("ok", 0) - self.outcomes.get("refused", 0)


def continued(report: CrawlReport, former: CrawlReport | None) -> CrawlReport:
    """Add the counters of an earlier incarnation to those that `report` has counted since its own start."""
    if former is None:
        return report
    return replace(
        report,
        counters=added(report.counters, former.counters),
        requests=added(report.requests, former.requests),
        outcomes=added(report.outcomes, former.outcomes),
    )


def added(*groups: Mapping[str, int]) -> dict[str, int]:
    """Add counters, name by name."""
    total: dict[str, int] = {}
    for group in groups:
        for name, count in group.items():
            total[name] = total.get(name, 0) + count
    return total
