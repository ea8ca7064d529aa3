"""A file as a source: its lines are numbered rows with a durable position, and nothing of it is written twice."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import pytest
import structlog

from core.spool import Row
from core.spool.spool_state import SpoolState
from core.spool.stream_state import StreamState
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import PublisherStore
from streams.sinks.base import RoundResult, drive
from streams.sources.base import Opener, PlainRow, Source
from tests.streams.examples.json_lines import JsonLinesSink

LOG = structlog.stdlib.get_logger("test")


class LinesSource(Source):
    """The records of a file, one JSON object a line; the number of a row is that of its line."""

    renumbers = False

    def __init__(self, path: Path, stream: str) -> None:
        self.stream = stream
        self._path = path
        self._id = hashlib.sha256(path.name.encode()).hexdigest()[:32]
        with path.open("rb") as file:
            self._count = sum(1 for _ in file)

    @property
    def source_id(self) -> str:
        return self._id

    def moved(self) -> bool:
        return False

    def last_seq(self) -> int:
        return self._count

    def read(self, after: int, limit: int) -> list[Row]:
        return [Row._make(row) for row in self.read_plain(after, limit)]

    def read_plain(self, after: int, limit: int) -> list[PlainRow]:
        with self._path.open("rb") as file:
            lines = list(islice(file, after, after + limit))
        return [
            (seq, json.loads(line)["name"].encode(), line.rstrip(), "reddit.comment.v1")
            for seq, line in enumerate(lines, after + 1)
        ]

    def waiting_after(self, seq: int) -> int:
        return self._count - seq

    def origin(self, _seq: int) -> tuple[str, int] | None:
        return None

    def stream_state(self) -> StreamState | None:
        return None

    def state(self) -> SpoolState | None:
        return None

    def close(self) -> None:
        """Nothing is held open."""


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "RC_2015-01.ndjson"
    path.write_text("".join(json.dumps({"name": f"t1_{number}"}) + "\n" for number in range(1200)))
    return path


class Publishing:
    """One run of a publisher that ends like a killed one."""

    def __init__(self, tmp_path: Path, dump: Path) -> None:
        def openers(_state_dir: Path) -> Mapping[str, Opener]:
            return {dump.name: lambda: LinesSource(dump, "comments")}

        out, state_dir = tmp_path / "out", tmp_path / "state"
        out.mkdir(exist_ok=True)
        self.store = PublisherStore.open(state_dir, LOG, sinks=("files",))
        self.writer = PositionWriter(lambda _: self.store, LOG, self._clock)
        self.sink = JsonLinesSink(
            out, state_dir=state_dir, writer=self.writer, log=LOG, clock=self._clock, openers=openers
        )
        self._now = 0.0

    def _clock(self) -> float:
        self._now += 1.0
        return self._now


@pytest.fixture
def first(tmp_path: Path, dump: Path) -> Iterator[Publishing]:
    run = Publishing(tmp_path, dump)
    yield run
    run.store.close()


def test_it_resumes_behind_its_position(tmp_path: Path, dump: Path, first: Publishing) -> None:
    assert drive(first.sink) is RoundResult.BUSY
    assert len(first.sink.lines("comments")) == 500, "a portion"
    second = Publishing(tmp_path, dump)  # the first one was killed
    while drive(second.sink) is not RoundResult.IDLE:
        pass
    assert second.sink.lines("comments") == dump.read_bytes().splitlines()
    assert second.sink.backlog() == 0
    second.sink.close(0.0)
    second.writer.close()
