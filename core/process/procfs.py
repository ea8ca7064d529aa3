"""Reads a process's memory and identity from the kernel."""

import os
from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19  # of the fields after the name in /proc/PID/stat: clock ticks from boot to the process's start
_ZOMBIE = "Z"


def rss_bytes(pid: int) -> int | None:
    """Return the resident memory of the process, None when it is unknown (it ended, or there is no /proc)."""
    try:
        resident = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return resident * os.sysconf("SC_PAGE_SIZE") or None


def birth(pid: int) -> str | None:
    """Return what distinguishes this process from others that had the same pid, None when it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[0] == _ZOMBIE else fields[_START_TIME]
