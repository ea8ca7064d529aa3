"""The one family of errors: what will pass, what will never work, and what the command line answers."""

import enum
import os
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from core.masking.printable import printable, printable_lines


class ExitCode(enum.IntEnum):
    """Exit codes of `python -m supervisor` (see docs/operations)."""

    OK = 0
    GAVE_UP = 1
    BAD_USAGE = 2
    KILLED = 3


#: A child leaves with this code when a restart cannot help (sysexits.h, EX_CONFIG).
PERMANENT_EXIT = os.EX_CONFIG


class FaultCode(enum.StrEnum):
    """Why a process cannot go on, for code that decides. It travels beside the message, through the state files."""

    OTHER = "other"
    CREDENTIALS = "credentials"  #: Reddit rejects the client id and secret
    TOO_MANY_FAILURES = "too_many_failures"  #: it died again and again


class GaplessError(Exception):
    """Root of all errors that Gapless raises on purpose; the message says what to do."""


class TransientError(GaplessError):
    """Something that passes: try again later, nothing is lost meanwhile."""


class PermanentError(GaplessError):
    """Something that no retry mends: the process parks (FATAL) until a person acts."""

    code: ClassVar[FaultCode] = FaultCode.OTHER


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration: where, what stands there, and what would be right."""

    key: str
    advice: str
    value: str | None = None  # as people may see it; None of what may hold a secret
    source: str = ""  # where the value came from, when that is not the file

    def __str__(self) -> str:
        where = printable(self.key if self.value is None else f"{self.key} = {self.value}")
        source = f"  ({printable(self.source)})" if self.source else ""
        return f"{where}{source}\n" + textwrap.indent(printable_lines(self.advice), "    ")


class ConfigError(GaplessError, ValueError):
    """Everything that is wrong with a configuration, at once; its text is what the user reads."""

    def __init__(self, problems: Iterable[Problem], path: str = "the configuration") -> None:
        self.problems = tuple(problems)
        self.path = path
        super().__init__(self.problems, path)  # both as arguments, so that it survives pickling

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(textwrap.indent(str(problem), "  ") for problem in self.problems)
        return f"{printable(self.path)}: {count}\n\n{listed}"
