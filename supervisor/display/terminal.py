"""Standard output and error as they are met: a terminal or a file, closed, full, or with nobody who reads."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

RED, GREEN, YELLOW, DIM = 31, 32, 33, 2

#: To the upper left corner, and clear from there.
HOME = "\033[H\033[J"


def is_terminal(out: TextIO) -> bool:
    """Tell whether a person looks at this stream."""
    return out.isatty()


def has_colours(out: TextIO) -> bool:
    """Tell whether to colour what is written there (see https://no-color.org)."""
    return is_terminal(out) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: int) -> str:
    """Colour a text."""
    return f"\033[{colour}m{text}\033[0m"


def repair_standard_streams() -> None:
    """Put the void where a standard stream is closed: else whatever is opened next would take its place.

    What a stream's encoding does not know is written as an escape.
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
    """Let what stands in the buffer not fail again when the interpreter exits."""
    with contextlib.suppress(OSError, ValueError):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


@contextmanager
def until_reader_closes(out: TextIO) -> Iterator[None]:
    """End quietly, as a person ends it: by Ctrl-C, or by closing the pipe that `out` is."""
    try:
        yield
    except KeyboardInterrupt:
        pass  # that is the way to end what looks again and again
    except BrokenPipeError:
        discard_output(out)
