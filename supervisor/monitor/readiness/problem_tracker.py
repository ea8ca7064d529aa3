"""Remembers since when a problem exists, over all samples. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

#: A problem that returns within this time keeps its start time, seconds: repeated crashes, repeated refusals.
_RETURNS_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class ActiveProblem:
    """A problem, and what to do about it."""

    what: str  #: one of readiness.REASONS or readiness.WARNINGS
    subject: str  #: what it concerns: a process, a stream, a directory
    text: str  #: for people; without running numbers, so it stays the same while nothing changes
    since: float | None = None  #: epoch seconds, where the files record it


@dataclass(frozen=True, slots=True)
class Reason:
    """A problem with its start time."""

    what: str
    subject: str
    text: str
    since: float


@dataclass(frozen=True, slots=True)
class Readiness:
    """Readiness: the reasons against it, and the warnings."""

    reasons: tuple[Reason, ...] = ()  #: the reasons against readiness, the oldest first
    warnings: tuple[Reason, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


@dataclass(slots=True)
class ProblemTracker:
    """Gives each problem its start time."""

    _began: dict[tuple[str, str], float] = field(default_factory=dict)
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def update(self, problems: Sequence[ActiveProblem], now: float) -> tuple[Reason, ...]:
        """Take the current problems; return them with their start times, the oldest first."""
        for key in [key for key, seen in self._seen.items() if now - seen > _RETURNS_WITHIN_S]:
            del self._seen[key], self._began[key]
        reasons = []
        for problem in problems:
            key = (problem.what, problem.subject)
            began = self._began.setdefault(key, problem.since if problem.since is not None else now)
            self._seen[key] = now
            reasons.append(Reason(problem.what, problem.subject, problem.text, min(began, now)))
        return tuple(sorted(reasons, key=lambda reason: reason.since))
