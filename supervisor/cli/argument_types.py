"""Parsers for the options of the command line; an error shows the right form."""

import argparse
import contextlib
import math
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from core.config import parsers
from core.config.parsers import InvalidValue

_age = parsers.seconds(zero=True)


def assignment(text: str) -> tuple[str, object]:
    """Parse KEY=VALUE; the value as TOML if it is valid TOML, otherwise as plain text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError("it should look like supervisor.stats_interval=10")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return key.strip(), parsed


def seconds(text: str) -> float:
    """Parse a duration in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} should be a number of seconds above 0")
    return number


def count(text: str) -> int:
    """Parse a number of lines."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} should be a number of lines, 0 or more")
    return int(text)


def moment(text: str, clock: Callable[[], float] = time.time) -> float:
    """Parse ISO 8601 (UTC without a zone), epoch seconds, or an age such as 2h; return epoch seconds."""
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    with contextlib.suppress(ValueError):
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    with contextlib.suppress(InvalidValue):
        return clock() - _age(text)
    right = "a time such as 2026-11-28T09:00:00Z, epoch seconds, or an age such as 2h"
    raise argparse.ArgumentTypeError(f"{text} should be {right}")


def subreddit(text: str) -> str:
    """Parse the name of a subreddit, with or without r/ before it."""
    name = text.strip().removeprefix("/").removeprefix("r/").strip("/")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} should be the name of a subreddit, such as Bitcoin")
    return name
