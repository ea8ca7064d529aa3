"""What the demo shows while it runs: one line that changes on a terminal, a line now and then elsewhere."""

import shutil
import threading
import time
from collections.abc import Callable
from typing import TextIO

_EVERY = 5.0  # seconds between two lines where nothing can be overwritten


class Screen:
    """Prints lines that stay, and one status line below them."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._live = out.isatty()
        self._next = 0.0
        self._lock = threading.Lock()

    def say(self, text: str = "") -> None:
        """Print something that stays."""
        with self._lock:
            if self._live:
                self._out.write("\r\033[K")
            self._out.write(f"{text}\n")
            self._out.flush()

    def status(self, text: str) -> None:
        """Show how things stand."""
        if not self._live:
            now = self._clock()
            if now >= self._next:
                self._next = now + _EVERY
                self.say(text)
            return
        with self._lock:
            width = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r\033[K{text[:width]}")
            self._out.flush()
