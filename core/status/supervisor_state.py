"""The supervisor's last state in `state_dir/supervisor.json`, for commands when it does not answer.

It is written at each change of a process's state and at the end; its time of modification is a heartbeat.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.process import procfs
from core.storage.private_files import replace_json

_OF_PROCESS = {"name", "pid", "state", "restarts", "last_exit", "started_at"}


@dataclass(frozen=True, slots=True)
class LastState:
    """The supervisor's last recorded state; times are epoch seconds."""

    pid: int
    birth: str | None  #: see core.process.procfs
    state: str
    started_at: float
    ended_at: float | None  #: None: it runs, or it was killed before it recorded its end
    exit_code: int | None
    processes: list[dict[str, Any]]  #: as in the control socket's answer, with moments instead of ages
    seen_at: float = 0.0  #: the last heartbeat

    @property
    def is_alive(self) -> bool:
        """Whether that same process still runs (checked in the kernel, so only true on the same machine)."""
        return self.ended_at is None and self.birth is not None and procfs.start_time(self.pid) == self.birth


def last_state_path(state_dir: Path) -> Path:
    """Return the file."""
    return state_dir / "supervisor.json"


def write_last_state(state_dir: Path, state: LastState) -> None:
    """Write the state. Raises OSError when the write fails."""
    content = {name: value for name, value in asdict(state).items() if name != "seen_at"}
    replace_json(last_state_path(state_dir), content)


def touch_last_state(state_dir: Path) -> None:
    """Update the time of modification."""
    os.utime(last_state_path(state_dir))


def read_last_state(state_dir: Path) -> LastState | None:
    """Read the file; None when it is missing (no supervisor ever ran here) or invalid."""
    path = last_state_path(state_dir)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        last = LastState(**content, seen_at=path.stat().st_mtime)
        return last if all(row.keys() >= _OF_PROCESS for row in last.processes) else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None
