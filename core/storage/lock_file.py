"""Kernel locks on files: waits with a time limit, and names the process that holds one."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.storage.file_guard import file_identity
from core.storage.private_files import open_private

_LOCKS = Path("/proc/locks")
_PROC = Path("/proc")
_PAUSE_S = 0.02

#: Columns of a line of /proc/locks: number, kind, ADVISORY, READ or WRITE, pid, device and inode, start, end.
_COLUMNS = 8
_WAITS = "->"
_POSIX = "POSIX"


class LockHeld(Exception):
    """Another process holds the lock; the text names the file, the holder, and what to do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock; name and user are unknown when it has ended, or is in another container."""

    pid: int
    kind: str  #: "FLOCK", or "POSIX" for SQLite's locks
    name: str | None = None
    user: int | None = None

    def __str__(self) -> str:
        if self.pid <= 0:
            return "a process of another container"
        known = [self.name] if self.name else []
        known += [f"user id {self.user}"] if self.user is not None else []
        return f"pid {self.pid}" + (f" ({', '.join(known)})" if known else "")


def take_lock(path: Path, timeout: float) -> int:
    """Lock the file at the path, creating it if necessary; return its descriptor. Closing it releases the lock.

    Raises LockHeld when another process holds the lock for longer than `timeout` seconds, and OSError.
    """
    deadline = time.monotonic() + timeout
    while True:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            _wait(descriptor, path, deadline)
        except BaseException:
            os.close(descriptor)
            raise
        status = os.fstat(descriptor)
        if file_identity(path) == (status.st_dev, status.st_ino):
            return descriptor
        os.close(descriptor)  # deleted or replaced before it was locked: retry with the present file
        if time.monotonic() > deadline:
            raise LockHeld(f"{path} is deleted or replaced repeatedly: stop the program that does it")


def _wait(descriptor: int, path: Path, deadline: float) -> None:
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            raise LockHeld(f"{path} is locked by another process, {describe(holders(path))}: end that process")
        time.sleep(_PAUSE_S)


def try_lock(descriptor: int) -> bool:
    """Lock the file if it is free; return whether it is locked now. Raises OSError where locks are not supported."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def describe(found: list[Holder]) -> str:
    """Format the holders for a message."""
    return " and ".join(map(str, found)) or "which `fuser` shows"


def holders(path: str | Path) -> list[Holder]:
    """Return the holders of locks on the file that the kernel reports; our own SQLite locks are left out."""
    identity = file_identity(path)
    if identity is None:
        return []
    try:
        text = _LOCKS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = parse_locks(text, *identity)
    return [_known(kind, pid) for kind, pid in found if (kind, pid) != (_POSIX, os.getpid())]


def parse_locks(text: str, device: int, inode: int) -> list[tuple[str, int]]:
    """Return kind and pid of each lock on a file, from the text of /proc/locks.

    Some file systems report another device there than `stat` does: without an exact match the inode alone decides.
    """
    found = [(kind, pid, dev) for kind, pid, dev, number in _rows(text) if number == inode]
    exact = f"{os.major(device):02x}:{os.minor(device):02x}"
    matching = [one for one in found if one[2] == exact] or found
    return list(dict.fromkeys((kind, pid) for kind, pid, _ in matching))


def _rows(text: str) -> Iterator[tuple[str, int, str, int]]:
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < _COLUMNS or columns[1] == _WAITS:
            continue
        device, _, inode = columns[5].rpartition(":")
        with contextlib.suppress(ValueError):
            yield columns[1], int(columns[4]), device, int(inode)


def _known(kind: str, pid: int) -> Holder:
    directory = _PROC / str(pid)
    try:
        status = (directory / "status").read_text()  # the directory's owner is root where a process is not dumpable
        return Holder(
            pid, kind, (directory / "comm").read_text().strip(), int(status.partition("\nUid:")[2].split()[1])
        )
    except (OSError, ValueError, IndexError):
        return Holder(pid, kind)
