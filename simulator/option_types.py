"""Types of the command line's options: parsers whose errors say what to give."""

import argparse
import json
from collections.abc import Callable


def amount(text: str) -> float:
    """Parse a number, 0 or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: give a number, 0 or more")
    return value


def seconds(text: str) -> float:
    """Parse a number of seconds, which may be below 0."""
    value = float(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: give a number")
    return value


def span(text: str) -> float:
    """Parse a number above 0."""
    value = amount(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text}: give a number above 0")
    return value


def share(text: str) -> float:
    """Parse a share from 0 to 1."""
    value = amount(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text}: give a share from 0 to 1")
    return value


def positive(text: str) -> int:
    """Parse a whole number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number, 1 or more")
    return value


def fault_object(text: str) -> dict[str, object]:
    """Parse a JSON object of faults."""
    try:
        faults = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(faults, dict):
        raise argparse.ArgumentTypeError('give an object, e.g. {"status_503": 0.05}')
    return faults


def rule_list(example: str) -> Callable[[str], tuple[dict[str, object], ...]]:
    """Return the parser of a JSON list of rules; an invalid one is answered with this example."""

    def parse(text: str) -> tuple[dict[str, object], ...]:
        try:
            rules = json.loads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise argparse.ArgumentTypeError(f"give a list of objects, e.g. {example}")
        return tuple(rules)

    return parse
