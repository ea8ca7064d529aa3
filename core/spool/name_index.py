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
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ENTRY_BYTES = 8
_ENDING = ".names"
_FILE = re.compile(r"([0-9]{1,12})\.names")

#: Numbers from here on are hashes.
_HASHES = 1 << 63

#: Longest fullname whose id surely fits below `_HASHES`: 36 ** 12 < 2 ** 63.
_LONGEST_NAME = 15
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

#: Clocks may differ by this much, seconds: an item may be captured "before" it was created.
_SLACK_S = 900.0

#: Most items are captured within this time, seconds.
_SOON_S = 300.0

#: Fewer numbers than this are searched one by one.
_FEW = 12


def index_directory(state_dir: Path, stream: str) -> Path:
    """Return the directory of a stream's index."""
    return state_dir / "names" / stream


def number_of(name: bytes) -> int:
    """Return the number of a name in the index: of a fullname its id, of any other name a hash."""
    if len(name) <= _LONGEST_NAME and name[2:3] == b"_":
        try:
            number = int(name[3:], 36)
        except ValueError:
            return _hash(name)
        if number >= 0:
            return number
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

    def numbers(self) -> "array[int]":
        """Read all entries; a file that has just been deleted is empty."""
        entries = array("Q")
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return entries
        entries.frombytes(data[: len(data) - len(data) % ENTRY_BYTES])
        return entries

    def contained(self, numbers: Collection[int]) -> set[int]:
        """Return those of the numbers that the file contains; few are searched in its bytes, which is faster."""
        if len(numbers) > _FEW:
            return set(numbers).intersection(self.numbers())
        try:
            data = self.path.read_bytes() if numbers else b""
        except FileNotFoundError:
            return set()
        return {number for number in numbers if _is_in(data, array("Q", [number]).tobytes())}

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

    def unknown(self, names: Mapping[str, float]) -> list[str]:
        """Return those of the names that were not captured, in their order.

        Args:
            names: fullnames, each with the creation of the item, epoch seconds.
        """
        wanted = {number_of(name.encode()): created for name, created in names.items()}
        files = self.files()
        for file in files:  # nearly all were captured soon after their creation
            soon = [number for number, created in wanted.items() if file.start - _SOON_S <= created <= file.end]
            for number in file.contained(soon) if soon else ():
                del wanted[number]
        earliest = min(wanted.values(), default=0.0) - _SLACK_S
        for file in files:
            if wanted and file.end >= earliest:
                for number in file.contained(wanted.keys()):
                    del wanted[number]
        return [name for name in names if number_of(name.encode()) in wanted]

    def draws(self, moments: Sequence[float], draw: Callable[[], float]) -> list[int]:
        """Return for each moment an entry at random of the file that was written then, if it has one."""
        files = [(file, file.entries()) for file in self.files()]
        starts = [file.start for file, _ in files]
        drawn = []
        for moment in moments:
            file, count = files[max(0, bisect_right(starts, moment) - 1)] if files else (None, 0)
            entry = file.entry(int(draw() * count)) if file is not None and count else None
            if entry is not None:
                drawn.append(entry)
        return drawn


def _is_in(data: bytes, entry: bytes) -> bool:
    """Return whether the data contain this entry, at the place of one."""
    place = data.find(entry)
    while place >= 0 and place % ENTRY_BYTES:
        place = data.find(entry, place + 1)
    return place >= 0


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
