"""Tunes the memory of a process: fewer scans for reference cycles, and freed memory goes back to the system."""

import contextlib
import ctypes
import gc
from collections.abc import Iterator

import structlog

log = structlog.stdlib.get_logger(__name__)

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

#: Pieces of this size go back to the system when they are freed, bytes.
_LARGE_PIECE = 128 * 1024


def tune_gc() -> None:
    """Make Python scan for cycles rarely: each record in flight is an object, and a scan of 50,000 takes time.

    For processes that handle records in bulk, which creates no cycles; the few that errors leave can wait. Call it
    after all imports.
    """
    gc.unfreeze()
    gc.collect()  # what the imports left, such as the first versions of classes with slots: 0.6 MiB
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Run a block, such as imports, without repeated scans of objects that stay: saves a tenth of a child's start.

    Objects that exist at the end are never scanned again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def tune_malloc() -> None:
    """Keep one arena for all threads, and return large pieces to the system when they are freed.

    For processes whose answers are large and short-lived.

    By default glibc opens an arena for each thread and, after the first large piece, keeps all up to 32 MiB. Elsewhere
    (musl, macOS) it does nothing. Call it before threads start: an arena that exists stays in use.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError) as error:
        log.debug("malloc_not_tuned", error=str(error))
        return
    for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE_PIECE), (_M_TRIM_THRESHOLD, _LARGE_PIECE)):
        mallopt(option, value)


def return_free_memory() -> None:
    """Return the free pages inside the heap to the system; glibc by itself returns only those at its end."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
