"""A dump as a source: the number of a row is the offset behind its line in the decompressed text.

So one number says both which line was the last one, and where to continue. Nothing of the dump is written to disk a
second time: after a failure its rows come from memory, or are read again.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from core.spool import Row
from core.spool.spool_state import SpoolState
from core.spool.stream_state import StreamState
from core.stream_kinds import kind_of
from streams.sources.bad_lines import BadLines
from streams.sources.base import PlainRow, Source
from streams.sources.dump_files import DumpError, DumpFile
from streams.sources.dump_lines import Block, LineCutter
from streams.sources.dump_record import BadLine, DumpParser, DumpRecord, Skipped, Wanted, candidates, kind_of_line

#: Bytes of rows that are kept for a repetition: as many as the producer has in flight.
_KEPT_BYTES = 32 * 1024**2
#: Bytes of rows per portion, and bytes of text that one call scans at most: each call is short.
_PORTION_BYTES = 4 * 1024**2
_SCANNED_BYTES = 32 * 1024**2
#: Lines that are looked at to find out the kind of a dump.
_FIRST_LINES = 200
_TOO_LONG = "longer than 16 MiB"

_KINDS_BY_NAME = {
    "comments": re.compile(r"(^|[_.-])(RC|comments)([_.-]|$)", re.IGNORECASE),
    "submissions": re.compile(r"(^|[_.-])(RS|submissions|posts)([_.-]|$)", re.IGNORECASE),
}


def find_kind(dump: DumpFile) -> str:
    """Return the stream of a dump's items: from its first lines, else from its name.

    Raises:
        DumpError: neither tells it.
    """
    lines = dump.peek().split(b"\n")[:_FIRST_LINES]
    for line in lines:
        if stream := kind_of_line(line):
            return stream
    for stream, pattern in _KINDS_BY_NAME.items():
        if pattern.search(dump.path.name):
            return stream
    raise DumpError(
        f"{dump.path}: no post and no comment in the first lines, and the name does not tell what it holds:"
        " give --kind comments or --kind submissions"
    )


class DumpSource(Source):
    """The records of one dump.

    Args:
        dump: the open file.
        stream: the stream that the records belong to.
        parser: converts its lines.
        wanted: what is published; a part of the source's id, since another choice has other rows.
        bad_directory: where bad lines are kept.
    """

    renumbers = False

    def __init__(self, dump: DumpFile, stream: str, parser: DumpParser, wanted: Wanted, bad_directory: Path) -> None:
        self.stream = stream
        self.dump = dump
        text = f"{dump.digest} {stream} {wanted.key()}"
        self._id = hashlib.sha256(text.encode()).hexdigest()[:32]
        self._schema = kind_of(stream).schema
        self._parser = parser
        self._names = wanted.needles()
        self.bad = BadLines(bad_directory, f"{dump.path.name.strip('.-') or 'stdin'}-{self._id[:8]}")
        self._blocks: Iterator[Block] | None = None
        self._rows: list[PlainRow] = []
        self._seqs: list[int] = []
        self._bytes = 0
        #: every row beyond it that was read is in memory
        self._floor = 0
        #: the last row that was handed out, and the last one that was read
        self._handed = self._last_row = 0
        #: lines up to this offset are counted
        self._counted = 0
        #: counts of this run
        self.lines = self.records = self.other_kind = self.blank = 0
        #: whether everything was read, or cannot be read further
        self.ended = False
        #: why it cannot be read further
        self.failure: DumpError | OSError | None = None

    @property
    def source_id(self) -> str:
        """The id of this content and choice."""
        return self._id

    @property
    def skipped(self) -> int:
        """Lines of this run that are not wanted."""
        return self.lines - self.records - self.bad_lines - self.blank

    @property
    def bad_lines(self) -> int:
        """Bad lines of this run."""
        return self.bad.count

    @property
    def finished(self) -> bool:
        """Whether every row was handed out."""
        return self.ended and self._handed >= self._last_row

    @property
    def begun(self) -> bool:
        """Whether the reading began."""
        return self._blocks is not None

    def moved(self) -> bool:
        """Return False: the file is held open."""
        return False

    def last_seq(self) -> int:
        """Return the number of the last row that was read."""
        return self._last_row

    def read(self, after: int, limit: int) -> list[Row]:
        """Return at most `limit` rows, without handing them out."""
        return [Row._make(row) for row in self._read(after, limit)]

    def read_plain(self, after: int, limit: int) -> list[PlainRow]:
        """Return at most `limit` rows; none does not mean that there are no more (see `finished`)."""
        rows = self._read(after, limit)
        if rows:
            self._handed = max(self._handed, rows[-1][0])
        return rows

    def _read(self, after: int, limit: int) -> list[PlainRow]:
        if self._blocks is None or after < self._floor:
            self._restart(after)
        first = bisect_right(self._seqs, after)
        if len(self._seqs) - first < limit and not self.ended:
            self._drop(first)
            self._advance(after, limit)
            first = bisect_right(self._seqs, after)
        size, end = 0, first
        while end < min(len(self._rows), first + limit) and size < _PORTION_BYTES:
            size += len(self._rows[end][2])
            end += 1
        return self._rows[first:end]

    def _restart(self, after: int) -> None:
        """Read the dump again from its beginning, or from `after` on where that is possible."""
        if self._blocks is None:
            self._counted = after
        elif not self.dump.repeatable:
            self.ended, self.failure = True, DumpError("standard input cannot be read again: run the command again")
            return
        self._rows, self._seqs, self._bytes = [], [], 0
        self._floor = after
        self.ended, self.failure = False, None
        self._blocks = LineCutter(self._take_long).blocks(self.dump.chunks(after))

    def _drop(self, first: int) -> None:
        """Drop the oldest rows before the place `first` while there are too many."""
        count = 0
        while count < first and self._bytes > _KEPT_BYTES:
            self._bytes -= len(self._rows[count][2])
            count += 1
        if count:
            self._floor = self._seqs[count - 1]
            del self._rows[:count], self._seqs[:count]

    def _advance(self, after: int, limit: int) -> None:
        """Read blocks until there are enough rows, or for long enough."""
        scanned, before = 0, self._bytes
        while scanned < _SCANNED_BYTES and self._bytes - before < _PORTION_BYTES:
            if len(self._seqs) - bisect_right(self._seqs, after) >= limit:
                break
            try:
                block = next(self._blocks) if self._blocks is not None else None
            except StopIteration:
                block = None
            except (DumpError, OSError) as error:
                block, self.failure = None, error
            if block is None:
                self.ended = True
                break
            scanned += len(block.data)
            if block.end > self._floor:
                self._take(block)
        self.bad.sync()

    def _take(self, block: Block) -> None:
        start, data, _ = block
        if start < self._floor:
            cut = data.rfind(b"\n", 0, self._floor - start) + 1
            start, data = start + cut, data[cut:]
        if block.end > self._counted:
            new = data if start >= self._counted else data[self._counted - start :]
            self.lines += new.count(b"\n")
        try:
            data.decode()
            valid = True
        except UnicodeDecodeError:
            valid = False
        if self._names:
            for offset, line in candidates(data, self._names):
                self._take_line(start + offset, line, valid=valid)
        else:
            for line in data[:-1].split(b"\n"):
                self._take_line(start, line, valid=valid)
                start += len(line) + 1
        self._counted = max(self._counted, block.end)

    def _take_line(self, start: int, line: bytes, *, valid: bool) -> None:
        end = start + len(line) + 1
        new = end > self._counted
        if not line or line.isspace():
            self.blank += new
            return
        found = self._parser.parse(line, valid_utf8=valid)
        if type(found) is DumpRecord:
            self._rows.append((end, found.key, found.value, self._schema))
            self._seqs.append(end)
            self._bytes += len(found.value)
            self._last_row = max(self._last_row, end)
            self.records += new
        elif type(found) is BadLine:
            if new:
                self.bad.add(start, line, found.reason)
        else:
            self.other_kind += new and found is Skipped.OTHER_KIND

    def _take_long(self, offset: int, part: bytes, /, *, last: bool) -> None:
        if offset >= self._counted:
            self.bad.add_part(offset, part, _TOO_LONG, last=last)
            self.lines += last

    def waiting_after(self, seq: int) -> int:
        """Return the number of rows handed out beyond `seq`, and 1 more while there may be others."""
        return bisect_right(self._seqs, self._handed) - bisect_right(self._seqs, seq) + (not self.finished)

    def origin(self, _seq: int) -> tuple[str, int] | None:
        """Return None: the rows are its own."""
        return None

    def stream_state(self) -> StreamState | None:
        """Return None: a dump is no live stream."""
        return None

    def state(self) -> SpoolState | None:
        """Return None: the position is everything."""
        return None

    def release(self) -> None:
        """Close the dump, when all of it is delivered; the source stays in place, without rows."""
        self._blocks = iter(())
        self.ended = True
        self._rows.clear()
        self._seqs.clear()
        self._handed = self._last_row
        self.close()

    def close(self) -> None:
        """Release the file."""
        self.bad.close()
        self.dump.close()


def open_dump(
    path: Path,
    *,
    memory: int,
    wanted: Wanted,
    full: bool,
    now: float,
    bad_directory: Path,
    stream: str | None = None,
) -> DumpSource:
    """Open a dump as a source.

    Args:
        path: the file; `-` is standard input.
        memory: most bytes for the window of its compression.
        wanted: what is published.
        full: whether records have `reddit`.
        now: epoch seconds.
        bad_directory: where bad lines are kept.
        stream: `comments` or `submissions`; None: the dump tells.

    Raises:
        DumpError: it is no dump.
        OSError: it cannot be read.
    """
    dump = DumpFile(path, memory)
    try:
        stream = stream or find_kind(dump)
        parser = DumpParser(stream, full=full, wanted=wanted, now=now)
        return DumpSource(dump, stream, parser, wanted, bad_directory)
    except BaseException:
        dump.close()
        raise
