"""PRAW, loaded without what a stream never uses of it.

PRAW imports `update_checker` where it is installed, to ask for a newer PRAW; that is switched off (see gateway), and
would bring the whole of aiohttp along: a third of the time that a stream takes to start, and 8 MiB of its memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """Let importing a module fail as if it were not installed; one that is loaded already stays as it is."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast(ModuleType, None)  # Python's own way to say so
    try:
        yield
    finally:
        del sys.modules[name]


with _as_if_missing("update_checker"):
    import praw

__all__ = ["praw"]
