"""What a terminal can do that a file cannot."""

import os
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


@contextmanager
def until_nobody_reads(out: TextIO) -> Iterator[None]:
    """End quietly, as a person ends it: by Ctrl-C, or by closing the pipe that `out` is."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # What stands in the buffer must not fail again when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
