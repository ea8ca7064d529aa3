"""The base classes of all errors (transient or permanent), and the exit codes of the command line."""

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


#: A child exits with this code when a restart cannot help (sysexits.h, EX_CONFIG).
PERMANENT_EXIT = os.EX_CONFIG


class FaultCode(enum.StrEnum):
    """The reason why a process cannot go on, for decisions in code. State files store it beside the message."""

    OTHER = "other"
    CREDENTIALS = "credentials"  #: Reddit rejects the client id and secret
    INSTANCE_TAKEN = "instance_taken"  #: another machine of the cluster has the same name
    TOO_MANY_FAILURES = "too_many_failures"  #: it crashed repeatedly


class GaplessError(Exception):
    """Root of all errors that Gapless raises on purpose; the message states what to do."""


class TransientError(GaplessError):
    """A temporary error: retry later, nothing is lost meanwhile."""


class PermanentError(GaplessError):
    """An error that no retry repairs: the process parks (FATAL) until a person acts."""

    code: ClassVar[FaultCode] = FaultCode.OTHER


class InstanceTakenError(PermanentError):
    """Another machine of the cluster has the same name."""

    code = FaultCode.INSTANCE_TAKEN


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a configuration: the place, the value, and the correction."""

    key: str
    advice: str
    value: str | None = None  # safe to show; None for a value that may hold a secret
    source: str = ""  # the source of the value, unless it is the file

    def __str__(self) -> str:
        where = printable(self.key if self.value is None else f"{self.key} = {self.value}")
        source = f"  ({printable(self.source)})" if self.source else ""
        return f"{where}{source}\n" + textwrap.indent(printable_lines(self.advice), "    ")


class ConfigError(GaplessError, ValueError):
    """All problems of a configuration; its text is the user's message."""

    def __init__(self, problems: Iterable[Problem], path: str = "the configuration") -> None:
        self.problems = tuple(problems)
        self.path = path
        super().__init__(self.problems, path)  # both as arguments, so that it can be pickled

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = "\n".join(textwrap.indent(str(problem), "  ") for problem in self.problems)
        return f"{printable(self.path)}: {count}\n\n{listed}"
