"""Reads a child's standard output and error and logs what the child prints outside its logger.

A thread per incarnation reads a pipe from the start of the process to its end. The child's log lines go to our
standard error unchanged. Everything else (tracebacks of a child that is not set up yet, a crash of the interpreter,
prints of a library) becomes a record, also in the child's own log file. The thread always reads: a child never waits
for the reader of our standard error.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator

from core.logging import log_setup
from core.logging.rotating_file import RotatingLogFile
from supervisor.processes.output_parser import Kind, OutputParser, OutputPart

_BLOCK = 65536
_QUIET_S = 0.1  # seconds without a line: a traceback is complete
_FLOOD_PAUSE_S = 0.02  # between two blocks of a flood: the child waits for us, our loop does not wait for the child
_READ_ON_S = 1.0  # seconds to read on after a child's death, while other processes hold its pipe
_DROPPED_LOG_INTERVAL_S = 5.0  # seconds between two lines about dropped output
_FINISH_TIMEOUT_S = 0.25  # seconds that `finish` waits

_BURST = 262_144  # bytes
_PER_SECOND = 8_192.0
_AGAIN_FROM = 65_536.0  # bytes: once the bucket is empty, output resumes only from this level, not line by line


class OutputLimit:
    """A bucket of bytes that refills at a constant rate."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(_BURST)
        self._at = clock()
        self.used_up = False
        self.dropped_lines = 0
        self.dropped_bytes = 0

    def take(self, size: int, lines: int) -> bool:
        """Return whether this many bytes may pass; count them as dropped otherwise."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND)
        self._at = now
        if self.used_up and self._left >= _AGAIN_FROM:
            self.used_up = False
        if not self.used_up and size <= self._left:
            self._left -= size
            return True
        self.used_up = True
        self.dropped_lines += lines
        self.dropped_bytes += size
        return False

    def dropped(self) -> dict[str, int]:
        """Return the dropped counts since the last call and reset them; empty when there are none."""
        if not self.dropped_lines:
            return {}
        counts = {"lines": self.dropped_lines, "bytes": self.dropped_bytes}
        self.dropped_lines = self.dropped_bytes = 0
        return counts


class OutputReader:
    """Reads `descriptor` until its end, or until the process behind `sentinel` has ended and its output is read."""

    def __init__(self, name: str, pid: int, descriptor: int, sentinel: int, file: RotatingLogFile) -> None:
        self._name = name
        self._pid = pid
        self._descriptor = descriptor
        self._sentinel = os.dup(sentinel)  # its owner closes the original at any time
        self._file = file
        self._parser = OutputParser()
        self._output_limit = OutputLimit(time.monotonic)
        self._read_until: float | None = None
        self._dropped_logged_at = 0.0
        os.set_blocking(descriptor, False)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._poll.register(self._sentinel, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name=f"output-{name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread is available
            os.close(self._sentinel)
            raise

    def finish(self) -> None:
        """Wait a moment for the last output of an ended child, so that its log has it before the exit is reported."""
        self._thread.join(_FINISH_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while self._round():
                pass
            self._process(self._parser.end())
            self._log_dropped(last=True)
        finally:
            self._file.close()
            os.close(self._descriptor)
            os.close(self._sentinel)

    def _round(self) -> bool:
        """Wait for input and process it; return whether more may follow."""
        held = self._parser.pending or self._output_limit.dropped_lines
        found = dict(self._poll.poll(_QUIET_S * 1000 if held else None))
        if self._sentinel in found and self._read_until is None:
            self._read_until = time.monotonic() + _READ_ON_S
            self._poll.unregister(self._sentinel)
        if self._descriptor in found:
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._descriptor, _BLOCK)
                if not data:
                    return False
                self._parse(data)
        elif not found:
            self._process(self._parser.flush())
            self._log_dropped()
        return self._continues(read=self._descriptor in found)

    def _continues(self, *, read: bool) -> bool:
        """Return whether to read on: after the child's death only what is in the pipe, and for a limited time."""
        if self._read_until is None:
            return True
        return (read or bool(self._poll.poll(0))) and time.monotonic() < self._read_until

    def _parse(self, data: bytes) -> None:
        self._process(self._parser.feed(data))
        if self._output_limit.used_up:
            time.sleep(_FLOOD_PAUSE_S)

    def _process(self, parts: Iterator[OutputPart]) -> None:
        try:
            for part in parts:
                self._log_part(part)
        except Exception:  # noqa: BLE001  whatever it is: an unread pipe would block the child
            self._parser = OutputParser()
            log_setup.get_logger("output").exception("output_not_understood", child=self._name)

    def _log_part(self, part: OutputPart) -> None:
        if part.kind is Kind.OWN:
            log_setup.show(part.text)
        elif self._output_limit.take(len(part.text), part.lines):
            self._log_dropped()
            fields = {"exception": part.text} if part.lines > 1 else {}
            self._log(part.level, "output", line=part.line, **fields)

    def _log_dropped(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if (last or now - self._dropped_logged_at >= _DROPPED_LOG_INTERVAL_S) and (
            dropped := self._output_limit.dropped()
        ):
            self._dropped_logged_at = now
            hint = "it prints too much; the lines before this one show its output"
            self._log("warning", "output_dropped", **dropped, hint=hint)

    def _log(self, level: str, event: str, **fields: object) -> None:
        line = log_setup.compose(self._name, self._pid, level, event, foreign=True, **fields)
        self._file.append(line)
        log_setup.show(line)
