"""Cuts the chunks of a dump into blocks of whole lines, each with the offset where it begins. Pure.

A line longer than `MAX_LINE` is no item of Reddit. It is handed on in parts, so that it takes no memory. One longer
than `MAX_KEPT` ends the reading.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from streams.sources.dump_files import DumpError

#: Most bytes of a line that is parsed. The largest posts, with galleries and crossposts, have a few hundred kilobytes.
MAX_LINE = 16 * 1024**2
#: Most bytes of a line that is kept.
MAX_KEPT = 256 * 1024**2


class Block(NamedTuple):
    """Whole lines.

    Attributes:
        start: the offset of the first byte.
        data: the lines, each with its end of line.
        unended: whether the last line has none in the dump: it was added.
    """

    start: int
    data: bytes
    unended: bool = False

    @property
    def end(self) -> int:
        """The offset behind the last line."""
        return self.start + len(self.data)


class LongLine(Protocol):
    """Takes a part of a line that is too long."""

    def __call__(self, offset: int, part: bytes, /, *, last: bool) -> None:
        """Take a part of the line that begins at this offset."""
        ...


class LineCutter:
    """Cuts the chunks of a dump into blocks of whole lines.

    Args:
        on_long: takes the parts of lines that are too long.
    """

    def __init__(self, on_long: LongLine, max_line: int = MAX_LINE, max_kept: int = MAX_KEPT) -> None:
        self._on_long = on_long
        self._max_line = max_line
        self._max_kept = max_kept
        self._parts: list[bytes] = []
        #: bytes of the line that is not complete yet
        self.pending = 0
        self._start = 0
        self._long = False

    def blocks(self, chunks: Iterator[tuple[int, bytes]]) -> Iterator[Block]:
        """Yield blocks of whole lines, in order.

        Raises:
            DumpError: a line is too long to be kept, or the chunks raise it. The incomplete line is dropped then.
        """
        for offset, chunk in chunks:
            if not self.pending:
                self._start = offset
            yield from self._add(chunk)
        if self.pending and self._long:
            self._on_long(self._start, b"", last=True)
        elif self.pending:
            yield Block(self._start, b"".join(self._parts) + b"\n", unended=True)

    def _add(self, chunk: bytes) -> Iterator[Block]:
        if self._long:
            newline = chunk.find(b"\n")
            if newline < 0:
                self._continue_long(chunk)
                return
            self._on_long(self._start, chunk[:newline], last=True)
            self._start += self.pending + newline + 1
            self._parts, self.pending, self._long = [], 0, False
            chunk = chunk[newline + 1 :]
        newline = chunk.rfind(b"\n")
        if newline >= 0:
            data = b"".join((*self._parts, chunk[: newline + 1]))
            yield Block(self._start, data)
            self._start += len(data)
            chunk = chunk[newline + 1 :]
            self._parts, self.pending = [], 0
        if chunk:
            self._parts.append(chunk)
            self.pending += len(chunk)
        if self.pending > self._max_line:
            self._long = True
            parts, self._parts, self.pending = self._parts, [], 0
            for part in parts:
                self._continue_long(part)

    def _continue_long(self, part: bytes) -> None:
        self.pending += len(part)
        if self.pending > self._max_kept:
            raise DumpError(
                f"the line at byte {self._start:,} of the text has more than {self._max_kept:,} bytes: this is no dump"
                " with an item in each line"
            )
        self._on_long(self._start, part, last=False)
