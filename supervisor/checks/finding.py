"""A probe of `check --connect`, and the result that it reports."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.masking.external import masked


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer; the text gives the state, or what to do.

    The text stays on one line and contains no secret, whatever its source.
    """

    name: str
    ok: bool
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", masked(self.text))


def fine(name: str, text: str) -> Finding:
    """Report a success."""
    return Finding(name, ok=True, text=text)


def failed(name: str, text: str) -> Finding:
    """Report a failure; the text gives what to do."""
    return Finding(name, ok=False, text=text)


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe; `name` starts its line."""

    name: str
    run: Callable[[], Iterator[Finding]]


def check_writable(name: str, folder: Path, success: str, key: str) -> Finding:
    """Check whether a directory is writable, or can be created if missing; `key` is its configuration key."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        return failed(name, f"{existing} is a file, not a directory: correct {key}, or move the file")
    if not os.access(existing, os.W_OK | os.X_OK):
        return failed(name, f"{existing} is not writable: grant this user write permission, or correct {key}")
    return fine(name, success)
