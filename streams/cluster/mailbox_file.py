"""The publisher's mailbox on disk: opened or made anew at the start, and watched while the publisher runs.

What is in it can be read again from the state topic, so a broken file is moved aside, and a missing one is made.
"""

from pathlib import Path

import structlog

from core.cluster.mailbox import MailboxWriter, mailbox_path
from core.errors import TransientError
from core.spool.spool_files import move_aside, remove_database
from core.storage.file_guard import FileGuard
from core.storage.sqlite import is_sound

_ANEW = "the shards are taken over again, as after a restart"


def open_mailbox(state_dir: Path, log: structlog.stdlib.BoundLogger) -> MailboxWriter:
    """Open or create the file; move a broken one aside and log that."""
    path = mailbox_path(state_dir)
    if not path.exists():
        remove_database(path)  # what a deleted file left behind does not belong to the new one
    elif not (path.is_file() and is_sound(path)):
        log.error("mailbox_moved_aside", moved_to=str(move_aside(path)), hint=f"the file is corrupt: {_ANEW}")
    return MailboxWriter(state_dir)


class MailboxWatch:
    """Notices that the file at the path is no longer the one that was opened: the streams would never see a change."""

    def __init__(self, state_dir: Path) -> None:
        self._path = mailbox_path(state_dir)
        self._guard = FileGuard(self._path, sole_writer=False)
        self._guard.learn()

    def check(self) -> None:
        """Raise TransientError if the file is gone or replaced; OSError if that cannot be checked."""
        if change := self._guard.change():
            raise TransientError(f"{self._path} changed while it was open: {change}; this process ends, and {_ANEW}")
