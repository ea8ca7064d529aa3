"""Dumps: lines to records, and the search for the lines of a subreddit, on one core, beside decompression alone."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figure import Figure, at_least
from streams.sources.dump_files import DumpFile
from streams.sources.dump_record import Wanted
from streams.sources.dump_source import open_dump

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LINES = 60_000
_ROUNDS = 3
_MEMORY = 256 * 1024**2
#: One line in this number is of the subreddit that is searched.
_RARE = 2_000


def measure() -> list[Figure]:
    text = _text()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "RC_bench.zst"
        path.write_bytes(zstd.compress(text, 3))
        bare = _cpu(lambda: _decompress(path))
        script = _cpu(lambda: _script(path))
        every = _cpu(lambda: _read(path, Wanted()))
        rare = _cpu(lambda: _read(path, Wanted(frozenset({"rarest"}))))
    lines = "lines per CPU second"
    return [
        at_least("every line to a record, with `reddit`", _LINES / every, 70_000, lines),
        Figure("the usual script: json.loads, a dict, json.dumps", _LINES / script, lines),
        Figure("decompression alone", _LINES / bare, lines),
        at_least("one subreddit of many, with decompression", len(text) / 1e6 / rare, 400, "MB per CPU second"),
        Figure("decompression alone", len(text) / 1e6 / bare, "MB per CPU second"),
    ]


def _text() -> bytes:
    rows = []
    for number in range(_LINES):
        item = {
            "id": f"c{number:x}",
            "name": f"t1_c{number:x}",
            "subreddit": "rarest" if number % _RARE == 0 else f"sub{number * 7919 % 997}",
            "author": f"user{number * 31 % 5000}",
            "body": f"A comment about {number * 104729 % 99991}, with some words to read. " * (1 + number % 5),
            "score": number % 50,
            "created_utc": 1_672_531_200 + number // 50,
            "permalink": f"/r/x/comments/p/_/c{number:x}/",
            "parent_id": f"t3_{number // 9:x}",
            "link_id": f"t3_{number // 9:x}",
            "retrieved_on": 1_675_000_000 + number // 50,
            **{f"field_{place}": None for place in range(25)},
            **{f"flag_{place}": bool(place % 3) for place in range(15)},
        }
        rows.append(json.dumps(item, separators=(",", ":")).encode())
    return b"\n".join(rows) + b"\n"


def _cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the best round."""
    took = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def _decompress(path: Path) -> None:
    dump = DumpFile(path, _MEMORY)
    for _ in dump.chunks():
        pass
    dump.close()


def _script(path: Path) -> None:
    with zstd.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            item = json.loads(line)
            json.dumps({name: item.get(name) for name in ("id", "author", "subreddit", "body", "score", "created_utc")})


def _read(path: Path, wanted: Wanted) -> None:
    source = open_dump(path, memory=_MEMORY, wanted=wanted, full=True, now=1.7e9, bad_directory=path.parent)
    position = 0
    while not source.finished:
        rows = source.read_plain(position, 500)
        position = rows[-1][0] if rows else position
    source.close()
