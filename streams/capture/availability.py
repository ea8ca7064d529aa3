"""Availability of the subreddits: which can be requested, which are set aside, and when to try again. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from core.spool.stream_state import AbsenceNote

#: First and longest pause before a subreddit that could not be read is retried, seconds.
_FIRST_RETRY = 60.0
_LONGEST_RETRY = 900.0
#: If Reddit gave no reason of its own, the problem may end at any time: the pause stays below a minute for half an
#: hour, seconds.
_UNEXPLAINED_RETRY = 20.0
_LONGEST_UNEXPLAINED = 40.0
_UNEXPLAINED_FOR = 1800.0
#: Pause after a try that showed nothing about the subreddit, seconds.
_UNDECIDED = 15.0


@dataclass(frozen=True, slots=True)
class Absence:
    """Why and since when a subreddit is set aside (epoch seconds), and when it is retried."""

    reason: str
    since: float
    tries: int
    next_try: float

    def due(self, now: float) -> float:
        """Return when to retry it: now if that time is further away than any pause (the clock was set back)."""
        return self.next_try if self.next_try - now <= _LONGEST_RETRY else now


class Availability:
    """The configured subreddits of a stream, by availability; names keep the spelling of the configuration.

    `absent` are those that are set aside, `joining` the newcomers whose own listing is still to be walked: until then
    they are not requested with the others.
    """

    def __init__(self, subreddits: tuple[str, ...]) -> None:
        self.subreddits = subreddits
        self._absent: dict[str, Absence] = {}
        self._joining: dict[str, None] = {}
        self.absent: Mapping[str, Absence] = MappingProxyType(self._absent)
        self.joining: Mapping[str, None] = MappingProxyType(self._joining)
        #: results of `active` since the last change
        self._active: dict[tuple[str, ...], tuple[str, ...]] = {}

    def active(self, names: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return the subreddits (of `names`) that are requested together; the same object until that changes."""
        names = self.subreddits if names is None else names
        if not self._absent and not self._joining:
            return names
        found = self._active.get(names)
        if found is None:
            away = self._absent.keys() | self._joining.keys()
            found = self._active[names] = tuple(name for name in names if name not in away)
        return found

    def join(self, name: str) -> None:
        """Record a newcomer."""
        self._joining[name] = None
        self._active.clear()

    def joined(self, name: str) -> None:
        """Record that a newcomer is requested with the others, or that it is none any more."""
        self._joining.pop(name, None)
        self._active.clear()

    def revert(self, absent: Mapping[str, Absence]) -> None:
        """Go back to these absences: the change could not be written."""
        absent = dict(absent)
        self._absent.clear()
        self._absent.update(absent)
        self._active.clear()

    def exclude(self, name: str, reason: str, now: float, *, named: bool = True) -> Absence:
        """Set a subreddit aside, or postpone its next try if it is set aside already.

        `named`: Reddit gave a reason that concerns the subreddit, such as private.
        """
        before = self.absent.get(name)
        tries = before.tries + 1 if before else 1
        since = before.since if before else now
        if named:
            pause = min(_LONGEST_RETRY, _FIRST_RETRY * 2.0 ** min(tries - 1, 10))
        elif now - since < _UNEXPLAINED_FOR:
            pause = min(_LONGEST_UNEXPLAINED, _UNEXPLAINED_RETRY * 2.0 ** min(tries - 1, 10))
        else:
            pause = min(_LONGEST_RETRY, (now - since) / 10.0)
        absence = Absence(reason, since, tries, now + pause)
        self._absent[name] = absence
        self._active.clear()
        return absence

    def postpone(self, name: str, now: float) -> None:
        """Retry it soon: the last try failed for another reason."""
        self._absent[name] = replace(self.absent[name], next_try=now + _UNDECIDED)

    def restore(self, name: str) -> Absence:
        """Make a subreddit available again; return its absence."""
        self._active.clear()
        return self._absent.pop(name)

    def due(self, now: float) -> str | None:
        """Return a subreddit that is due for a retry."""
        waiting = [(absence.due(now), name) for name, absence in self.absent.items()]
        moment, name = min(waiting, default=(float("inf"), ""))
        return name if moment <= now else None

    def next_try(self, now: float) -> float:
        """Return when the next absent subreddit is due, infinity when none is absent."""
        return min((absence.due(now) for absence in self.absent.values()), default=float("inf"))

    def dump(self) -> dict[str, AbsenceNote]:
        """Return the absences in the spool's format."""
        return {name: AbsenceNote(a.reason, a.since, a.tries, a.next_try) for name, a in self.absent.items()}

    def load(self, stored: Mapping[str, AbsenceNote]) -> None:
        """Load stored absences of subreddits that are still configured."""
        for name, note in stored.items():
            if name in self.subreddits:
                self._absent[name] = Absence(*note)
