"""Tunes glibc's allocator to return memory: for processes whose answers are large and short-lived."""

import ctypes

import structlog

log = structlog.stdlib.get_logger(__name__)

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

_PIECE = 128 * 1024


def tune_malloc() -> None:
    """Keep one arena for all threads, and return large pieces to the system when they are freed.

    By default glibc opens an arena for each thread and, after the first large piece, keeps all up to 32 MiB. Elsewhere
    (musl, macOS) it does nothing. Call it before threads start.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError) as error:
        log.debug("allocator_not_told", error=str(error))
        return
    for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _PIECE), (_M_TRIM_THRESHOLD, _PIECE)):
        mallopt(option, value)
