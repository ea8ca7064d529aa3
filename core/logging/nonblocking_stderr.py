"""A stderr whose writes never block, even when the terminal is paused or the reader has stalled.

The supervisor's loop must not stop because its output is not read. Its lines wait here for a separate thread that
writes them; beyond a limit they are dropped and counted. All of them are in the log files anyway.
"""

import os
import select
import threading
from collections.abc import Callable
from typing import Protocol

_LIMIT = 1_000_000  # most bytes that wait
_CLOSE_WITHIN = 1.0


class Stream(Protocol):
    """The interface of standard error that logging needs."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> None:
        """Flush the stream."""

    def isatty(self) -> bool:
        """Return whether it is a terminal."""


class NonBlockingStderr:
    """A text stream over a copy of `descriptor`; after a loss it calls `on_loss` with the number of dropped lines.

    It calls it from its own thread, once the other lines are written.
    """

    def __init__(
        self, descriptor: int, on_loss: Callable[[int], None] = lambda _lines: None, limit: int = _LIMIT
    ) -> None:
        self._descriptor = os.dup(descriptor)
        self._on_loss = on_loss
        self._limit = limit
        self._waiting: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._error: OSError | None = None
        self._closing = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stderr-writer", daemon=True)
        self._thread.start()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor that is written to."""
        return self._descriptor

    def flush(self) -> None:
        """Do nothing: the thread writes."""

    def write(self, text: str, /) -> None:
        """Queue a text; raise the error of an earlier write, for example when the reader is gone."""
        data = text.encode("utf-8", "backslashreplace")
        with self._condition:
            error, self._error = self._error, None
            if self._closing or self._size + len(data) > self._limit:
                self._dropped += 1
            else:
                self._waiting.append(data)
                self._size += len(data)
                self._condition.notify()
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait briefly until the queued lines are written."""
        with self._condition:
            if self._closing:
                return
            self._closing = True
            self._condition.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_WITHIN)
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._dropped or self._closing)
                data, self._waiting = b"".join(self._waiting), []
                dropped, self._dropped = (0, self._dropped) if data else (self._dropped, 0)
                last = self._closing
            if data:
                self._write(data)
                with self._condition:
                    self._size -= len(data)
            elif dropped and not last:
                self._on_loss(dropped)
            elif last:
                return

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process that shares it made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._error = error
                return
