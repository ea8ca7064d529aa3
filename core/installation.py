"""Refuses an environment that also holds PyPI's package `supervisor`: its top-level package has the name of ours.

In one environment each of the two overwrites files of the other, and the order on `sys.path` decides which is
imported. Neither fails at once; both fail later, with unclear errors.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterable

from core.errors import ConfigError, Problem

_METADATA = re.compile(r"supervisor(-.+)?\.(dist|egg)-info", re.IGNORECASE)

_ADVICE = """\
supervisor {version} from PyPI (supervisord) is installed here too. Its package has the same name as one of ours.
Install Gapless in an environment of its own. In the clone of its repository, one of:
    make install && . .venv/bin/activate
    uv tool install '.[embedded]'
    pipx install '.[embedded]'
Then uninstall Gapless here; if the package supervisor is needed here, reinstall it afterwards."""


def require_own_environment(path: Iterable[str] | None = None) -> None:
    """Raise a ConfigError where PyPI's `supervisor` is installed in one of the folders of `path` (`sys.path`)."""
    folders = list(sys.path if path is None else path)
    # Check the names first: importlib.metadata costs each start 40 ms and 1.6 MiB.
    if not any(_has_metadata(folder) for folder in folders):
        return
    from importlib import metadata  # noqa: PLC0415

    for found in metadata.distributions(name="supervisor", path=folders):
        raise ConfigError([Problem(sys.prefix, _ADVICE.format(version=found.version))], "this environment of Python")


def _has_metadata(folder: str) -> bool:
    with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
        return any(_METADATA.fullmatch(entry.name) for entry in entries)
    return False
