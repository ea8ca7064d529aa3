"""Parses a child's output outside its logger: its own log lines, tracebacks kept whole, and single lines.

Pure: bytes in, parts out. Incomplete data stays here until `flush` or `end`.
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

OWN = b'{"timestamp":"'  #: the start of each line that core.logging.log_setup writes (see its order of fields)

_MAX_LINE = 65536  # a longer line without a line end is cut
_MAX_OWN_LINE = 1_000_000
_MAX_BLOCK = 65536

_CRASH = re.compile(r"Fatal Python error: |Current thread 0x|Thread 0x[0-9a-f]+ ")
_TRACEBACK = re.compile(r"[\s|+]*(Exception Group )?Traceback \(most recent call last\):")
_GROUP = re.compile(r"\s+\| (\S.*)")
_BEFORE_TRACEBACK = re.compile(r"Exception in thread |Exception ignored |Process \S+:$")
_LINK = re.compile(r"During handling of the above exception|The above exception was the direct cause")
_MORE_OF_MESSAGE = ("[", "(")  # continuation lines of SQLAlchemy's errors

# librdkafka's own output format: %3|seconds|FACILITY|name| text, where the number is a syslog level
_SYSLOG = re.compile(r"%([0-7])\|")
_SYSLOG_LEVELS = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_LEVELS = {
    "critical": re.compile(r"\b(CRITICAL|FATAL|panicked at|terminate called|stack smashing)\b|free\(\)|malloc\(\)"),
    "error": re.compile(r"\bERROR\b|\b\w*Error\b"),
    "info": re.compile(r"\b(INFO|DEBUG|NOTICE)\b"),
}


class Kind(enum.Enum):
    """The kind of a part."""

    OWN = enum.auto()  #: already a log line
    LINE = enum.auto()
    TRACEBACK = enum.auto()
    CRASH = enum.auto()  #: output of faulthandler: only more of it follows


@dataclass(frozen=True, slots=True)
class OutputPart:
    """One part: a single line, or several lines that belong together."""

    kind: Kind
    text: str

    @property
    def lines(self) -> int:
        """The number of lines."""
        return self.text.count("\n") + 1

    @property
    def level(self) -> str:
        """The log level."""
        match self.kind:
            case Kind.CRASH:
                return "critical"
            case Kind.TRACEBACK:
                return "error"
            case _:
                return _level(self.text)

    @property
    def line(self) -> str:
        """A summary in one line: for a traceback, its last error."""
        lines = self.text.split("\n")
        if self.kind is not Kind.TRACEBACK:
            return lines[0]
        unindented = [line for line in lines if line.strip() and not line.startswith((" ", "\t", *_MORE_OF_MESSAGE))]
        return unindented[-1] if unindented else next(filter(None, map(_group_of, lines)), lines[0])


class OutputParser:
    """Splits one child's output into parts."""

    def __init__(self) -> None:
        self._partial = b""
        self._block: list[str] = []
        self._size = 0
        self._kind = Kind.LINE
        self._has_error_line = False  # the traceback has reached its error line

    @property
    def pending(self) -> bool:
        """Whether data is held back that may be complete."""
        return bool(self._block)

    def feed(self, data: bytes) -> Iterator[OutputPart]:
        """Add the bytes that were read; yield the complete parts."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        longest = _MAX_OWN_LINE if self._partial.startswith(OWN) else _MAX_LINE
        if len(self._partial) > longest:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            yield from self._add_line(line)

    def flush(self) -> Iterator[OutputPart]:
        """Yield what is complete: no more output came for a moment."""
        if self._block:
            yield self._complete_part()

    def end(self) -> Iterator[OutputPart]:
        """Yield all that is left, also a line without a line end."""
        if self._partial:
            yield from self._add_line(self._partial)
            self._partial = b""
        yield from self.flush()

    def _add_line(self, raw: bytes) -> Iterator[OutputPart]:
        if raw.startswith(OWN) and raw.endswith(b"}"):
            yield from self.flush()
            yield OutputPart(Kind.OWN, raw.decode(errors="replace"))
            return
        line = raw.decode(errors="replace").rstrip("\r")
        if not self._continues(line) or self._size > _MAX_BLOCK:
            yield from self.flush()
            if not line.strip():
                return
            self._kind, self._has_error_line = (
                _kind(line),
                line.startswith(" "),
            )  # all lines of an exception group are indented
        self._block.append(line)
        self._size += len(line)

    def _continues(self, line: str) -> bool:
        """Return whether the line belongs to the block that is held back."""
        if not self._block or self._kind is Kind.CRASH:
            return bool(self._block)
        indented_or_empty = not line.strip() or line.startswith((" ", "\t"))
        if self._kind is Kind.LINE or _CRASH.match(line):
            return bool(line.strip()) and indented_or_empty and not _TRACEBACK.match(line)
        if _LINK.match(line) or (not self._has_error_line and _TRACEBACK.match(line)):
            self._has_error_line = False
            return True
        if indented_or_empty:
            return True
        more, self._has_error_line = not self._has_error_line or line.startswith(_MORE_OF_MESSAGE), True
        return more

    def _complete_part(self) -> OutputPart:
        while not self._block[-1].strip():
            self._block.pop()
        part = OutputPart(self._kind, "\n".join(self._block))
        self._block, self._size, self._kind, self._has_error_line = [], 0, Kind.LINE, False
        return part


def _group_of(line: str) -> str:
    found = _GROUP.match(line)
    return found[1] if found is not None else ""


def _kind(line: str) -> Kind:
    if _CRASH.match(line):
        return Kind.CRASH
    return Kind.TRACEBACK if _TRACEBACK.match(line) or _BEFORE_TRACEBACK.match(line) else Kind.LINE


def _level(line: str) -> str:
    """Guess the level of a line; output outside the logger is worth at least a warning."""
    syslog = _SYSLOG.match(line)
    if syslog is not None:
        return _SYSLOG_LEVELS[int(syslog[1])]
    return next((level for level, pattern in _LEVELS.items() if pattern.search(line)), "warning")
