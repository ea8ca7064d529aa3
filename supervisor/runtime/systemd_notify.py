"""Notifies the service manager (systemd, `Type=notify`): ready, status, stopping, watchdog.

The protocol is one datagram of lines to the socket that NOTIFY_SOCKET names; see sd_notify(3). Without that variable
this module does nothing.
"""

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import TypeVar

import structlog

from core.periodic import PeriodicTask
from supervisor.processes.restart_policy import State
from supervisor.processes.status_publisher import Snapshot

T = TypeVar("T")

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

#: A child in one of these states waits for nothing more: it works, or a person has to act.
_DONE_STARTING = (State.RUNNING, State.FATAL)


class Notifier:
    """Sends messages to the service manager, only from the manager's loop; a failure is logged once."""

    def __init__(
        self,
        address: str,
        watchdog: float | None,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`watchdog`: seconds without a sign of life after which the service manager replaces us; None for never."""
        self._address = address
        self._watchdog = watchdog
        self._log = log
        self._clock = clock
        self._socket = _open() if address else None
        self._sent_status = ""
        self._sent_ready = self._sent_stopping = False
        self._failed = False

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str], log: structlog.stdlib.BoundLogger) -> "Notifier":
        """Read the variables and remove them: they are for this process, and no child may notify in its place."""
        address, period, pid = (environ.pop(name, "") for name in _VARIABLES)
        watched = period.isdecimal() and int(period) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(period) / 1e6 if watched else None, log)

    def tasks(self) -> list[PeriodicTask]:
        """Return the periodic tasks: a sign of life twice per expected interval, if one is expected.

        During a stop none is sent: after STOPPING=1 the deadline for stopping counts instead.
        """
        if self._socket is None or self._watchdog is None:
            return []
        return [PeriodicTask(self._watchdog / 2, self._beat)]

    def notify(self, snapshot: Snapshot) -> None:
        """Send the changes in this snapshot: ready (once), the state in words, stopping."""
        if self._socket is None:
            return
        stopping = snapshot.state == "STOPPING"
        started = all(row.state in _DONE_STARTING for row in snapshot.processes)
        lines = []
        if stopping and not self._sent_stopping:
            lines.append("STOPPING=1")
        elif started and not stopping and not self._sent_ready:
            lines.append("READY=1")
        status = describe(snapshot)
        if status != self._sent_status:
            lines.append(f"STATUS={status}")
        if lines and self._send(*lines):  # an unsent message is sent with the next snapshot
            self._sent_stopping |= "STOPPING=1" in lines
            self._sent_ready |= "READY=1" in lines
            self._sent_status = status

    def during_reload(self, reload: Callable[[], T]) -> T:
        """Reload the configuration; notify the start and the end of the reload, successful or not."""
        if not self._sent_ready or self._sent_stopping:  # READY=1 would come too soon, or after the stop began
            return reload()
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * 1e6)}")
        try:
            return reload()
        finally:
            self._sent_ready = self._send("READY=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _beat(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> bool:
        if self._socket is None:
            return False
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            self._socket.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            if not self._failed:
                self._log.warning("service_manager_unreachable", message=lines[0], error=str(error))
            self._failed = True
            return False
        self._failed = False
        return True


def describe(snapshot: Snapshot) -> str:
    """Return one line for `systemctl status`."""
    processes = snapshot.processes
    if snapshot.state == "STOPPING":
        left = [row.name for row in processes if row.pid is not None]
        return f"Stopping: {', '.join(left)}" if left else "Stopped"
    running = sum(row.state == State.RUNNING for row in processes)
    others = [f"{row.name} {row.state}" for row in processes if row.state != State.RUNNING]
    return "; ".join([f"{running} of {len(processes)} processes run", *others])


def _open() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
