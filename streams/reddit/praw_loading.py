"""Loads PRAW without the parts that a stream never uses, and without the machine's PRAW settings.

PRAW reads `praw.ini` from the working directory and from the user's configuration directory, and variables named
`praw_*`. None of them is used here: the settings come only from this project's configuration (see `make_reddit`).

PRAW imports `update_checker`, if installed, to check for a newer PRAW; that is disabled (`make_reddit`), and would
import all of aiohttp: a third of a stream's start time, and 8 MiB of its memory.
"""

import configparser
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from types import ModuleType
from typing import Any, cast


@contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """Make the import of a module fail as if it were not installed; a loaded module stays as it is."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast(ModuleType, None)  # Python's own way to block an import
    try:
        yield
    finally:
        del sys.modules[name]


with _as_if_missing("update_checker"):
    import praw
    import praw.config
    from praw.exceptions import PRAWException

__all__ = ["PRAWException", "make_reddit", "praw"]


def make_reddit(**settings: Any) -> praw.Reddit:  # noqa: ANN401 (as PRAW has it)
    """Create a PRAW instance from these settings and PRAW's own defaults.

    Every setting that PRAW would read from the environment is passed, and the site is named, so that neither a `praw_*`
    variable nor `praw_site` has an effect.
    """
    with praw.config.Config.LOCK:
        praw.config.Config.CONFIG = _own_defaults()  # PRAW reads its files only if this is None
    unset = dict.fromkeys(("redirect_uri", "refresh_token", "username", "password"))
    return praw.Reddit("DEFAULT", check_for_updates=False, check_for_async=False, **unset, **settings)


def _own_defaults() -> configparser.ConfigParser:
    """Read the file that PRAW ships, which contains kinds and time limits."""
    defaults = configparser.ConfigParser(interpolation=None)
    defaults.read_string(files("praw").joinpath("praw.ini").read_text(encoding="utf-8"))
    return defaults
