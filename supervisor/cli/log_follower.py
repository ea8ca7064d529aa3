"""Reads one process's log over all its files: the last lines, and new lines without loss or repetition.

The writer (core.logging.rotating_file) appends to NAME.log, moves it to NAME.log.1 and so on when it is full, and opens
a new one if it was removed. So a file is identified by its inode, not by its name, and only ever moves to higher
numbers: reading the numbers from 0 upwards misses no file, and a moved file is complete.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 65536
_BEGINNING = 64

#: Identity of a complete file. An inode alone may be reused after a deletion.
Key = tuple[int, int, int, int]


@dataclass(slots=True)
class _File:
    descriptor: int
    offset: int = 0
    partial: bytes = b""  #: the start of a line whose end is not written yet
    beginning: bytes = b""  #: the first bytes, which contain a time: a change means that the file was emptied

    def __post_init__(self) -> None:
        self.beginning = self._read_beginning()

    @property
    def inode(self) -> tuple[int, int]:
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    @property
    def key(self) -> Key:
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

    def read_on(self) -> list[bytes]:
        """Return the lines completed since the last call."""
        beginning = self._read_beginning()
        if os.fstat(self.descriptor).st_size < self.offset or not beginning.startswith(self.beginning):
            self.offset, self.partial = 0, b""  # emptied in place; it may have new content already
        self.beginning = beginning
        lines: list[bytes] = []
        while block := os.pread(self.descriptor, _BLOCK, self.offset):
            self.offset += len(block)
            *complete, self.partial = (self.partial + block).split(b"\n")
            lines += complete
        return lines

    def read_backwards(self) -> Iterator[bytes]:
        """Yield the lines before `offset`, the last one first."""
        end, rest = self.offset, b""
        while end > 0:
            start = max(0, end - _BLOCK)
            rest, *complete = (os.pread(self.descriptor, end - start, start) + rest).split(b"\n")
            yield from reversed(complete)
            end = start
        yield rest

    def _read_beginning(self) -> bytes:
        return os.pread(self.descriptor, _BEGINNING, 0)

    def close(self) -> None:
        os.close(self.descriptor)


class LogFollower:
    """Starts at the current end, or `from_beginning`: `last` reads before that point, `fresh` after it."""

    def __init__(self, path: Path, *, from_beginning: bool = False) -> None:
        self._path = path
        self._file: _File | None = None  # the newest file; held open, so that it is read to its end after a move
        self._read: set[Key] = set()  # complete older files
        self._older: list[_File] = []
        if not from_beginning:
            self._start_at_end()

    def _start_at_end(self) -> None:
        self._older = self._open_from_newest()
        if self._older and self._older[0].inode == _inode_at(self._path):
            self._file = self._older.pop(0)
        for file in self._older:
            file.offset = os.fstat(file.descriptor).st_size
            self._read.add(file.key)
        if self._file is not None:
            self._go_to_end(self._file)

    def last(self, wanted: int, accept: Callable[[bytes], bool]) -> list[bytes]:
        """Return the last `wanted` accepted lines before the start of `fresh`, in file order."""
        found: list[bytes] = []
        for file in [*([self._file] if self._file else []), *self._older]:
            for number, line in enumerate(file.read_backwards()):
                if len(found) >= wanted:
                    return found[::-1]
                if number == 0 and not line:
                    continue  # the empty rest after the last line end
                if accept(line):
                    found.append(line)
        return found[::-1]

    def unfinished(self) -> bytes:
        """Return the text after the last line end."""
        if self._file is None:
            return b""
        return os.pread(self._file.descriptor, _BLOCK, self._file.offset)

    def fresh(self) -> list[bytes]:
        """Return the lines written since the last call, over rotations and deletions."""
        self._forget_older()
        lines = self._file.read_on() if self._file is not None else []
        if self._file is not None and self._file.inode == _inode_at(self._path):
            return lines
        newer = self._open_from_newest()
        if not newer or newer[0].inode != _inode_at(self._path):
            _close(newer)  # between two names, or deleted and not written again: the next call will find it
            return lines
        if self._file is not None:
            lines += self._finish(self._file)  # moved, hence complete: this includes all lines since the last read
        for file in reversed(newer[1:]):
            lines += self._finish(file)
        self._file = newer[0]
        return lines + self._file.read_on()

    def close(self) -> None:
        """Release the files."""
        self._forget_older()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _finish(self, file: _File) -> list[bytes]:
        lines = file.read_on()
        if file.partial:
            lines.append(file.partial)
        self._read.add(file.key)
        file.close()
        return lines

    def _forget_older(self) -> None:
        _close(self._older)
        self._older = []

    def _open_from_newest(self) -> list[_File]:
        """Open NAME.log, NAME.log.1, … down to the files already read; a file that moves meanwhile is opened once."""
        files: list[_File] = []
        for number in range(self._highest() + 2):
            file = _open(self._path.with_name(f"{self._path.name}.{number}") if number else self._path)
            if file is None:
                continue
            if (self._file is not None and file.inode == self._file.inode) or file.key in self._read:
                file.close()
                break
            if any(file.inode == other.inode for other in files):
                file.close()
            else:
                files.append(file)
        return files

    def _highest(self) -> int:
        """Return the highest number of this log's files."""
        numbers = (path.name.rpartition(".")[2] for path in self._path.parent.glob(f"{self._path.name}.*"))
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    @staticmethod
    def _go_to_end(file: _File) -> None:
        """Go to the last line end: an incomplete line belongs to `fresh`."""
        size = os.fstat(file.descriptor).st_size
        file.offset = size
        file.offset -= len(next(file.read_backwards()))


def _open(path: Path) -> _File | None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    return None


def _inode_at(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _close(files: list[_File]) -> None:
    for file in files:
        file.close()
