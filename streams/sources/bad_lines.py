"""Keeps the lines of a dump that are no items, whole, in the state directory.

`NAME.lines` holds the lines as they are; `NAME.index` a row for each: its offset in the dump, its length, the reason.
The index is written after the lines. So a killed run leaves at most a part of a line without a row, which the next run
cuts off; and a line that has a row is not kept twice.
"""

import os
from pathlib import Path
from typing import BinaryIO

from core.storage.private_files import make_directory, open_private

_REASON = 100  # characters


class BadLines:
    """The bad lines of one dump. Nothing is created before there is one.

    Args:
        directory: of the files.
        name: without an ending.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.lines"
        self._index_path = directory / f"{name}.index"
        self._lines: BinaryIO | None = None
        self._index: BinaryIO | None = None
        self._last = -1
        self._length = 0
        self._rows: list[bytes] = []
        #: lines that this run met, those of earlier runs too
        self.count = 0

    def add(self, offset: int, line: bytes, reason: str) -> None:
        """Keep a line; the offsets ascend."""
        self.add_part(offset, line, reason, last=True)

    def add_part(self, offset: int, part: bytes, reason: str, *, last: bool) -> None:
        """Keep a part of a line, in their order."""
        if last:
            self.count += 1
        lines, _index = self._open()
        if offset <= self._last:
            return
        lines.write(part)
        self._length += len(part)
        if last:
            lines.write(b"\n")
            text = " ".join(reason.split())[:_REASON]
            self._rows.append(f"{offset} {self._length} {text}\n".encode(errors="replace"))
            self._last, self._length = offset, 0

    def sync(self) -> None:
        """Make the lines durable: before the position passes them."""
        if not self._rows:
            return
        lines, index = self._open()
        lines.flush()
        os.fsync(lines.fileno())
        index.writelines(self._rows)
        index.flush()
        os.fsync(index.fileno())
        self._rows.clear()

    def _open(self) -> tuple[BinaryIO, BinaryIO]:
        if self._lines is None or self._index is None:
            make_directory(self.path.parent)
            kept, rows = 0, 0
            known = self._index_path.read_bytes() if self._index_path.exists() else b""
            for row in known.splitlines(keepends=True):
                fields = row.split(b" ", 2)
                if not row.endswith(b"\n") or len(fields) < 3:
                    break  # torn by a kill
                self._last, kept, rows = int(fields[0]), kept + int(fields[1]) + 1, rows + len(row)
            self._lines, self._index = _append(self.path), _append(self._index_path)
            self._lines.truncate(kept)
            self._index.truncate(rows)
        return self._lines, self._index

    def close(self) -> None:
        """Write the rest and release the files."""
        self.sync()
        for file in (self._lines, self._index):
            if file is not None:
                file.close()
        self._lines = self._index = None


def _append(path: Path) -> BinaryIO:
    return os.fdopen(open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
