"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.02

#: Seconds to wait for what happens within a second on an idle machine. A busy one starts no process in less than ten,
#: and a test that waits for a condition loses no time by a long deadline.
PATIENCE = 30.0


def wait_until(predicate: Callable[[], T], timeout: float = PATIENCE, what: str = "the condition") -> T:
    """Return the first true value of `predicate`; fail after `timeout` seconds, saying `what` was awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what} (last value: {value!r})")
        time.sleep(_PAUSE)


def whole_lines(path: Path) -> list[str]:
    """Return the lines of a file that somebody may be writing; the last one counts when its end is there."""
    try:
        return path.read_text().rpartition("\n")[0].splitlines()
    except FileNotFoundError:
        return []
