"""Handles standard output and error of every kind: a terminal or a file, closed, full, or without a reader."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

RED, GREEN, YELLOW, DIM = 31, 32, 33, 2

#: Moves the cursor to the upper left corner and clears the screen from there.
HOME = "\033[H\033[J"


def is_terminal(out: TextIO) -> bool:
    """Return whether this stream is a terminal."""
    return out.isatty()


def has_colours(out: TextIO) -> bool:
    """Return whether to colour the output on this stream (see https://no-color.org)."""
    return is_terminal(out) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: int) -> str:
    """Colour a text."""
    return f"\033[{colour}m{text}\033[0m"


def repair_standard_streams() -> None:
    """Replace a closed standard stream by /dev/null: otherwise the next opened file would take its number.

    Characters that a stream's encoding does not know are written as escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output(out: TextIO) -> None:
    """Discard the buffered output, so that it does not fail again when the interpreter exits."""
    with contextlib.suppress(OSError, ValueError):  # not a real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


@contextmanager
def until_reader_closes(out: TextIO) -> Iterator[None]:
    """End quietly when the user ends the output: by Ctrl-C, or by closing the pipe `out`."""
    try:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the normal end of a repeated output
            yield
    except BrokenPipeError:
        discard_output(out)
