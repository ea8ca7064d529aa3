"""Shows the demo's progress: changing lines on a terminal, a line from time to time elsewhere."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

_LINE_INTERVAL_S = 5.0  # seconds between two status lines where nothing can be overwritten


class Screen:
    """Prints permanent lines, and a few status lines below them."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._live = out.isatty()
        self._next = 0.0
        self._shown: Sequence[str] = ()
        self._lock = threading.Lock()

    def say(self, text: str = "") -> None:
        """Print a permanent line; the next status follows below it."""
        with self._lock:
            self._wipe()
            self._out.write(f"{text}\n")
            self._out.flush()

    def status(self, *lines: str) -> None:
        """Show the status."""
        if not self._live:
            now = self._clock()
            if now >= self._next:
                self._next = now + _LINE_INTERVAL_S
                self.say("\n".join(lines))
            return
        with self._lock:
            width = shutil.get_terminal_size().columns - 1
            self._wipe()
            self._out.write("\n".join(line[:width] for line in lines))
            self._out.flush()
            self._shown = lines

    def _wipe(self) -> None:
        """Erase the status; the cursor is at the end of its last line."""
        if self._live:
            above = len(self._shown) - 1
            self._out.write(f"\033[{above}A\r\033[J" if above > 0 else "\r\033[J")
            self._shown = ()
