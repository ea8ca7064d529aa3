"""A spool with numbered records, for tests that take its file away; `NOW` is the time of its clock."""

import json
from contextlib import closing
from pathlib import Path

from core.spool import Batch, Gap, Record, Seen, SpoolReader, SpoolWriter, spool_path
from tests.core.spool.story import STREAM

NOW = 1_700_000_000.0
PROVEN = NOW - 30.0


def record(number: int, size: int = 0) -> Record:
    value = json.dumps({"number": number, "text": "x" * size}).encode()
    return Record(f"t1_{number}".encode(), value, "reddit.comment.v1")


def batch(first: int, count: int = 5, proven: float = PROVEN) -> Batch:
    numbers = range(first, first + count)
    return Batch(
        records=[record(number) for number in numbers],
        seen=[Seen(f"t1_{number}", "bitcoin", NOW, 1) for number in numbers],
        cursor={
            "proven_at": {"bitcoin": proven - 5.0, "ethereum": proven - 5.0},
            "proven_until": {"bitcoin": proven, "ethereum": proven},
            "begun": NOW - 900.0,
            "epoch": 3,
        },
        counters={"captured": count},
    )


def make(state_dir: Path) -> SpoolWriter:
    return SpoolWriter(state_dir, STREAM, subreddits=("Bitcoin", "Ethereum"), clock=lambda: NOW)


def keys(state_dir: Path) -> list[int]:
    reader = SpoolReader.open(state_dir, STREAM)
    assert reader is not None, "there is a spool"
    with closing(reader):
        return [int(row.key.decode().removeprefix("t1_")) for row in reader.read(0, 1000)]


def spool_gaps(state_dir: Path) -> list[Gap]:
    reader = SpoolReader.open(state_dir, STREAM)
    assert reader is not None
    with closing(reader):
        return [gap for gap in reader.gaps() if gap.concerns_spool]


def files(state_dir: Path) -> dict[str, Path]:
    path = spool_path(state_dir, STREAM)
    return {name: path.with_name(path.name + name) for name in ("", "-wal", "-shm")}


def checkpoint(writer: SpoolWriter) -> None:
    """Let the writer do what it does itself after some thousand pages."""
    connection = getattr(writer, "_connection")  # noqa: B009
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    getattr(writer, "_guard").wrote()  # noqa: B009
