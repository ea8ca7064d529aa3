"""Quantities on the command line, read with an explanation of what is wrong."""

import argparse


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
