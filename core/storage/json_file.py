"""Small JSON files that one process writes and others read, at any moment and after a crash."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.storage.private_files import replace_private


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace the file as a whole: a reader never sees half of it. Raises OSError when the disk does not take it.

    The folder must be there. One process writes a file: two would share the name that it has until it is whole.
    """
    replace_private(path, json.dumps(content) + "\n")
