"""Dumps made for tests."""

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from streams.sources.dump_record import Wanted
from streams.sources.dump_source import DumpSource, open_dump

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1024**2
NOW = 1_700_000_000.0
#: What makes a file of each format from its text.
PACK: dict[str, Callable[[bytes], bytes]] = {
    "zst": zstd.compress,
    "gz": gzip.compress,
    "bz2": partial(bz2.compress, compresslevel=1),
    "xz": partial(lzma.compress, preset=0),
    "ndjson": bytes,
}


def packed_with_window(text: bytes, log: int) -> bytes:
    """Compress with a window of 2 ** log bytes, as a stream: then the header names the window."""
    parameters = zstd.CompressionParameter
    compressor = zstd.ZstdCompressor(options={parameters.window_log: log, parameters.enable_long_distance_matching: 1})
    return compressor.compress(text) + compressor.flush()


def comment(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "name": f"t1_c{number}",
        "subreddit": "Bitcoin",
        "author": "ann",
        "body": f"text {number}",
        "score": number,
        "created_utc": 1_420_070_400 + number,
        "permalink": f"/r/Bitcoin/comments/p/_/c{number}/",
        "parent_id": "t3_p",
        "link_id": "t3_p",
        **fields,
    }


def text_of(items: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item, separators=(",", ":")).encode() + b"\n" for item in items)


def opened(
    path: Path, *, memory: int = 64 * MIB, wanted: Wanted | None = None, full: bool = True, stream: str | None = None
) -> DumpSource:
    return open_dump(
        path,
        memory=memory,
        wanted=wanted or Wanted(),
        full=full,
        now=NOW,
        bad_directory=path.parent / "bad-lines",
        stream=stream,
    )


def keys(source: DumpSource, after: int = 0, portion: int = 7) -> list[str]:
    """Read a source to its end, as a sender does."""
    found = []
    while rows := source.read_plain(after, portion) or (None if source.finished else [(after, b"", b"", "")]):
        found += [row[1].decode() for row in rows if row[1]]
        after = rows[-1][0]
    return found
