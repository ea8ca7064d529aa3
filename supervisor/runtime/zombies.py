"""Reaps orphaned zombies when running as process 1.

In a container we are the parent of every process whose own parent has died. No other process reads their exit codes,
and a process whose exit code is not read stays in the process table for ever.
"""

import multiprocessing
import os

import structlog

from core.periodic import PeriodicTask

_CHECK_INTERVAL_S = 1.0

#: Most zombies per call; the rest wait until the next call, since the loop also cares for the children.
_MAX_AT_ONCE = 200


def reaping_tasks(log: structlog.stdlib.BoundLogger, *, pid: int | None = None) -> list[PeriodicTask]:
    """Return the periodic tasks of process 1; none for any other process, which only has its own children."""
    if (os.getpid() if pid is None else pid) != 1:
        return []

    def reap() -> None:
        reaped = reap_zombies()
        if reaped:
            log.debug("zombies_reaped", count=reaped)

    return [PeriodicTask(_CHECK_INTERVAL_S, reap)]


def reap_zombies() -> int:
    """Reap ended processes that are not ours; return their number.

    WNOWAIT shows an ended process without taking its exit code. multiprocessing reaps its own children first; if one of
    them ends at this very moment, it is left to multiprocessing and the rest to the next call.
    """
    own = {child.pid for child in multiprocessing.active_children()}
    for count in range(_MAX_AT_ONCE):
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count  # no child at all
        if ended is None or ended.si_pid in own:
            return count
        os.waitid(os.P_PID, ended.si_pid, os.WEXITED | os.WNOHANG)
    return _MAX_AT_ONCE
