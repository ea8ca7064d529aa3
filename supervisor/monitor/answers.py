"""Detect processes whose requests to Reddit all fail, from the counts of their answers. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

#: A process fails when so many requests in a row failed, over at least this time, seconds.
_FAILURES = 3
_LASTING = 3.0

#: A refusal for the quota's sake has its own rules; a request that was ended by a stop says nothing.
_NEUTRAL = frozenset({"429", "stopped"})


@dataclass(frozen=True, slots=True)
class Failing:
    """A process has got no good answer since `since` (epoch seconds); `status` is what came most often."""

    since: float
    status: str

    @property
    def text(self) -> str:
        """Say it for people."""
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
        """What came most often; an answer tells more than none (while no token can be had, nothing is asked)."""
        answered = {status: count for status, count in self.failures.items() if status.isdecimal()}
        return max(answered or self.failures, key=lambda status: self.failures[status])


@dataclass(slots=True)
class Answers:
    """Follows the counts from look to look."""

    _processes: dict[str, _Process] = field(default_factory=dict)

    def judge(self, requests: Mapping[tuple[str, str], int], now: float) -> dict[str, Failing]:
        """Take the counts, (process, status) → how many ever; return the processes that fail."""
        counts: dict[str, dict[str, int]] = {}
        for (process, status), count in requests.items():
            counts.setdefault(process, {})[status] = count
        for name, now_counted in counts.items():
            known = self._processes.get(name)
            if known is None or _went_back(known.counts, now_counted):
                self._processes[name] = _Process(now_counted)
            else:
                _follow(known, now_counted, now)
        return {
            name: Failing(process.since, process.status)
            for name, process in self._processes.items()
            if process.failures.total() >= _FAILURES and now - process.since >= _LASTING
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
    """Tell whether these counts belong to another file."""
    return any(counts.get(status, 0) < count for status, count in before.items())
