"""Options that several commands share, and parsers for the values of options; an error shows the expected form."""

import argparse
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from core.config import parsers
from core.config.parsers import InvalidValue
from core.config.setting import toml_or_text
from core.config.suggestions import likeness, nearest

_ALIKE = 0.6  # similarity from which a misspelt word gets a suggestion

_age = parsers.seconds(zero=True)


def add_overrides(command: argparse.ArgumentParser) -> None:
    """Add the options that replace values of the configuration."""
    group = command.add_argument_group("overrides of CONFIG, .env and the environment")
    text = "capture these; CONFIG must come before this option (reddit.subreddits; lists in [streams] stay)"
    group.add_argument("--subreddits", nargs="+", metavar="NAME", help=text)
    text = 'host:port,host:port, or "embedded": a broker in memory, for trials (kafka.bootstrap_servers)'
    group.add_argument("--kafka-servers", metavar="LIST", help=text)
    group.add_argument("--topic", metavar="NAME", help="the name of the Kafka topic (kafka.topic)")
    text = "any other key, such as supervisor.stats_interval=10s; repeatable"
    group.add_argument("--set", action="append", default=[], type=assignment, metavar="KEY=VALUE", help=text)


def overrides(options: argparse.Namespace) -> dict[str, object]:
    """Return the values that these options set, by their key in the configuration."""
    given = {
        "reddit.subreddits": options.subreddits,
        "kafka.bootstrap_servers": options.kafka_servers,
        "kafka.topic": options.topic,
    }
    return {**dict(options.set), **{key: value for key, value in given.items() if value is not None}}


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a question that names the word of `known` that is most like a misspelt one; empty if none is."""
    best = nearest(word, {name: name for name in known})
    return f"; did you mean {best}?" if likeness(word, best) >= _ALIKE else ""


def assignment(text: str) -> tuple[str, object]:
    """Parse KEY=VALUE; the value as TOML if it is valid TOML, otherwise as plain text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE, such as supervisor.stats_interval=10")
    return key.strip(), toml_or_text(value)


def seconds(text: str) -> float:
    """Parse a duration in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of seconds above 0")
    return number


def count(text: str) -> int:
    """Parse a number, such as one of lines."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number, 0 or more")
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
    expected = "a time such as 2026-11-28T09:00:00Z, epoch seconds, or an age such as 2h"
    raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")


def subreddit(text: str) -> str:
    """Parse the name of a subreddit, with or without r/ before it."""
    name = text.strip().removeprefix("/").removeprefix("r/").strip("/")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r}: expected the name of a subreddit, such as Bitcoin")
    return name
