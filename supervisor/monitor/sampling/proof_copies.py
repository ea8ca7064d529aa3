"""Keeps a copy of what each spool proves, in a file of the monitor.

A spool and publisher.db may be lost together. The spool's successor then starts from this copy, and its gap starts at
the time that the copy proves (see core.spool.loss).
"""

import threading
from collections.abc import Mapping
from pathlib import Path

import structlog

from core.spool.spool_state import SpoolState, monitor_copies_path, read_monitor_copies
from core.storage.private_files import replace_json
from supervisor.monitor.sampling.stream_sample import StreamSample

#: Shortest time between two writes, seconds: the proof moves with each poll.
_WRITE_INTERVAL_S = 3.0

#: Spools remembered per stream: an older one may be put in its place before its writer checks.
_KEPT = 4


class ProofCopies:
    """The newest copy of each spool's state, taken when all its records were delivered.

    Args:
        state_dir: directory of the file; copies of a former monitor are loaded.
        log: reports a disk that cannot be written.
    """

    def __init__(self, state_dir: Path, log: structlog.stdlib.BoundLogger) -> None:
        self._path = monitor_copies_path(state_dir)
        self._log = log
        self._copies = read_monitor_copies(state_dir)
        self._waiting: dict[str, SpoolState] = {}
        self._changed = False
        self._next_write = 0.0
        self._unwritable = False
        self._mutex = threading.Lock()  # the sampling thread may outlast the loop

    def take(self, streams: Mapping[str, StreamSample], now: float) -> None:
        """Take one sample, at `now` (epoch seconds), and write what is due."""
        for stream, sample in streams.items():
            if sample.state is not None:
                self._follow(stream, sample.state, sample.delivered_seq, now)
        self.keep(now)

    def _follow(self, stream: str, state: SpoolState, delivered: int, now: float) -> None:
        """Keep a state once the records that it counts are delivered: waiting ones are lost with the spool."""
        waiting = self._waiting.get(stream)
        if state.last_seq <= delivered:
            self._waiting.pop(stream, None)
            self._remember(stream, state, now)
        elif waiting is None or waiting.spool_id != state.spool_id:
            self._waiting[stream] = state
        elif waiting.last_seq <= delivered:
            self._waiting[stream] = state
            self._remember(stream, waiting, now)

    def _remember(self, stream: str, state: SpoolState, now: float) -> None:
        copies = self._copies.setdefault(stream, [])
        known = next((copy for _, copy in copies if copy.spool_id == state.spool_id), None)
        if known is not None and known.commits >= state.commits:
            return  # the same, or an older copy of the spool
        others = [copy for copy in copies if copy[1].spool_id != state.spool_id]
        self._copies[stream] = [*others, (now, state)][-_KEPT:]
        self._changed = True

    def keep(self, now: float, *, at_once: bool = False) -> None:
        """Write the file when it is due (or `at_once`), and when it was removed."""
        with self._mutex:
            due = self._changed and (at_once or not 0.0 <= self._next_write - now <= _WRITE_INTERVAL_S)
            if not due and (not self._copies or self._path.exists()):
                return
            self._next_write = now + _WRITE_INTERVAL_S
            self._write()

    def _write(self) -> None:
        streams = {
            stream: [{"at": at, "state": state.fields()} for at, state in copies]
            for stream, copies in self._copies.items()
        }
        self._changed = False
        try:
            replace_json(self._path, {"streams": streams})
        except OSError as error:
            self._changed = True
            if not self._unwritable:
                hint = "logged once; if a spool and publisher.db are lost together, an older proof is used"
                self._log.warning("proof_not_written", path=str(self._path), error=str(error), hint=hint)
            self._unwritable = True
        else:
            self._unwritable = False
