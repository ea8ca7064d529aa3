"""Small JSON files: one process writes each, others read it at any moment, also after a crash."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.storage.private_files import replace_private


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file atomically: a reader never sees half of it. Raises OSError when the write fails.

    The folder must exist. Only one process may write a file: two would share its temporary name.
    """
    replace_private(path, json.dumps(content) + "\n")
