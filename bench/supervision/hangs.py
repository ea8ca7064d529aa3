"""A hung child: from the moment it stops until its successor is RUNNING, for three ways to hang."""

import os
import signal
import time

from bench.figure import Figure, at_most
from bench.supervision.whole import ENTRIES, Whole, whole

TIMEOUT = 3.0
_SLACK = 1.0
_APART = 1.5  # one after the other, so that each has the machine for its start

#: What every interpreter of the system runs first. A handler runs in the main thread, where the working loop is:
#: one blocks that loop and leaves the other threads alone, the other keeps the interpreter from all of them.
_HANG_ON_SIGNAL = """\
import ctypes, signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
signal.signal(signal.SIGUSR2, lambda *_: ctypes.PyDLL(None).sleep(3600))
"""
_WAYS = {
    "SIGSTOP": signal.SIGSTOP,
    "its working loop blocked": signal.SIGUSR1,
    "the interpreter held": signal.SIGUSR2,
}


def measure() -> list[Figure]:
    figures = [Figure("baseline: the timeout itself, supervisor.heartbeat_timeout", TIMEOUT, "s", digits=2)]
    settings = {"heartbeat_timeout": TIMEOUT}
    for way, number in _WAYS.items():
        with whole(supervisor=settings, modules={"sitecustomize.py": _HANG_ON_SIGNAL}) as system:
            system.wait_flowing()
            seconds = _hang_all(system, number)
        slowest = max(seconds, key=lambda name: seconds[name])
        figures += [Figure(f"{way}: {name} RUNNING again after", seconds[name], "s", digits=2) for name in ENTRIES]
        figures.append(at_most(f"{way}: the slowest, {slowest}", seconds[slowest], TIMEOUT + _SLACK, "s", digits=2))
    return figures


def _hang_all(system: Whole, number: signal.Signals) -> dict[str, float]:
    """Hang every child, one after the other; return how long each took to be replaced."""
    before = {name: system.pid(name) for name in ENTRIES}
    hung: dict[str, float] = {}
    replaced: dict[str, float] = {}
    first = time.monotonic()

    def all_replaced() -> bool:
        for place, name in enumerate(ENTRIES):
            if name not in hung and time.monotonic() >= first + place * _APART:
                os.kill(before[name], number)
                hung[name] = time.monotonic()
        rows = system.processes()
        now = time.monotonic()
        for name in hung.keys() - replaced.keys():
            if rows[name]["state"] == "RUNNING" and rows[name]["pid"] != before[name]:
                replaced[name] = now
        return len(replaced) == len(ENTRIES)

    system.wait(all_replaced, "every hung child to be replaced")
    assert {row["restarts"] for row in system.processes().values()} == {1}, "a child that did not hang was replaced"
    return {name: replaced[name] - hung[name] for name in ENTRIES}
