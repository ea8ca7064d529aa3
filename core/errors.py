"""The one family of errors: what will pass, what will never work, and what the command line answers."""

import enum
import os


class ExitCode(enum.IntEnum):
    """Exit codes of `python -m supervisor` (see docs/operations)."""

    OK = 0
    GAVE_UP = 1
    BAD_USAGE = 2
    KILLED = 3


#: A child leaves with this code when a restart cannot help (sysexits.h, EX_CONFIG).
PERMANENT_EXIT = os.EX_CONFIG


class GaplessError(Exception):
    """Root of all errors that Gapless raises on purpose; the message says what to do."""


class TransientError(GaplessError):
    """Something that passes: try again later, nothing is lost meanwhile."""


class PermanentError(GaplessError):
    """Something that no retry mends: the process parks (FATAL) until a person acts."""
