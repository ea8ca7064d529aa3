"""Monotonic counters, whatever happens to the files that they are read from, and the file that stores them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.storage.private_files import replace_json

Name = tuple[str, ...]

#: A counter that fell below this share of its value belongs to a new file that started at zero. One that fell by
#: less was copied from a broken file without its last moments: it continues from there.
_CONTINUED = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """The state of one counter."""

    source: str  #: the file it was read from; another file started at zero
    latest: int  #: the last value read
    total: int  #: the value reported


@dataclass(slots=True)
class MonotonicCounters:
    """Follows durable counters by name. Pure. The first value counts completely: it happened before our time."""

    counts: dict[Name, Count] = field(default_factory=dict)
    changes: int = 0  #: number of changes

    def follow(self, name: Name, value: int, source: str = "", inherited: int = 0) -> int:
        """Take the source's current value; return the value to report.

        The part that a new source has `inherited` from the former one was counted there.
        """
        known = self.counts.get(name)
        if value == 0:
            return known.total if known else 0  # no value, or not readable now: the next value decides
        if known is None:
            grown = value
        elif known.source != source:
            grown = max(0, value - inherited)
        elif value >= known.latest:
            grown = value - known.latest
        else:
            grown = value if value < _CONTINUED * known.latest else 0
        count = Count(source, value, grown + (known.total if known else 0))
        if count != known:
            self.counts[name] = count
            self.changes += 1
        return count.total

    def family(self, kind: str) -> dict[Name, int]:
        """Return all counts of a kind by the rest of their names, also those without a current value."""
        return {name[1:]: count.total for name, count in self.counts.items() if name[0] == kind}

    def rows(self) -> list[list[object]]:
        """Return the counters as plain data."""
        return [[list(name), count.source, count.latest, count.total] for name, count in self.counts.items()]

    @classmethod
    def of(cls, rows: Iterable[tuple[Iterable[str], str, int, int]]) -> "MonotonicCounters":
        """Build the counters from such data. Raises TypeError or ValueError for anything else."""
        return cls(
            {tuple(map(str, name)): Count(str(source), int(latest), int(total)) for name, source, latest, total in rows}
        )


def counters_path(state_dir: Path) -> Path:
    """Return the path of the file."""
    return state_dir / "monitor-tally.json"


class CounterFile:
    """The counters stored in `state_dir`, so that none goes back when the monitor restarts."""

    def __init__(self, state_dir: Path, log: structlog.stdlib.BoundLogger) -> None:
        self._path = counters_path(state_dir)
        self._log = log
        self._unwritable = False
        self.counters = self._read()
        self._written = self.counters.changes

    def _read(self) -> MonotonicCounters:
        try:
            return MonotonicCounters.of(json.loads(self._path.read_text(encoding="utf-8"))["counters"])
        except FileNotFoundError:
            return MonotonicCounters()
        except (OSError, ValueError, TypeError, KeyError) as error:
            hint = "counters start with the values of the other files, and may be lower than before"
            self._log.warning("counters_unreadable", path=str(self._path), error=repr(error), hint=hint)
            return MonotonicCounters()

    def keep(self) -> None:
        """Write the file; a failed write is retried with the next sample."""
        changes = self.counters.changes
        if changes == self._written and (not changes or self._path.exists()):
            return
        try:
            replace_json(self._path, {"counters": self.counters.rows()})
        except OSError as error:
            if not self._unwritable:
                hint = "logged once; if the monitor restarts now, counters may go back"
                self._log.warning("counters_not_written", path=str(self._path), error=str(error), hint=hint)
            self._unwritable = True
        else:
            self._unwritable, self._written = False, changes
