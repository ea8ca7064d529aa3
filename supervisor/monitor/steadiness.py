"""Distinguishes a planned replacement of a process from repeated crashes. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: A process that ran may be away for so long before anybody is told: a restart takes a second.
GRACE = 5.0

#: One restart within so many seconds is forgiven, not the next ones.
_WINDOW = 60.0
_FORGIVEN = 1

#: Who died more often than that is believed to run again after so long.
_SETTLED = 10.0


@dataclass(slots=True)
class Steadiness:
    """Follows the processes over the looks."""

    _restarts: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    _ran: set[str] = field(default_factory=set)
    _away_since: dict[str, float] = field(default_factory=dict)

    def judge(self, processes: Sequence[Mapping[str, Any]], now: float) -> tuple[frozenset[str], frozenset[str]]:
        """Take in how they stand now; return who is away and will be back in a moment, and who runs only for one."""
        brief, unsteady = set(), set()
        for process in processes:
            name, runs = process["name"], process["state"] == "RUNNING"
            often = self._restarts_lately(name, process["restarts"], now) > _FORGIVEN
            if runs:
                self._ran.add(name)
                self._away_since.pop(name, None)
                if often and (process.get("uptime_s") or 0.0) < _SETTLED:
                    unsteady.add(name)
            elif name in self._ran and not often and now - self._away_since.setdefault(name, now) < GRACE:
                brief.add(name)
        return frozenset(brief), frozenset(unsteady)

    def _restarts_lately(self, name: str, restarts: int, now: float) -> int:
        seen = self._restarts.setdefault(name, deque())
        if seen and (restarts < seen[-1][1] or now < seen[-1][0]):
            seen.clear()  # another supervisor, which counts anew; or the clock was set back
        if not seen or restarts != seen[-1][1]:
            seen.append((now, restarts))
        while len(seen) > 1 and now - seen[1][0] > _WINDOW:
            seen.popleft()
        return restarts - seen[0][1]
