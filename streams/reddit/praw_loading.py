"""PRAW, loaded without what a stream never uses of it, and without what lies about on the machine.

PRAW reads `praw.ini` from the working directory and from the user's configuration directory, and variables named
`praw_*`. None of them takes part here: the settings come from our configuration alone (see `make_reddit`).

PRAW imports `update_checker` where it is installed, to ask for a newer PRAW; that is switched off (see gateway), and
would bring the whole of aiohttp along: a third of the time that a stream takes to start, and 8 MiB of its memory.
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
    """Let importing a module fail as if it were not installed; one that is loaded already stays as it is."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast(ModuleType, None)  # Python's own way to say so
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
    """Make a PRAW instance from these settings and PRAW's own defaults.

    Every setting that PRAW would look up in the environment is given, and the site is named, so that neither a
    `praw_*` variable nor `praw_site` counts.
    """
    with praw.config.Config.LOCK:
        praw.config.Config.CONFIG = _own_defaults()  # PRAW reads its files only where this is None
    unset = dict.fromkeys(("redirect_uri", "refresh_token", "username", "password"))
    return praw.Reddit("DEFAULT", check_for_updates=False, check_for_async=False, **unset, **settings)


def _own_defaults() -> configparser.ConfigParser:
    """Read the file that PRAW brings along, which names kinds and time limits."""
    defaults = configparser.ConfigParser(interpolation=None)
    defaults.read_string(files("praw").joinpath("praw.ini").read_text(encoding="utf-8"))
    return defaults
