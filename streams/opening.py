"""Opens the files of a process, and tries again while they cannot be written (the disk is full, a file is locked)."""

import random
from collections.abc import Callable
from typing import TypeVar

from core.backoff import Backoff
from core.child import ChildContext
from core.spool import SpoolBroken

_PAUSE = Backoff(first=1.0, longest=30.0)

_Result = TypeVar("_Result")


def open_patiently(
    context: ChildContext,
    call: Callable[[], _Result],
    errors: tuple[type[Exception], ...],
    report: Callable[[Exception, float], None],
) -> _Result | None:
    """Return what the call returns, after a pause while it fails with one of these errors; None after a stop.

    A broken spool is not tried again: only a new process moves it aside.

    Args:
        context: of the process; it counts as ready meanwhile, since a restart would not help.
        call: opens or writes the file.
        errors: those that pass by themselves.
        report: logs an error and the seconds until the next attempt.
    """
    failures = 0
    while not context.stop.is_set():
        try:
            return call()
        except SpoolBroken:
            raise
        except errors as error:
            failures += 1
            seconds = _PAUSE.pause(failures, random.random)
            report(error, round(seconds, 1))
            context.ready()
            context.wait(seconds)
    return None
