"""The duty of process 1: to bury strangers.

In a container we are the parent of every process whose own parent has died. Nobody else asks for their exit codes, and
a process that nobody asks about stays in the table of processes for ever.
"""

import multiprocessing
import os

import structlog

from supervisor.processes.periodic_tasks import PeriodicTask

_LOOK_EVERY = 1.0

#: More than so many at a time can wait until the next look: the loop has children to care for.
_AT_ONCE = 200


def reaping_tasks(log: structlog.stdlib.BoundLogger, *, pid: int | None = None) -> list[PeriodicTask]:
    """List what process 1 has to call now and then; nothing for any other process, which only has its own children."""
    if (os.getpid() if pid is None else pid) != 1:
        return []

    def look() -> None:
        reaped = reap_zombies()
        if reaped:
            log.debug("zombies_reaped", count=reaped)

    return [PeriodicTask(_LOOK_EVERY, look)]


def reap_zombies() -> int:
    """Reap what has ended and is not ours; return how many.

    WNOWAIT shows who has ended without taking the exit code away. multiprocessing is asked first, which takes the codes
    of its own; should one of them end at this very moment, it is left to multiprocessing and the rest to the next look.
    """
    own = {child.pid for child in multiprocessing.active_children()}
    for count in range(_AT_ONCE):
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count  # nobody is there at all
        if ended is None or ended.si_pid in own:
            return count
        os.waitid(os.P_PID, ended.si_pid, os.WEXITED | os.WNOHANG)
    return _AT_ONCE
