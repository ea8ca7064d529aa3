"""Private files, for our user only: the umask of every process, and functions that create files and follow no link.

Small JSON files are replaced as a whole: one process writes each, others read it at any moment, also after a crash.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

log = structlog.stdlib.get_logger(__name__)

UMASK = 0o077
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

#: The rights of all others than the owner, and the set-id and sticky bits.
OTHERS = 0o7077

_TRIES = 3


def set_umask() -> None:
    """Set the umask of this process: files that it and its children create from now on are for its user only."""
    os.umask(UMASK)


def make_directory(directory: Path) -> None:
    """Create the directory and its missing parents. Raises OSError."""
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def open_private(path: Path, flags: int, link_removed: Callable[[Path], None] | None = None) -> int:
    """Open a file of ours and return the descriptor; a new one gets the mode 0600.

    A symbolic link at the path is never followed. With `O_CREAT` it is removed, and a file is created in its place.

    Args:
        path: the file; the directories above it may be reached through links.
        flags: as for `os.open`.
        link_removed: called when a link was removed; None: a warning is logged.

    Raises:
        OSError: the file cannot be opened, or it is a pipe or a device.
    """
    for _ in range(_TRIES):
        try:
            return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)
        except OSError as error:
            if error.errno != errno.ELOOP or not flags & os.O_CREAT:
                raise
            remove_link(path, link_removed)
    raise OSError(errno.ELOOP, "symbolic links are created there faster than they are removed", str(path))


def remove_link(path: Path, link_removed: Callable[[Path], None] | None = None) -> None:
    """Remove the symbolic link at the path, if there is one; its target is not changed. Raises OSError."""
    if not path.is_symlink():
        return
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        (link_removed or _log_link)(path)


def _log_link(path: Path) -> None:
    log.warning("symlink_removed", path=str(path), hint="links are not followed here; a file replaces it")


def write_private(path: Path, text: str) -> None:
    """Write the text into a private file, in place. Raises OSError when the write fails."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(text)


def replace_private(path: Path, text: str) -> None:
    """Replace the file atomically: a reader never sees half of it. Raises OSError when the write fails.

    Only one process may write a file: two would share its temporary name.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # left by a killed predecessor, or a link
    with os.fdopen(open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file atomically: a reader never sees half of it. Raises OSError when the write fails.

    The folder must exist. Only one process may write a file: two would share its temporary name.
    """
    replace_private(path, json.dumps(content) + "\n")
