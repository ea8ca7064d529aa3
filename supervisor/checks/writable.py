"""Checks whether a directory is writable, for `check --connect`, without creating anything."""

import os
from pathlib import Path

from supervisor.checks.finding import Finding, failed, fine


def can_be_made(name: str, folder: Path, good: str, key: str) -> Finding:
    """Check whether a directory is writable, or can be created if missing; `key` is its configuration key."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        return failed(name, f"{existing} is a file, not a directory: correct {key}, or move the file away")
    if not os.access(existing, os.W_OK | os.X_OK):
        return failed(name, f"{existing} cannot be written: give this user the right to, or correct {key}")
    return fine(name, good)
