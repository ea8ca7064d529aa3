"""Distinguishes a planned replacement of a process from repeated crashes. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Seconds that a process may be away before it is reported: a restart takes about one.
GRACE_S = 5.0

#: One restart within this time (seconds) is normal, a second one is not.
_WINDOW_S = 60.0
_ALLOWED_RESTARTS = 1

#: A process that crashed more often counts as running after this time, seconds.
_STABLE_AFTER_S = 10.0


@dataclass(slots=True)
class FlapDetector:
    """Follows the processes over the samples."""

    _restarts: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    _ran: set[str] = field(default_factory=set)
    _away_since: dict[str, float] = field(default_factory=dict)

    def update(self, processes: Sequence[Mapping[str, Any]], now: float) -> tuple[frozenset[str], frozenset[str]]:
        """Take the current states; return the processes being replaced, and those that keep crashing."""
        replacing, flapping = set(), set()
        for process in processes:
            name, runs = process["name"], process["state"] == "RUNNING"
            often = self._restarts_lately(name, process["restarts"], now) > _ALLOWED_RESTARTS
            if runs:
                self._ran.add(name)
                self._away_since.pop(name, None)
                if often and (process.get("uptime_s") or 0.0) < _STABLE_AFTER_S:
                    flapping.add(name)
            elif name in self._ran and not often and now - self._away_since.setdefault(name, now) < GRACE_S:
                replacing.add(name)
        return frozenset(replacing), frozenset(flapping)

    def _restarts_lately(self, name: str, restarts: int, now: float) -> int:
        seen = self._restarts.setdefault(name, deque())
        if seen and (restarts < seen[-1][1] or now < seen[-1][0]):
            seen.clear()  # another supervisor with new counts, or the clock was set back
        if not seen or restarts != seen[-1][1]:
            seen.append((now, restarts))
        while len(seen) > 1 and now - seen[1][0] > _WINDOW_S:
            seen.popleft()
        return restarts - seen[0][1]
