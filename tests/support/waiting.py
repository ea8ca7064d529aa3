"""Waits for a condition with a deadline: tests use this in place of sleeping."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.02
_ASYNC_PAUSE = 0.005  #: shorter: what is awaited happens in the same process

#: Seconds to wait for an event that takes less than a second on an idle machine. A busy one may need ten to start a
#: process, and a long deadline costs a test that waits for a condition no time.
PATIENCE = 30.0


def wait_until(predicate: Callable[[], T], timeout: float = PATIENCE, what: str = "the condition") -> T:
    """Return the first true value of `predicate`; fail after `timeout` seconds with a message that contains `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what} (last value: {value!r})")
        time.sleep(_PAUSE)


async def wait_until_async(predicate: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Return the first true value of `predicate`, as `wait_until` does; the event loop runs meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what} (last value: {value!r})")
        await asyncio.sleep(_ASYNC_PAUSE)


def whole_lines(path: Path) -> list[str]:
    """Return the lines of a file that may still be written; an incomplete last line is left out."""
    try:
        return path.read_text().rpartition("\n")[0].splitlines()
    except FileNotFoundError:
        return []
