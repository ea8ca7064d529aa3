"""Standard error that never keeps its writer waiting: a terminal that is held, or a program that does not read.

A supervisor must not stop turning because nobody reads what it says. Its lines wait here, for a thread of their own to
write them; beyond a limit they are dropped and counted. They all stand in the log files anyway.
"""

import os
import select
import threading
from collections.abc import Callable
from typing import Protocol

_LIMIT = 1_000_000  # bytes that may wait
_CLOSE_WITHIN = 1.0


class Stream(Protocol):
    """What logging needs of standard error."""

    def write(self, text: str, /) -> object:
        """Take a text in."""

    def flush(self) -> None:
        """See to it that it goes out."""

    def isatty(self) -> bool:
        """Tell whether people look at it."""


class NonBlockingStderr:
    """A text stream over a copy of `descriptor`; `on_loss` hears how many lines were dropped, once the others are out.

    It is called from the thread of the outlet.
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
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    def isatty(self) -> bool:
        """Tell whether people look at it."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """Return what is written to."""
        return self._descriptor

    def flush(self) -> None:
        """Do nothing: its thread is at it."""

    def write(self, text: str, /) -> None:
        """Take a text in; raise what the last one met, should the reader have gone."""
        data = text.encode("utf-8", "backslashreplace")
        with self._news:
            error, self._error = self._error, None
            if self._closing or self._size + len(data) > self._limit:
                self._dropped += 1
            else:
                self._waiting.append(data)
                self._size += len(data)
                self._news.notify()
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait a moment for what is still here to come out."""
        with self._news:
            if self._closing:
                return
            self._closing = True
            self._news.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_WITHIN)
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._dropped or self._closing)
                data, self._waiting = b"".join(self._waiting), []
                dropped, self._dropped = (0, self._dropped) if data else (self._dropped, 0)
                last = self._closing
            if data:
                self._write(data)
                with self._news:
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
            except BlockingIOError:  # somebody who shares it has made it so
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._error = error
                return
