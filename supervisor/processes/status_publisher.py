"""Publishes the supervisor's state: to the control socket's thread, and to a file for later."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from core.process import procfs
from core.status.supervisor_state import LastState, touch_last_state, write_last_state


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """The state of one process; times are on the loop's clock."""

    name: str
    pid: int | None
    state: str
    restarts: int
    last_exit: int | None
    started_at: float
    why: str  #: in FATAL: the reason
    restart_at: float  #: in BACKOFF: when the restart is due
    since: float = 0.0  #: when it entered this state
    code: str = ""  #: in FATAL: the reason as a FaultCode


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of all processes at one moment. `beat_at` is separate from the rows: it changes all the time."""

    state: str
    started_at: float
    processes: tuple[ProcessRow, ...]
    beat_at: tuple[float, ...]  #: time of each process's last sign of life


class StatusPublisher:
    """Holds the newest snapshot. The loop only replaces it, so no reader can block the loop."""

    def __init__(
        self,
        state_dir: Path,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.latest: Snapshot | None = None
        self.exit_code: int | None = None  #: the exit code, once it has ended
        self._state_dir = state_dir
        self._log = log
        self._clock = clock
        self._wall_clock = wall_clock
        self._process_start = procfs.start_time(os.getpid())
        self._unwritable = False
        self._missing = False

    def publish(self, snapshot: Snapshot) -> None:
        """Publish a snapshot; write the file when more than heartbeats changed."""
        before, self.latest = self.latest, snapshot
        changed = before is None or (before.state, before.processes) != (snapshot.state, snapshot.processes)
        if changed or self._missing:
            self._missing = False
            self._write(snapshot)

    def close(self) -> None:
        """Record the end and the exit code."""
        if self.latest is not None:
            self._write(self.latest, ended=True)

    def sign_of_life(self) -> None:
        """Record the last sign of life for readers after a crash; called from the control socket's thread."""
        try:
            touch_last_state(self._state_dir)
        except OSError:
            self._missing = True  # the loop, the only writer, writes it again with the next snapshot

    def as_message(self) -> dict[str, Any]:
        """Return the newest snapshot in the form of the control socket."""
        snapshot, now = self.latest, self._clock()
        if snapshot is None:
            return {"supervisor": {"pid": os.getpid(), "state": "STARTING", "uptime_s": 0.0}, "processes": []}
        return {
            "supervisor": {
                "pid": os.getpid(),
                "state": snapshot.state,
                "uptime_s": round(now - snapshot.started_at, 1),
            },
            "processes": [
                {
                    **_row_fields(row),
                    "uptime_s": round(now - row.started_at, 1) if row.pid else None,
                    "rss_bytes": procfs.rss_bytes(row.pid) if row.pid else None,
                    "heartbeat_age_s": round(now - last_beat, 2) if row.pid else None,
                    "state_age_s": round(now - row.since, 1),
                    "restart_in_s": round(max(0.0, row.restart_at - now), 1) if row.state == "BACKOFF" else None,
                }
                for row, last_beat in zip(snapshot.processes, snapshot.beat_at, strict=True)
            ],
        }

    def _write(self, snapshot: Snapshot, *, ended: bool = False) -> None:
        now = self._wall_clock()
        offset = now - self._clock()
        state = LastState(
            pid=os.getpid(),
            birth=self._process_start,
            state="STOPPED" if ended else snapshot.state,
            started_at=snapshot.started_at + offset,
            ended_at=now if ended else None,
            exit_code=self.exit_code if ended else None,
            processes=[
                {**_row_fields(row), "started_at": row.started_at + offset, "since": row.since + offset}
                for row in snapshot.processes
            ],
        )
        try:
            write_last_state(self._state_dir, state)
        except OSError as error:  # the disk is full: supervision continues, and the log reports it once
            if not self._unwritable:
                self._log.warning("last_state_not_written", error=str(error))
            self._unwritable = True
        else:
            self._unwritable = False


def _row_fields(row: ProcessRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "pid": row.pid,
        "state": str(row.state),
        "restarts": row.restarts,
        "last_exit": row.last_exit,
        "why": row.why,
        "code": row.code,
    }
