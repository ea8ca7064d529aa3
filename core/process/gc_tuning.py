"""Python's collector of reference cycles, kept from looking where there is nothing to find."""

import contextlib
import gc
from collections.abc import Iterator


def tune_gc() -> None:
    """Have Python look for cycles rarely: each record on its way is an object, and looking at 50,000 takes its time.

    For processes that handle records in bulk, which makes no cycles; the few that errors leave behind can wait. To be
    called once all is imported.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Import, say, without looking for cycles again and again among what has come to stay: a tenth of a child's start.

    What is there at the end is never looked at again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
