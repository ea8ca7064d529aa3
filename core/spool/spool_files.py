"""Paths of spools, and functions that report a broken one and move it aside."""

import itertools
import os
import time
from pathlib import Path

from core.storage.private_files import write_private

#: Smallest size of a SQLite file, bytes.
_SMALLEST_PAGE = 512

_COMPANIONS = ("", "-wal", "-shm")


def spool_path(state_dir: Path, stream: str) -> Path:
    """Return the file that holds the stream's spool."""
    return state_dir / f"spool-{stream}.db"


def suspect_path(state_dir: Path, stream: str) -> Path:
    """Return the marker file by which a reader requests a check of the spool from its writer."""
    return state_dir / f"spool-{stream}.suspect"


def report_suspect(state_dir: Path, stream: str) -> None:
    """Request a check of the file from the writer: a reader found corruption; only the writer may move the file."""
    write_private(suspect_path(state_dir, stream), "")


def move_aside(path: Path) -> Path:
    """Rename the file and its WAL, keeping every byte, and return the new name."""
    aside = _free_name(path)
    for companion in _COMPANIONS:
        source = path.with_name(path.name + companion)
        if source.exists():
            source.rename(aside.with_name(aside.name + companion))
    sync_directory(path.parent)
    return aside


def _free_name(path: Path) -> Path:
    """Return an unused name: in a container every incarnation may have the same pid, and a rename overwrites."""
    base = f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    for attempt in itertools.count():
        name = path.with_name(f"{base}.{attempt}" if attempt else base)
        if not any(name.with_name(name.name + companion).exists() for companion in _COMPANIONS):
            return name
    raise AssertionError("unreachable")


def put_in_place(fresh: Path, path: Path) -> Path | None:
    """Rename a complete database to its final name; return the new name of the file that was there, None without one.

    A leftover WAL is moved as well: SQLite must not find it beside the new file. The name survives a power
    cut once the caller has called `sync_directory`.
    """
    occupied = path.exists()
    moved = move_aside(path) if occupied or path.with_name(path.name + "-wal").exists() else None
    fresh.rename(path)
    return moved if occupied else None


def has_no_header(path: Path) -> bool:
    """Return whether the file has lost even its header.

    SQLite treats such a file as empty: it deletes the WAL beside it on the first read, then overwrites the file.
    """
    try:
        return path.stat().st_size < _SMALLEST_PAGE
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove_database(path: Path) -> None:
    """Delete a file of ours that no process has opened, with the files that SQLite may have left beside it."""
    for companion in (*_COMPANIONS, "-journal"):
        path.with_name(path.name + companion).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make new and changed names in the directory durable; fsync of a file does not cover its name."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
