"""A second sink: every record as a line of one file for each stream, at least once."""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from streams.positions.position_writer import PositionWriter
from streams.sinks.base import RoundResult, Sink
from streams.sinks.spool_senders import SpoolSender, SpoolSenders
from streams.sources.base import Opener, spools


class JsonLinesSink(Sink):
    """Appends to `directory/STREAM.jsonl`. While the directory is not there, records wait in their spools."""

    def __init__(
        self,
        directory: Path,
        *,
        state_dir: Path,
        writer: PositionWriter,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        name: str = "files",
        openers: Callable[[Path], Mapping[str, Opener]] = spools,
    ) -> None:
        self.name = name
        self._directory = directory
        self._writer = writer
        self._senders = SpoolSenders(
            name, SpoolSender, state_dir=state_dir, writer=writer, log=log, clock=clock, openers=openers
        )
        self._unsynced: set[str] = set()

    def open(self) -> bool:
        self._senders.refresh()
        return self._directory.is_dir()

    def send(self) -> int:
        count = 0
        for stream, rows in self._senders.take():
            if rows:
                with self._path(stream).open("ab") as file:
                    file.writelines(row.value + b"\n" for row in rows)
                self._unsynced.add(stream)
                count += len(rows)
        return count

    def flush(self) -> bool:
        try:
            for stream in sorted(self._unsynced):
                with self._path(stream).open("ab") as file:
                    os.fsync(file.fileno())
        except OSError:
            self._senders.rewind()  # nothing is acknowledged: all of it is sent again
            return False
        self._unsynced.clear()
        self._senders.acknowledge()
        return True

    def commit(self) -> RoundResult:
        saved = self._writer.save()
        if not self._directory.is_dir():
            return RoundResult.BLOCKED
        if self._senders.pending():
            return RoundResult.BUSY
        return RoundResult.IDLE if saved else RoundResult.BLOCKED

    def close(self, _seconds: float) -> None:
        with contextlib.suppress(OSError):
            self.flush()
        self._senders.close()

    def backlog(self) -> int:
        return self._senders.backlog()

    @property
    def held(self) -> bool:
        return False

    def lines(self, stream: str) -> list[bytes]:
        """Return what was written of a stream."""
        path = self._path(stream)
        return path.read_bytes().splitlines() if path.exists() else []

    def _path(self, stream: str) -> Path:
        return self._directory / f"{stream}.jsonl"
