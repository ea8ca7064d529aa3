"""Wakes the supervisor's loop: signals, and requests from other threads.

Handlers only append; the loop acts. The wake-up pipe makes a signal end the loop's wait at once.
"""

import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Restart:
    """The request that one child be replaced by a new process."""

    child: str


@dataclass(frozen=True, slots=True)
class Reload:
    """The request that the configuration be read again."""


#: What the loop can be asked for: a plain text is a reason to stop everything.
Request = str | Restart | Reload


def let_through() -> None:
    """Take the signals that were held back while this process was being made (see supervisor.__main__)."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


class WakeUp(Protocol):
    """Where the loop's requests come from; the demo puts its own before the bell."""

    def fileno(self) -> int:
        """Return what becomes readable when there is a request."""

    def collect(self) -> Sequence[Request]:
        """Return the requests since the last time."""


class ControlInbox:
    """Collects signals and requests; `fileno` becomes readable when there is something to collect."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._rung: deque[Request] = deque()

    def install(self) -> None:
        """Take over SIGINT, SIGTERM and SIGHUP; only the main thread may do so."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        let_through()

    def ring(self, request: Request) -> None:
        """Ask from any thread for a restart, for a look at the configuration, or that everything stop for a reason."""
        self._rung.append(request)
        # Full: it is ringing already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def collect(self) -> list[Request]:
        """Return what rang since the last time; a signal gives its name as the reason to stop."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        collected: list[Request] = []
        while self._rung:
            collected.append(self._rung.popleft())
        return collected

    def fileno(self) -> int:
        """Return what to wait on."""
        return self._reader

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        request: Request = Reload() if number == signal.SIGHUP else signal.Signals(number).name
        if not self._rung or self._rung[-1] != request:  # a storm of one signal asks for one thing
            self._rung.append(request)
