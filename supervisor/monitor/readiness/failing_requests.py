"""Detect processes whose requests to Reddit all fail, from the counts of their answers. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

#: A process fails after this number of failed requests in a row, over at least this time (seconds).
_FAILURES = 3
_MIN_DURATION_S = 3.0

#: Quota refusals have their own rules; a request that a stop ended proves nothing.
_NEUTRAL = frozenset({"429", "stopped"})


@dataclass(frozen=True, slots=True)
class Failing:
    """A process without a good answer since `since` (epoch seconds); `status` is the most frequent one."""

    since: float
    status: str

    @property
    def text(self) -> str:
        """Return a text for people."""
        if self.status.isdecimal():
            return f"Reddit answers its requests with {self.status}"
        return "its requests to Reddit get no answer"


@dataclass(slots=True)
class _Process:
    counts: dict[str, int]
    #: status → failures in a row
    failures: Counter[str] = field(default_factory=Counter)
    since: float = 0.0

    @property
    def status(self) -> str:
        """The most frequent status; an answer says more than none (without a token, nothing is requested)."""
        answered = {status: count for status, count in self.failures.items() if status.isdecimal()}
        return max(answered or self.failures, key=lambda status: self.failures[status])


@dataclass(slots=True)
class FailingRequests:
    """Follows the counts from sample to sample."""

    _processes: dict[str, _Process] = field(default_factory=dict)

    def update(self, requests: Mapping[tuple[str, str], int], now: float) -> dict[str, Failing]:
        """Take the total counts, (process, status) → count; return the processes that fail."""
        counts: dict[str, dict[str, int]] = {}
        for (process, status), count in requests.items():
            counts.setdefault(process, {})[status] = count
        for name, current in counts.items():
            known = self._processes.get(name)
            if known is None or _went_back(known.counts, current):
                self._processes[name] = _Process(current)
            else:
                _follow(known, current, now)
        return {
            name: Failing(process.since, process.status)
            for name, process in self._processes.items()
            if process.failures.total() >= _FAILURES and now - process.since >= _MIN_DURATION_S
        }


def _follow(process: _Process, counts: dict[str, int], now: float) -> None:
    grown = Counter({status: count - process.counts.get(status, 0) for status, count in counts.items()})
    process.counts = counts
    if any(count > 0 for status, count in grown.items() if status.startswith("2")):
        process.failures.clear()
        return
    failed = Counter({status: count for status, count in grown.items() if count > 0 and status not in _NEUTRAL})
    if failed and not process.failures:
        process.since = now
    process.failures += failed


def _went_back(before: Mapping[str, int], counts: Mapping[str, int]) -> bool:
    """Return whether these counts come from another file."""
    return any(counts.get(status, 0) < count for status, count in before.items())
