"""Files and directories that running processes use."""

import shutil
from pathlib import Path


def remove_directory_in_use(directory: Path) -> None:
    """Take the directory away in one step, then delete it: its users may make it anew at any moment."""
    removed = directory.with_name(f"{directory.name}.removed")
    directory.rename(removed)
    shutil.rmtree(removed)
