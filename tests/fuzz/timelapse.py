"""An event loop whose time passes only while all tasks wait: minutes of pauses take milliseconds.

Sockets, threads and files are real. While bytes arrive the time stops; while a thread works it passes as real time
does; when only timers are left, it jumps to the next one.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

#: Time to wait for the end of work in threads, real seconds.
_LOOK_S = 0.05


class TimelapseLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()`, in seconds, moves only by waiting."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._in_threads = 0
        #: whether work elsewhere is in progress, so that the time must not jump
        self.busy: Callable[[], bool] = lambda: False
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the seconds that have passed on this loop."""
        return self._now

    def skip(self, seconds: float) -> None:
        """Advance the time at once."""
        self._now += seconds

    @property
    def is_busy(self) -> bool:
        """Whether a thread or other work is in progress for a task of this loop."""
        return self._in_threads > 0 or self.busy()

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> Any:
        """Run it in a thread; the time does not jump until it is done."""
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: object) -> None:
        self._in_threads -= 1


class _Selector(selectors.DefaultSelector):
    """Returns ready events; if there are none, it sets the loop's time to its next timer."""

    def __init__(self, loop: TimelapseLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the ready events."""
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None:
            return super().select(_LOOK_S)
        if self._loop.is_busy:
            began = time.monotonic()
            events = super().select(min(timeout, _LOOK_S))
            timeout = min(timeout, time.monotonic() - began)
        self._loop.skip(timeout)
        return events
