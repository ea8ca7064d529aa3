"""A note of publisher.db's progress, beside it: it outlives the file, and distinguishes a loss from a first start.

It is written after each transaction without waiting for the disk, so it is never ahead of the file.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from core.storage.private_files import write_private

_NAME = "publisher.note"


@dataclass(frozen=True, slots=True)
class Note:
    """The file's deployment, the number of its transactions, and the number of dead letters in it."""

    deployment: str
    saves: int
    dead_letters: int


def note_path(state_dir: Path) -> Path:
    """Return the path of the note."""
    return state_dir / _NAME


def read_note(state_dir: Path) -> Note | None:
    """Return the note, None if it is missing or invalid."""
    try:
        stored = json.loads(note_path(state_dir).read_text(encoding="utf-8"))
        return Note(str(stored["deployment"]), int(stored["saves"]), int(stored["dead_letters"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_note(state_dir: Path, note: Note) -> None:
    """Write the note. A failed write loses only the note."""
    try:
        write_private(note_path(state_dir), json.dumps(asdict(note)) + "\n")
    except OSError:
        return


def report_loss(note: Note | None, found: Note | None, log: structlog.stdlib.BoundLogger) -> None:
    """Log what is lost if the file is not the one that was left: gone (`found` is None), older, or another one."""
    if note is None or (found is not None and found.deployment == note.deployment and found.saves >= note.saves):
        return
    what = "it was deleted or moved"
    if found is not None:
        same = found.deployment == note.deployment
        what = "an older copy was put in its place" if same else "another file was put in its place"
    kept = found.dead_letters if found is not None and found.deployment == note.deployment else 0
    log.error(
        "positions_lost",
        fault=what,
        dead_letters=max(0, note.dead_letters - kept),
        hint="the records in the spools are sent again from the known position; this number of dead letters is lost",
    )
