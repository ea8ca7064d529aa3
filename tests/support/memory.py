"""Directories in memory for tests of one process that commit often: a commit to the disk takes milliseconds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_MEMORY = Path("/dev/shm")

#: Free bytes below which the memory is left alone; a container often has 64 MiB.
_ENOUGH = 1 << 30

#: Tests in these folders and files use it. What they check is the same on every file system.
_IN_MEMORY = (
    "core/reddit/",
    "e2e/test_response_fuzzer.py",
    "streams/capture/",
    "streams/changes/",
    "streams/positions/",
)


def chosen(test: str) -> bool:
    """Say whether a test whose file has this path below `tests/` runs in memory."""
    return test.startswith(_IN_MEMORY)


def memory_root() -> str | None:
    """Return where directories in memory are made; None, which is the usual place, if there is too little memory."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return None
    found = os.statvfs(_MEMORY)
    return str(_MEMORY) if found.f_bavail * found.f_frsize > _ENOUGH else None


@contextmanager
def directory() -> Iterator[Path]:
    """Make a directory, in memory if possible, and remove it at the end."""
    with TemporaryDirectory(prefix="gapless-test-", dir=memory_root(), ignore_cleanup_errors=True) as made:
        yield Path(made)
