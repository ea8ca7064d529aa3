"""Opens a dump and yields its decompressed bytes in bounded chunks: zstd, gzip, bzip2, xz, plain, standard input.

The content decides the format, not the name. A chunk has at most `CHUNK` bytes, whatever a few compressed bytes expand
to. So the memory for a dump is its window and a few chunks.
"""

import bz2
import hashlib
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from core.errors import PermanentError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Most bytes of a decompressed chunk.
CHUNK = 1024 * 1024
#: Bytes per read of the file.
_INPUT = 128 * 1024
#: The first bytes of the file that identify it.
_HEAD = 1024 * 1024

#: The name of standard input.
STDIN = Path("-")

_ZSTD, _GZIP, _BZIP2, _XZ = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
#: Skippable frames of zstd, which parallel compressors write first: 50 to 5f, then these.
_SKIPPABLE = b"\x2a\x4d\x18"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"

_SMALLEST_WINDOW_LOG, _LARGEST_WINDOW_LOG = 10, 31
_CORRUPT = (zlib.error, zstd.ZstdError, lzma.LZMAError, EOFError)


class DumpError(PermanentError):
    """A dump that cannot be read, or not further; the message states the reason and what to do."""


class TruncatedDumpError(DumpError):
    """The compressed data of a dump ends in the middle."""


class Decompressor(Protocol):
    """The common interface of the decompressors of bz2, lzma and zstd."""

    @property
    def eof(self) -> bool:
        """Whether the end of the frame was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether it has no output left without more input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What follows the frame."""
        ...

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        ...


class GzipMember:
    """One member of a gzip file, with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        """Whether the end of the member was reached."""
        return self._decompressor.eof

    @property
    def needs_input(self) -> bool:
        """Whether it has no output left without more input."""
        return not self._full and not self._decompressor.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the member; zeros pad the end of a file."""
        return self._decompressor.unused_data.lstrip(b"\0")

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        found = self._decompressor.decompress(self._decompressor.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length
        return found


class DumpFile:
    """An open dump.

    Args:
        path: the file; `-` is standard input.
        memory: most bytes for the window of its compression.

    Raises:
        DumpError: it is not a dump.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, memory: int) -> None:
        self.path = path
        self._memory = memory
        self._file: BinaryIO = os.fdopen(os.dup(0), "rb") if path == STDIN else path.open("rb")
        try:
            status = os.fstat(self._file.fileno())
            self._regular = os.path.isfile(path) and path != STDIN  # noqa: PTH113 (a dangling name is no error here)
            #: bytes of the file; None for a pipe
            self.size = status.st_size if self._regular else None
            self._head = _read_fully(self._file, _HEAD)
            self._make = self._decompressor()
        except BaseException:
            self._file.close()
            raise
        #: bytes of the file that were read
        self.consumed = 0
        #: identifies the content: the same for a copy, and for a download that was completed later
        self.digest = hashlib.sha256(self._head).hexdigest()

    def _decompressor(self) -> Callable[[], Decompressor] | None:
        head = self._head
        if head.startswith(_ZSTD) or (head[1:4] == _SKIPPABLE and head[:1] in bytes(range(0x50, 0x60))):
            return self._zstd
        if head.startswith(_GZIP):
            return GzipMember
        if head.startswith(_BZIP2):
            return bz2.BZ2Decompressor
        if head.startswith(_XZ):
            return self._xz
        if head.startswith(_WIDE):
            raise DumpError(f"{self.path}: the text is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")
        if b"\0" in head[:4096]:
            raise DumpError(f"{self.path}: neither JSON lines nor compressed with zstd, gzip, bzip2 or xz")
        return None

    @property
    def repeatable(self) -> bool:
        """Whether `chunks` can be called again."""
        return self._regular

    def peek(self) -> bytes:
        """Return the beginning of the text, at most a chunk.

        Raises:
            DumpError: it cannot be decompressed.
        """
        if self._make is None:
            return self._head.removeprefix(_UTF8_MARK)
        parts: list[bytes] = []
        data, decompressor = self._head, self._make()
        try:
            while data and sum(map(len, parts)) < CHUNK:
                parts.append(decompressor.decompress(data, max_length=CHUNK))
                data = decompressor.unused_data if decompressor.eof else b""
                decompressor = self._make() if data else decompressor
        except _CORRUPT as error:
            raise DumpError(self._explain(error, 0)) from error
        return b"".join(parts)

    def _zstd(self) -> Decompressor:
        log = min(max(self._memory.bit_length() - 1, _SMALLEST_WINDOW_LOG), _LARGEST_WINDOW_LOG)
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: log})

    def _xz(self) -> Decompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=self._memory)

    def chunks(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and the bytes of each chunk, from the beginning of the line that holds offset `start` on.

        Compressed data and pipes have one beginning only: for them it is offset 0.

        Raises:
            TruncatedDumpError: the compressed data ends early; everything before was yielded.
            DumpError: it is corrupt, or its window is larger than the memory allows.
        """
        if self._make is not None:
            yield from self._decompressed(self._make)
            return
        offset = self._seek(start) if self._regular and start else 0
        if offset == 0:
            if self._regular:
                self._file.seek(len(self._head))
            first = self._head
            self.consumed = len(first)
            if first.startswith(_UTF8_MARK):
                first = b"   " + first[3:]  # the offsets stay those of the file
            yield 0, first
            offset = len(first)
        while chunk := self._file.read(CHUNK):
            yield offset, chunk
            offset += len(chunk)
            self.consumed = offset

    def _seek(self, start: int) -> int:
        """Go back from `start` to the beginning of a line; return its offset."""
        end = min(start, self.size or 0)
        while end > 0:
            begin = max(0, end - _INPUT)
            self._file.seek(begin)
            newline = self._file.read(end - begin).rfind(b"\n")
            if newline >= 0:
                end = begin + newline + 1
                break
            end = begin
        self._file.seek(end)
        return end

    def _decompressed(self, make: Callable[[], Decompressor]) -> Iterator[tuple[int, bytes]]:
        data, offset = self._head, 0
        self.consumed = 0
        if self._regular:
            self._file.seek(len(data))
        decompressor: Decompressor | None = None
        try:
            while data or (data := self._file.read(_INPUT)):
                portion, data = data[:_INPUT], data[_INPUT:]
                self.consumed += len(portion)
                if decompressor is None:
                    decompressor = make()
                found = decompressor.decompress(portion, max_length=CHUNK)
                while found or not (decompressor.eof or decompressor.needs_input):
                    yield offset, found
                    offset += len(found)
                    found = b"" if decompressor.eof else decompressor.decompress(b"", max_length=CHUNK)
                if decompressor.eof:
                    rest = decompressor.unused_data
                    self.consumed -= len(rest)
                    data, decompressor = rest + data, None
        except _CORRUPT as error:
            raise DumpError(self._explain(error, offset)) from error
        if decompressor is not None:
            raise TruncatedDumpError(
                f"{self.path}: the compressed data ends early, after {offset:,} bytes of text: the download is"
                " incomplete; complete it and run the command again"
            )

    def _explain(self, error: Exception, offset: int) -> str:
        text = str(error)
        window = window_size(self._head)
        if "memory" in text.lower():
            needs = f"a window of {window / 1024**2:,.0f} MiB" if window else "more memory"
            return f"{self.path}: decompression needs {needs}, --memory allows {self._memory / 1024**2:,.0f} MiB"
        return f"{self.path}: the compressed data is corrupt after {offset:,} bytes of text: {text}"

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def window_size(head: bytes) -> int:
    """Return the window of a zstd frame from its header, in bytes; 0 if it is not known.

    >>> window_size(bytes.fromhex("28b52ffd00a8"))
    2147483648
    """
    if not head.startswith(_ZSTD) or len(head) < 6 or head[4] & 0x20:
        return 0
    base = 1 << (10 + (head[5] >> 3))
    return base + (base >> 3) * (head[5] & 7)


def _read_fully(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end: a pipe brings them in parts."""
    parts = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
