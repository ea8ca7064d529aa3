"""The supervisor's last state in `state_dir/supervisor.json`, for commands that it cannot answer.

It is written at each change of a process's state and at the end; its time of modification is a sign of life.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.process import procfs
from core.storage.json_file import replace_json

_OF_PROCESS = {"name", "pid", "state", "restarts", "last_exit", "started_at"}


@dataclass(frozen=True, slots=True)
class LastState:
    """The supervisor as it last described itself; times are seconds since 1970."""

    pid: int
    birth: str | None  #: see core.process.procfs
    state: str
    started_at: float
    ended_at: float | None  #: None: it runs, or it had no time to say that it ends
    exit_code: int | None
    processes: list[dict[str, Any]]  #: as the control socket tells them, with moments in the place of ages
    seen_at: float = 0.0  #: the last sign of life

    @property
    def is_alive(self) -> bool:
        """Whether that very process is still there (asked of the kernel, so only true on the same machine)."""
        return self.ended_at is None and self.birth is not None and procfs.birth(self.pid) == self.birth


def last_state_path(state_dir: Path) -> Path:
    """Return the file."""
    return state_dir / "supervisor.json"


def write_last_state(state_dir: Path, state: LastState) -> None:
    """Write it down; raises OSError when the disk does not take it."""
    content = {name: value for name, value in asdict(state).items() if name != "seen_at"}
    replace_json(last_state_path(state_dir), content)


def touch_last_state(state_dir: Path) -> None:
    """Give a sign of life."""
    os.utime(last_state_path(state_dir))


def read_last_state(state_dir: Path) -> LastState | None:
    """Read the file; None when there was never a supervisor here, or when nobody can make sense of it."""
    path = last_state_path(state_dir)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        last = LastState(**content, seen_at=path.stat().st_mtime)
        return last if all(row.keys() >= _OF_PROCESS for row in last.processes) else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None
