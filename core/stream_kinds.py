"""The kinds of streams: one table, the source of their names for all other code.

A new stream is one entry here (or one call of `register`), its schema in `core/schemas`, and, where it reads a
listing, the function that makes its records. Spools, statistics, metrics and commands follow.

Every kind has a spool, which the publisher delivers. Only a kind that reads a listing has a proven time, gaps and
completeness: `stream_names` returns these kinds, `spool_names` all of them.
The configuration needs a key of the same name in `[streams]` (core/config/sections.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import PermanentError

_SPOOL, _ENDING = "spool-", ".db"


@dataclass(frozen=True, slots=True)
class StreamKind:
    """One kind of stream.

    Args:
        name: the name of the stream, of its process and of its spool (`submissions`).
        schema: the name and version of its records' schema (`reddit.submission.v1`).
        listing: the last part of the listing's path (`/r/NAMES/new`); empty for a stream that reads no listing.
        prefix: the start of its items' fullnames (`t3`); empty for a stream with items of several kinds.
        record: `module:function` that makes the content of a record from an item (see `streams.record`).
        process: `module:function` that runs the process of the stream.
    """

    name: str
    schema: str
    listing: str = ""
    prefix: str = ""
    record: str = ""
    process: str = "streams.capture.capture_process:run"

    @property
    def reads_listing(self) -> bool:
        """Whether it captures what a listing shows: then time is proven, or in a gap."""
        return bool(self.listing)

    @property
    def schema_family(self) -> str:
        """The name of the schema without its version."""
        return self.schema.rpartition(".")[0] + "."


_KINDS = {
    kind.name: kind
    for kind in (
        StreamKind("submissions", "reddit.submission.v1", "new", "t3", "streams.record:submission"),
        StreamKind("comments", "reddit.comment.v1", "comments", "t1", "streams.record:comment"),
        StreamKind("changes", "reddit.change.v1", process="streams.changes.changes_process:run"),
    )
}


def stream_kinds() -> tuple[StreamKind, ...]:
    """Return all kinds, in display order."""
    return tuple(_KINDS.values())


def stream_names() -> tuple[str, ...]:
    """Return the names of the kinds that read a listing, in the same order."""
    return tuple(name for name, kind in _KINDS.items() if kind.reads_listing)


def spool_names() -> tuple[str, ...]:
    """Return the names of all kinds, in the same order: each may have a spool."""
    return tuple(_KINDS)


def reads_listing(stream: str) -> bool:
    """Return whether this is the name of a kind that reads a listing."""
    kind = _KINDS.get(stream)
    return kind is not None and kind.reads_listing


def kind_of(stream: str) -> StreamKind:
    """Return the kind of a stream.

    Raises:
        PermanentError: no kind has this name.
    """
    try:
        return _KINDS[stream]
    except KeyError:
        known = ", ".join(_KINDS)
        raise PermanentError(f"unknown kind of stream {stream!r}: core/stream_kinds.py defines {known}") from None


def listing_of(stream: str) -> StreamKind:
    """Return the kind of a stream that reads a listing.

    Raises:
        PermanentError: no kind has this name, or it does not read a listing.
    """
    kind = kind_of(stream)
    if not (kind.listing and kind.prefix and kind.record):
        raise PermanentError(f"the stream {stream} reads no listing: its kind has no `listing`, `prefix` or `record`")
    return kind


@contextmanager
def register(kind: StreamKind) -> Iterator[StreamKind]:
    """Add a kind to the table of this process until the block ends.

    Raises:
        ValueError: the name is taken.
    """
    if kind.name in _KINDS:
        raise ValueError(f"the kind of stream {kind.name!r} is already registered")
    _KINDS[kind.name] = kind
    try:
        yield kind
    finally:
        del _KINDS[kind.name]


def unknown_spools(state_dir: Path) -> list[str]:
    """Return the names of the streams that have a spool in the directory and are of no known kind."""
    found = (path.name[len(_SPOOL) : -len(_ENDING)] for path in state_dir.glob(f"{_SPOOL}*{_ENDING}"))
    return sorted(name for name in found if name not in _KINDS)
