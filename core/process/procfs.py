"""Asks the kernel: for the memory and the identity of a process, and for a free port."""

import os
import socket
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


def start_time(pid: int) -> str | None:
    """Return what distinguishes this process from others that had the same pid, None when it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[0] == _ZOMBIE else fields[_START_TIME]


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of this host that is free now. Raises OSError when there is no such host."""
    family, _, _, _, where = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(where)
        return int(probe.getsockname()[1])
