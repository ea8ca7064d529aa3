"""Spools filled by hand: what a stream would have captured."""

from pathlib import Path
from types import TracebackType

import orjson

from core.spool import Batch, Record, SpoolWriter

_KINDS = {"comments": ("t1_", "reddit.comment.v1"), "submissions": ("t3_", "reddit.submission.v1")}


class FilledSpool:
    """A stream's spool with its real writer; `keys` holds all that was ever appended, in order."""

    def __init__(self, state_dir: Path, stream: str) -> None:
        self.stream = stream
        self.keys: list[str] = []
        self._prefix, self.schema = _KINDS[stream]
        self.writer = SpoolWriter(state_dir, stream)
        self.writer.commit(Batch(cursor={"origin": "settled"}))  # else the topic is asked first

    def capture(self, count: int = 1, *, size: int = 100, reddit: int = 0) -> list[str]:
        """Append `count` records of about `size` bytes, and `reddit` more, in one transaction; return their keys."""
        first = len(self.keys)
        keys = [f"{self._prefix}{number:x}" for number in range(first, first + count)]
        self.writer.commit(
            Batch(records=[Record(key.encode(), value_of(key, size, reddit), self.schema) for key in keys])
        )
        self.keys += keys
        return keys

    def reopen(self, state_dir: Path) -> None:
        """Open the file again, or whatever lies in its place by now."""
        self.writer = SpoolWriter(state_dir, self.stream)

    def close(self) -> None:
        self.writer.close()

    def __enter__(self) -> "FilledSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ChangesSpool:
    """The spool of later changes: events, newest states of items, tombstones."""

    def __init__(self, state_dir: Path) -> None:
        self.writer = SpoolWriter(state_dir, "changes")

    def event(self, *keys: str) -> None:
        """Append an event for each key."""
        self._append([Record(key.encode(), value_of(key, 10), "reddit.change.v1") for key in keys])

    def state(self, *keys: str, size: int = 20) -> None:
        """Append the newest state of each item."""
        self._append([Record(key.encode(), value_of(key, size), "reddit.comment.v1") for key in keys])

    def tombstone(self, *keys: str) -> None:
        """Append a tombstone for each item."""
        self._append([Record(key.encode(), b"", "reddit.comment.v1") for key in keys])

    def _append(self, records: list[Record]) -> None:
        self.writer.commit(Batch(records=records))

    def close(self) -> None:
        self.writer.close()


def value_of(key: str, size: int = 100, reddit: int = 0) -> bytes:
    """Make the value of such a record."""
    own = {"fullname": key, "text": "x" * size}
    return orjson.dumps(own | {"reddit": {"selftext": "y" * reddit}} if reddit else own)
