"""Publishes dumps to the topic, one after another, through the parts of the publisher.

Backfill has a directory of its own in the state directory: positions, dead letters, transactional id. So it works
beside a running publisher, and neither waits for the other. Nothing goes to `latest`: an old dump may be older than the
state that stands there.
"""

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from core.child import ChildContext
from core.config.slices import PublisherConfig
from core.errors import TransientError
from core.masking.printable import printable
from core.process.memory_tuning import tune_gc
from core.spool.committed_positions import read_publisher_counters
from core.storage.lock_file import LockHeld, take_lock
from core.storage.private_files import make_directory
from streams.publisher.publisher_process import Publisher, build_publisher
from streams.sinks.base import RoundResult
from streams.sources.base import Opener, Source
from streams.sources.dump_files import DumpError
from streams.sources.dump_record import Wanted
from streams.sources.dump_source import DumpSource, open_dump

#: The name of its process in logs, and of its directory.
PROCESS = "backfill"

_PAUSE_S = 0.02
_LOCK_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 5.0
#: Seconds between two reports of progress.
_PROGRESS_S = 0.2


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """What is published.

    Attributes:
        wanted: the items.
        stream: `comments` or `submissions`; None: each dump tells.
        memory: most bytes for the window of a dump's compression.
        full: whether records have `reddit`.
    """

    wanted: Wanted = field(default_factory=Wanted)
    stream: str | None = None
    memory: int = 3 * 1024**3
    full: bool = True


@dataclass(slots=True)
class BackfillResult:
    """What this run did.

    Attributes:
        published: records that arrived in the topic.
        skipped: lines that are not wanted, of another kind, or empty.
        other_kind: of these, items of another kind than the rest of their dump.
        bad: lines that are no items.
        dead: records that Kafka refused permanently.
        bad_files: where bad lines are kept.
        failures: why dumps could not be read, or not to their ends.
        stopped: whether it ended early, as asked.
    """

    published: int = 0
    skipped: int = 0
    other_kind: int = 0
    bad: int = 0
    dead: int = 0
    bad_files: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    path: Path
    number: int  #: of the dump, from 1
    count: int  #: of dumps
    consumed: int  #: bytes of the file
    size: int | None  #: None for a pipe
    lines: int
    records: int
    seconds: float  #: since the dump was opened
    blocked: bool  #: Kafka does not accept records now


class Backfill:
    """One run over some dumps.

    Args:
        config: the publisher's slice of the installation.
        options: what is published.
        log: the logger.
        stop: ends it early.
        progress: called a few times a second.
        build: builds the publisher.
    """

    def __init__(
        self,
        config: PublisherConfig,
        options: BackfillOptions,
        *,
        log: structlog.stdlib.BoundLogger,
        stop: threading.Event | None = None,
        progress: Callable[[Progress], None] = lambda _progress: None,
        build: Callable[..., Publisher] = build_publisher,
    ) -> None:
        self.directory = config.state_dir / PROCESS
        topics = replace(config.topics, latest="")
        self._config = replace(config, state_dir=self.directory, topics=topics, cluster=None)
        self._options = options
        self._log = log
        self._stop = stop or threading.Event()
        self._progress = progress
        self._build = build
        self._sources: dict[str, DumpSource] = {}
        self._now = time.time()
        self.result = BackfillResult()

    def run(self, paths: Sequence[Path]) -> BackfillResult:
        """Publish the dumps in their order; return what was done.

        Raises:
            TransientError: another backfill of this installation runs, or another publisher took over.
            OSError, sqlite3.Error: the state directory cannot be used.
        """
        make_directory(self.directory)
        tune_gc()
        with _locked(self.directory):
            before = read_publisher_counters(self.directory)
            context = ChildContext(PROCESS, self._log)
            context.stop = self._stop
            publisher = self._build(
                context, self._config, clock=time.monotonic, random=random.random, openers=self._openers
            )
            try:
                for number, path in enumerate(paths, 1):
                    if not self._stop.is_set():
                        self._publish(publisher, path, number, len(paths))
            finally:
                publisher.close(_CLOSE_TIMEOUT_S)
                for source in self._sources.values():
                    source.close()
            after = read_publisher_counters(self.directory)
        self.result.published = after.get("published", 0) - before.get("published", 0)
        self.result.dead = after.get("dead_letters", 0) - before.get("dead_letters", 0)
        return self.result

    def _openers(self, _state_dir: Path) -> Mapping[str, Opener]:
        return {name: _returns(source) for name, source in self._sources.items()}

    def _publish(self, publisher: Publisher, path: Path, number: int, count: int) -> None:
        """Publish one dump, or what of it can be read."""
        options = self._options
        try:
            source = open_dump(
                path,
                memory=options.memory,
                wanted=options.wanted,
                full=options.full,
                now=self._now,
                bad_directory=self.directory / "bad-lines",
                stream=options.stream,
            )
        except (DumpError, OSError) as error:
            self._fail(path, error)
            return
        if source.source_id in self._sources:
            source.close()
            self._fail(path, DumpError(f"{path}: the same content was given before, in this call"))
            return
        self._sources[source.source_id] = source
        self._log.info("dump_opened", path=str(path), stream=source.stream, source_id=source.source_id)
        self._deliver(publisher, source, Progress(path, number, count, 0, source.dump.size, 0, 0, 0.0, blocked=False))
        self._add(source, path)

    def _deliver(self, publisher: Publisher, source: DumpSource, progress: Progress) -> None:
        began = time.monotonic()
        due = began
        while not self._stop.is_set():
            result = publisher.step()
            if source.finished and publisher.backlog() == 0:
                return
            now = time.monotonic()
            if now >= due:
                due = now + _PROGRESS_S
                self._progress(_advanced(progress, source, now - began, blocked=result is RoundResult.BLOCKED))
            if result is not RoundResult.BUSY and (source.ended or not source.begun or result is RoundResult.BLOCKED):
                self._stop.wait(_PAUSE_S)
        self.result.stopped = True

    def _add(self, source: DumpSource, path: Path) -> None:
        """Add the counts of a dump, and release it."""
        result = self.result
        if source.failure is not None:
            self._fail(path, source.failure)
        if source.bad_lines:
            result.bad_files.append(source.bad.path)
            self._log.warning("dump_bad_lines", path=str(path), count=source.bad_lines, kept_in=str(source.bad.path))
        result.skipped += source.skipped + source.blank
        result.other_kind += source.other_kind
        result.bad += source.bad_lines
        self._log.info(
            "dump_published" if source.finished and source.failure is None else "dump_not_finished",
            path=str(path),
            lines=source.lines,
            records=source.records,
            skipped=source.skipped,
            bad=source.bad_lines,
        )
        source.release()

    def _fail(self, path: Path, error: DumpError | OSError) -> None:
        text = printable(str(error))
        self.result.failures.append(text)
        self._log.error("dump_unreadable", path=str(path), error=text, hint="what was published before stays")


def _advanced(progress: Progress, source: DumpSource, seconds: float, *, blocked: bool) -> Progress:
    return replace(
        progress,
        consumed=source.dump.consumed,
        lines=source.lines,
        records=source.records,
        seconds=seconds,
        blocked=blocked,
    )


def _returns(source: DumpSource) -> Opener:
    def opener() -> Source | None:
        return source

    return opener


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    try:
        descriptor = take_lock(directory / "lock", _LOCK_TIMEOUT_S)
    except LockHeld as error:
        raise TransientError(f"another backfill of this installation runs: {error}") from error
    try:
        yield
    finally:
        os.close(descriptor)
