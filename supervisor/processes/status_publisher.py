"""Publishes the state of the supervisor: for the control socket's thread, and as a file for later."""

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
    """One process as it stands; moments are on the loop's clock."""

    name: str
    pid: int | None
    state: str
    restarts: int
    last_exit: int | None
    started_at: float
    why: str  #: in FATAL: the reason
    restart_at: float  #: in BACKOFF: when it is due
    since: float = 0.0  #: when it came into this state
    code: str = ""  #: in FATAL: the reason as a FaultCode


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. `heard_at` stands apart from the rows: it changes all the time."""

    state: str
    born: float
    processes: tuple[ProcessRow, ...]
    heard_at: tuple[float, ...]  #: when each process was last heard of


class StatusPublisher:
    """Holds the newest snapshot. The loop only replaces it, so no reader can keep the loop waiting."""

    def __init__(
        self,
        state_dir: Path,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.latest: Snapshot | None = None
        self.exit_code: int | None = None  #: how it ended, once it has
        self._state_dir = state_dir
        self._log = log
        self._clock = clock
        self._wall_clock = wall_clock
        self._birth = procfs.birth(os.getpid())
        self._unwritable = False
        self._is_missing = False

    def publish(self, snapshot: Snapshot) -> None:
        """Put up a snapshot; write it down when more than heartbeats changed."""
        before, self.latest = self.latest, snapshot
        changed = before is None or (before.state, before.processes) != (snapshot.state, snapshot.processes)
        if changed or self._is_missing:
            self._is_missing = False
            self._write(snapshot)

    def close(self) -> None:
        """Write down that it ended, and how."""
        if self.latest is not None:
            self._write(self.latest, ended=True)

    def sign_of_life(self) -> None:
        """Let those who find us gone know until when we were there; called from the control socket's thread."""
        try:
            touch_last_state(self._state_dir)
        except OSError:
            self._is_missing = True  # the loop, its only writer, writes it anew with the next snapshot

    def as_message(self) -> dict[str, Any]:
        """Describe the newest snapshot as the control socket tells it."""
        snapshot, now = self.latest, self._clock()
        if snapshot is None:
            return {"supervisor": {"pid": os.getpid(), "state": "STARTING", "uptime_s": 0.0}, "processes": []}
        return {
            "supervisor": {
                "pid": os.getpid(),
                "state": snapshot.state,
                "uptime_s": round(now - snapshot.born, 1),
            },
            "processes": [
                {
                    **_described(row),
                    "uptime_s": round(now - row.started_at, 1) if row.pid else None,
                    "rss_bytes": procfs.rss_bytes(row.pid) if row.pid else None,
                    "heartbeat_age_s": round(now - heard, 2) if row.pid else None,
                    "state_age_s": round(now - row.since, 1),
                    "restart_in_s": round(max(0.0, row.restart_at - now), 1) if row.state == "BACKOFF" else None,
                }
                for row, heard in zip(snapshot.processes, snapshot.heard_at, strict=True)
            ],
        }

    def _write(self, snapshot: Snapshot, *, ended: bool = False) -> None:
        now = self._wall_clock()
        offset = now - self._clock()
        state = LastState(
            pid=os.getpid(),
            birth=self._birth,
            state="STOPPED" if ended else snapshot.state,
            started_at=snapshot.born + offset,
            ended_at=now if ended else None,
            exit_code=self.exit_code if ended else None,
            processes=[
                {**_described(row), "started_at": row.started_at + offset, "since": row.since + offset}
                for row in snapshot.processes
            ],
        )
        try:
            write_last_state(self._state_dir, state)
        except OSError as error:  # the disk is full: supervision goes on, and the log says so once
            if not self._unwritable:
                self._log.warning("last_state_not_written", error=str(error))
            self._unwritable = True
        else:
            self._unwritable = False


def _described(row: ProcessRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "pid": row.pid,
        "state": str(row.state),
        "restarts": row.restarts,
        "last_exit": row.last_exit,
        "why": row.why,
        "code": row.code,
    }
