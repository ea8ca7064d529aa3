"""Formats the commands in messages so that they work when copied into the user's shell.

`python -m supervisor` works where the environment is active. Elsewhere, as in a clone whose `.venv` is not active, a
message names the interpreter by its path. An installed Gapless is called `gapless`.
"""

import contextlib
import functools
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

MODULE = "python -m supervisor"
SCRIPT = "gapless"

_NAMES = ("python", "python3")

#: Returns the path of a command, or None.
Which = Callable[[str], str | None]


def name() -> str:
    """Return the program's name for the help: `gapless` or `python -m supervisor`."""
    return SCRIPT if Path(sys.argv[0]).name == SCRIPT else MODULE


def command() -> str:
    """Return the command for this program in the shell that called it. Children inherit `sys.argv`, so they agree."""
    return _command(sys.argv[0], sys.executable, which)


def pip_install(*packages: str) -> str:
    """Return the command that installs packages for this interpreter."""
    return f"{interpreter(sys.executable, which)} -m pip install {' '.join(packages)}"


def which(short: str) -> str | None:
    """Return the path of a command. Unlike `shutil.which` it imports no further modules into a child."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, short)  # noqa: PTH118 - an empty folder is the working directory
        if os.access(path, os.X_OK):
            return path
    return None


@functools.cache
def _command(called: str, executable: str, find: Which) -> str:
    if Path(called).name != SCRIPT:
        return f"{interpreter(executable, find)} -m supervisor"
    found = find(SCRIPT)
    return SCRIPT if found and _same_folder(found, called) else shlex.quote(called)


def interpreter(executable: str, find: Which) -> str:
    """Return the shortest name of this interpreter that the shell understands."""
    for short in (*_NAMES, Path(executable).name):
        found = find(short)
        if found and _same_folder(found, executable):
            return short
    path = Path(executable)
    with contextlib.suppress(ValueError, OSError):  # it is elsewhere, or the working directory is gone
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))


def _same_folder(one: str, other: str) -> bool:
    # The files are links to one interpreter in all environments: only the folder distinguishes them.
    return os.path.realpath(Path(one).parent) == os.path.realpath(Path(other).parent)
