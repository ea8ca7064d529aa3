"""The names of all captured items of the last days, as files that are only appended to: for "was it captured?".

The spool forgets names that no listing can show again. The audit asks about any item of the last days, so each capture
also adds 8 bytes here: the number that the fullname's id is in base 36, or a hash of a name that is no such id. The
files of a stream are in a directory of their own, one for each hour of capture; the name of a file is the moment at
which it began, epoch seconds. Within a file the names are in the order of capture.
"""

import hashlib
import os
import re
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ENTRY_BYTES = 8
_ENDING = ".names"
_FILE = re.compile(r"([0-9]{1,12})\.names")

#: Numbers from here on are hashes.
_HASHES = 1 << 63

#: Longest id that surely fits below `_HASHES`: 36 ** 12 < 2 ** 63.
_LONGEST_ID = 12
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

#: Clocks may differ by this much, seconds: an item may be captured "before" it was created.
_SLACK_S = 900.0


def index_directory(state_dir: Path, stream: str) -> Path:
    """Return the directory of a stream's index."""
    return state_dir / "names" / stream


def number_of(name: bytes) -> int:
    """Return the number of a name in the index: of a fullname its id, of any other name a hash."""
    digits = name[3:]
    if name[2:3] == b"_" and len(digits) <= _LONGEST_ID and digits.isalnum():
        try:
            return int(digits, 36)
        except ValueError:
            return _hash(name)
    return _hash(name)


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") | _HASHES


def id_of(number: int) -> str | None:
    """Return the id of a number, None for a hash."""
    if number >= _HASHES:
        return None
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file: what was captured from `start` to `end` (epoch seconds; infinity: it is the newest one)."""

    path: Path
    start: float
    end: float

    def numbers(self) -> array[int]:
        """Read all entries; a file that has just been deleted is empty."""
        entries = array("Q")
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return entries
        entries.frombytes(data[: len(data) - len(data) % ENTRY_BYTES])
        return entries

    def entries(self) -> int:
        """Return the number of entries."""
        try:
            return self.path.stat().st_size // ENTRY_BYTES
        except FileNotFoundError:
            return 0

    def entry(self, place: int) -> int | None:
        """Return the entry at this place, None if there is none."""
        try:
            with self.path.open("rb") as file:
                data = os.pread(file.fileno(), ENTRY_BYTES, place * ENTRY_BYTES)
        except FileNotFoundError:
            return None
        return array("Q", data)[0] if len(data) == ENTRY_BYTES else None


class NameIndex:
    """Reads the index of a stream, also while the stream writes it."""

    def __init__(self, state_dir: Path, stream: str) -> None:
        self._directory = index_directory(state_dir, stream)

    def files(self) -> list[IndexFile]:
        """Return the files, oldest first."""
        return index_files(self._directory)

    def start(self) -> float | None:
        """Return since when every captured name is in the index, epoch seconds; None: there is no index."""
        files = self.files()
        return files[0].start if files else None

    def unknown(self, names: Collection[str], since: float) -> list[str]:
        """Return those of the names that were not captured, in their order.

        Args:
            names: fullnames.
            since: the creation of the oldest of these items, epoch seconds.
        """
        wanted = {number_of(name.encode()) for name in names}
        for file in self.files():
            if not wanted:
                break
            if file.end >= since - _SLACK_S:
                wanted.difference_update(wanted.intersection(file.numbers()))
        return [name for name in names if number_of(name.encode()) in wanted]

    def draw(self, moment: float, draw: Callable[[], float]) -> int | None:
        """Return an entry at random of the hour of capture that contains `moment`; None: it has none."""
        for file in self.files():
            if file.start <= moment < file.end and (count := file.entries()):
                return file.entry(int(draw() * count))
        return None


def index_files(directory: Path) -> list[IndexFile]:
    """Return the files of a directory, oldest first."""
    starts = sorted(_starts(directory))
    bounds = pairwise([*starts, float("inf")])
    return [IndexFile(directory / file_name(start), float(start), float(end)) for start, end in bounds]


def file_name(start: int | float) -> str:
    """Return the name of the file that begins at this moment."""
    return f"{start:.0f}{_ENDING}"


def _starts(directory: Path) -> Iterator[int]:
    try:
        names = os.listdir(directory)  # noqa: PTH208 (there may be hundreds, and only the names matter)
    except FileNotFoundError:
        return
    for name in names:
        if match := _FILE.fullmatch(name):
            yield int(match[1])
