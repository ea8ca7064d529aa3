"""What wakes the loop from outside: signals, and requests from other threads.

Handlers only append; the loop acts. The wake-up pipe makes a signal end the loop's wait at once.
"""

import contextlib
import os
import signal
from collections import deque
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Bell:
    """Collects signals and requests; `fileno` becomes readable when there is something to collect."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._rung: deque[str] = deque()

    def install(self) -> None:
        """Take over SIGINT and SIGTERM; only the main thread may do so."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def ring(self, reason: str) -> None:
        """Ask from any thread that everything stop, for `reason`."""
        self._rung.append(reason)
        # Full: it is ringing already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def collect(self) -> list[str]:
        """Return what rang since the last time: names of signals, reasons of requests."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        collected = []
        while self._rung:
            collected.append(self._rung.popleft())
        return collected

    def fileno(self) -> int:
        """Return what to wait on."""
        return self._reader

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._rung.append(signal.Signals(number).name)
