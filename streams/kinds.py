"""The record functions of each stream kind: the capture's addition to the table in `core.stream_kinds`."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from core.errors import PermanentError
from core.stream_kinds import StreamKind, kind_of, register, stream_kinds, stream_names

__all__ = [
    "RecordMaker",
    "StreamKind",
    "kind_of",
    "listing_of",
    "record_maker",
    "register",
    "stream_kinds",
    "stream_names",
]

#: Takes an item and the ISO 8601 time of its capture; returns the content of its record.
RecordMaker = Callable[[Any, str], dict[str, Any]]


def listing_of(stream: str) -> StreamKind:
    """Return the kind of a stream that reads a listing.

    Raises:
        PermanentError: no kind has this name, or it does not read a listing.
    """
    kind = kind_of(stream)
    if not (kind.listing and kind.prefix and kind.record):
        raise PermanentError(f"the stream {stream} reads no listing: its kind has no `listing`, `prefix` or `record`")
    return kind


def record_maker(stream: str) -> RecordMaker:
    """Return the function that builds the records of a stream.

    Raises:
        PermanentError: as `listing_of` does.
    """
    return _load(listing_of(stream).record)


@cache
def _load(reference: str) -> RecordMaker:
    module, _, name = reference.partition(":")
    function: RecordMaker = getattr(import_module(module), name)
    return function
