"""Wakes the supervisor's loop for signals and for requests from other threads.

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
    """A request to replace one child by a new process."""

    child: str


@dataclass(frozen=True, slots=True)
class Reload:
    """A request to reload the configuration."""


#: Requests to the loop; a plain string is the reason to stop everything.
Request = str | Restart | Reload


def unblock_signals() -> None:
    """Deliver the signals that were blocked while this process was created (see supervisor.__main__)."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


class RequestSource(Protocol):
    """The source of the loop's requests; the demo puts its own in front of the inbox."""

    def fileno(self) -> int:
        """Return a handle that becomes readable when there is a request."""

    def collect(self) -> Sequence[Request]:
        """Return the requests since the last call."""


class ControlInbox:
    """Collects signals and requests; `fileno` becomes readable when there is a request."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._requests: deque[Request] = deque()

    def install(self) -> None:
        """Install handlers for SIGINT, SIGTERM and SIGHUP; only the main thread may do so."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        unblock_signals()

    def put(self, request: Request) -> None:
        """Add a request, from any thread: a restart, a reload of the configuration, or a stop with its reason."""
        self._requests.append(request)
        # The pipe is full: the loop wakes up anyway.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def collect(self) -> list[Request]:
        """Return the requests since the last call; a signal's name is the reason to stop."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        collected: list[Request] = []
        while self._requests:
            collected.append(self._requests.popleft())
        return collected

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reader

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        request: Request = Reload() if number == signal.SIGHUP else signal.Signals(number).name
        if not self._requests or self._requests[-1] != request:  # a burst of the same signal is one request
            self._requests.append(request)
