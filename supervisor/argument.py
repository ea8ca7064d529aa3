"""What stands after an option of the command line: read, or refused with what would be right."""

import argparse
import tomllib
from typing import Any


def assignment(text: str) -> tuple[str, object]:
    """Read KEY=VALUE; the value as TOML where it is that, otherwise as a plain text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} should look like supervisor.stats_interval=10")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return key.strip(), parsed


def seconds(text: str) -> float:
    """Read a duration."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} should be a number of seconds above 0")
    return number


def count(text: str) -> int:
    """Read a number of lines."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} should be a number of lines, 0 or more")
    return int(text)
