"""Since when something is wrong: remembered over the looks, so that the moment does not move. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

#: What comes back within so many seconds never was gone: a process that dies again and again, refusal after refusal.
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps what is configured from flowing, and what to do about it."""

    what: str  #: one of readiness.REASONS or readiness.WARNINGS
    subject: str  #: of whom: a process, a stream, a directory
    text: str  #: for people; holds no number that runs, so that it stays the same while nothing changes
    since: float | None = None  #: seconds since 1970, where the files tell it


@dataclass(frozen=True, slots=True)
class Reason:
    """A trouble with its moment."""

    what: str
    subject: str
    text: str
    since: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all that is configured flows, and what a person should know."""

    reasons: tuple[Reason, ...] = ()  #: why not; the longest standing first
    warnings: tuple[Reason, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether everything flows."""
        return not self.reasons


@dataclass(slots=True)
class Since:
    """Gives each trouble the moment at which it began."""

    _began: dict[tuple[str, str], float] = field(default_factory=dict)
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def settle(self, troubles: Sequence[Trouble], now: float) -> tuple[Reason, ...]:
        """Take in what is wrong now; the longest standing comes first."""
        for key in [key for key, seen in self._seen.items() if now - seen > _PATIENCE]:
            del self._seen[key], self._began[key]
        reasons = []
        for trouble in troubles:
            key = (trouble.what, trouble.subject)
            began = self._began.setdefault(key, trouble.since if trouble.since is not None else now)
            self._seen[key] = now
            reasons.append(Reason(trouble.what, trouble.subject, trouble.text, min(began, now)))
        return tuple(sorted(reasons, key=lambda reason: reason.since))
