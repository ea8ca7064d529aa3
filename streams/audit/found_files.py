"""Hands over what the audit found missing to the process of the stream, through files.

The stream's process alone writes its spool. A finder writes a file per batch; the process captures its items and then
deletes it, while it runs or at its next start. A batch that is captured twice changes nothing: the names are known.
"""

import contextlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.reddit.json_body import decode
from core.reddit.json_text import to_json
from core.storage.private_files import make_directory, open_private

_ENDING = ".json"
_SERIAL = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Items that are missing, as Reddit served them. `found_at`: epoch seconds, of the last check of their names.

    `in_gaps`: the ledger has them as missing already.
    """

    found_at: float
    items: Sequence[dict[str, Any]]
    in_gaps: bool = False


def finds_directory(state_dir: Path, stream: str) -> Path:
    """Return the directory of the files for a stream."""
    return state_dir / "audit-finds" / stream


def write_finding(state_dir: Path, stream: str, finding: Finding) -> None:
    """Write a batch; a reader sees it whole. Raises OSError."""
    directory = finds_directory(state_dir, stream)
    make_directory(directory)
    path = directory / f"{finding.found_at:.0f}-{os.getpid()}-{next(_SERIAL)}{_ENDING}"
    content = {"found_at": finding.found_at, "in_gaps": finding.in_gaps, "items": list(finding.items)}
    building = path.with_suffix(".new")
    try:
        with os.fdopen(open_private(building, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(_encoded(content))
            file.flush()
            os.fsync(file.fileno())
        building.rename(path)
    except OSError:  # a full disk: the next attempt has another name
        with contextlib.suppress(OSError):
            building.unlink()
        raise


def _encoded(content: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except TypeError:  # Reddit may serve what orjson refuses: halves of surrogate pairs, large integers, deep nesting
        return to_json(content)


def waiting_findings(state_dir: Path, stream: str) -> list[Path]:
    """Return the files that wait, oldest first."""
    directory = finds_directory(state_dir, stream)
    try:
        names = os.listdir(directory)  # noqa: PTH208 (called every few seconds; mostly there are none)
    except FileNotFoundError:
        return []
    return sorted(directory / name for name in names if name.endswith(_ENDING))


def read_finding(path: Path) -> Finding:
    """Read a file. Raises OSError; ValueError, TooLarge or RecursionError if it is not one of ours."""
    stored = decode(path.read_bytes())
    if not isinstance(stored, dict) or not isinstance(stored.get("items"), list):
        raise ValueError("no batch of found items")  # noqa: TRY004 (of a file's content)
    items = [item for item in stored["items"] if isinstance(item, dict)]
    found_at = stored.get("found_at")
    if not isinstance(found_at, int | float):
        raise ValueError("it has no time")  # noqa: TRY004
    return Finding(float(found_at), items, stored.get("in_gaps") is True)
