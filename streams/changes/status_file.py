"""Writes the figures of the process `changes` that are not counters: `core.status.changes_status` reads them."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from core.status.changes_status import status_path
from core.storage.private_files import replace_json
from streams.changes.duties import Duties
from streams.changes.schedule import Schedule

#: The window of the recent share of looks on time, seconds.
_WINDOW_S = 3600.0
_MINUTE_S = 60.0


class RecentLooks:
    """Counts looks on time, and late ones, of the last hour, by the minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._minutes: deque[tuple[int, int, int]] = deque()

    def add(self, on_time: int, late: int) -> None:
        """Count looks of this moment."""
        minute = int(self._clock() // _MINUTE_S)
        if self._minutes and self._minutes[-1][0] == minute:
            _, before_on_time, before_late = self._minutes.pop()
            on_time, late = on_time + before_on_time, late + before_late
        self._minutes.append((minute, on_time, late))

    def totals(self) -> tuple[int, int]:
        """Return the looks on time and the late ones of the last hour."""
        oldest = (self._clock() - _WINDOW_S) // _MINUTE_S
        while self._minutes and self._minutes[0][0] < oldest:
            self._minutes.popleft()
        return sum(one[1] for one in self._minutes), sum(one[2] for one in self._minutes)


class StatusFile:
    """Replaces the file with the present figures.

    Args:
        state_dir: its folder.
        duties: the items that wait.
        streams: of these items.
        schedule: of the looks.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state_dir: Path,
        duties: Duties,
        streams: Sequence[str],
        schedule: Schedule,
        clock: Callable[[], float],
    ) -> None:
        self._path = status_path(state_dir)
        self._duties = duties
        self._streams = streams
        self._schedule = schedule
        self._clock = clock
        self.looks = RecentLooks(clock)

    def write(self) -> None:
        """Write the file. Raises OSError and ChangesFileError."""
        now = self._clock()
        late_after = self._schedule.tolerance(0.0)
        items, _ = self._duties.overdue(self._streams, now - late_after)
        oldest = self._duties.next_due(self._streams)
        on_time, late = self.looks.totals()
        content = {
            "at": now,
            "duties": {stream: self._duties.items[stream] for stream in self._streams},
            "overdue": items,
            "oldest_due": oldest,
            "lost_at": self._duties.lost_at,
            "on_time_1h": on_time,
            "late_1h": late,
        }
        replace_json(self._path, content)
