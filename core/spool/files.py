"""Where spools lie, and how a broken one is reported and moved aside."""

import os
import time
from pathlib import Path

STREAMS = ("submissions", "comments")

_COMPANIONS = ("", "-wal", "-shm")


def spool_path(state_dir: Path, stream: str) -> Path:
    """Return the file that holds the stream's spool."""
    return state_dir / f"spool-{stream}.db"


def suspect_path(state_dir: Path, stream: str) -> Path:
    """Return the marker by which a reader asks the writer to examine the file."""
    return state_dir / f"spool-{stream}.suspect"


def report_suspect(state_dir: Path, stream: str) -> None:
    """Ask the writer to examine the file: a reader met corruption, and only the writer may move the file."""
    suspect_path(state_dir, stream).touch()


def move_aside(path: Path) -> Path:
    """Rename the file and its WAL out of the way, keeping every byte, and return the new name."""
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}")
    for companion in _COMPANIONS:
        source = path.with_name(path.name + companion)
        if source.exists():
            source.rename(aside.with_name(aside.name + companion))
    return aside
