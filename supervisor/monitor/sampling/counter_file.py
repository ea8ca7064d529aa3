"""Stores the counters in `state_dir`, so that none goes back when the monitor restarts."""

import json
from pathlib import Path

import structlog

from core.storage.private_files import replace_json
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters


def tally_path(state_dir: Path) -> Path:
    """Return the path of the file."""
    return state_dir / "monitor-tally.json"


class CounterFile:
    """The stored counters, written again whenever they change."""

    def __init__(self, state_dir: Path, log: structlog.stdlib.BoundLogger) -> None:
        self._path = tally_path(state_dir)
        self._log = log
        self._unwritable = False
        self.tally = self._read()
        self._written = self.tally.changes

    def _read(self) -> MonotonicCounters:
        try:
            return MonotonicCounters.of(json.loads(self._path.read_text(encoding="utf-8"))["counters"])
        except FileNotFoundError:
            return MonotonicCounters()
        except (OSError, ValueError, TypeError, KeyError) as error:
            hint = "counters begin with what the other files say, which may be less than was told before"
            self._log.warning("tally_unreadable", path=str(self._path), error=repr(error), hint=hint)
            return MonotonicCounters()

    def keep(self) -> None:
        """Write the file; a failed write is retried with the next sample."""
        changes = self.tally.changes
        if changes == self._written and (not changes or self._path.exists()):
            return
        try:
            replace_json(self._path, {"counters": self.tally.rows()})
        except OSError as error:
            if not self._unwritable:
                hint = "said once; should the monitor be replaced now, counters may go back"
                self._log.warning("tally_not_written", path=str(self._path), error=str(error), hint=hint)
            self._unwritable = True
        else:
            self._unwritable, self._written = False, changes
