"""The process of one stream: opens its resources and captures until a stop is requested."""

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from core.child import ChildContext
from core.config.slices import StreamConfig
from core.logging.shown_names import shown_subreddits
from core.process.memory_tuning import tune_gc
from core.reddit.limiter import Limiter
from core.spool import SpoolError, SpoolWriter, watched
from core.spool.name_index_writer import NameIndexWriter
from streams.audit.background import start_background_audit
from streams.capture.audit_finds import AuditFinds
from streams.capture.capture_loop import Capture, make_pacing
from streams.capture.cluster_left import leave_cluster
from streams.capture.coverage import Coverage
from streams.capture.own_shards import OwnShards
from streams.capture.pacing import Pacing
from streams.capture.page_fetcher import PageFetcher
from streams.capture.shard_process import capture_shards
from streams.capture.shared_findings import SharedFindings
from streams.capture.total_loss import TotalLossWatch
from streams.opening import open_patiently
from streams.reddit.praw_client import PrawClient

_Result = TypeVar("_Result")

#: Seconds that a start = "now" waits for Kafka's answer whether it is the first one, and between two checks.
_ORIGIN_WITHIN_S = 10.0
_ORIGIN_PAUSE_S = 0.2


def run(context: ChildContext, config: StreamConfig) -> None:
    """Capture one stream into its spool.

    Raises CredentialsRejected (permanent), and SpoolBroken if a new start must move the file aside.
    """
    tune_gc()
    opened_at = time.time()
    writer = _open_spool(context, config)
    if writer is None:
        return
    with writer, watched(writer, broken=context.wake):
        limiter = Limiter(config.state_dir, config.stream, config.requests_per_minute)
        praw_client = PrawClient(config.access, context, limiter)
        fetcher = PageFetcher(praw_client, context, config.stream, time.monotonic)
        index = NameIndexWriter(config.state_dir, config.stream)
        index.begin(writer.spool_id, writer.last_seq(), writer.keys_after)
        pacing = make_pacing(config, limiter)
        capture = _Start(context, config, writer, limiter, praw_client, fetcher, pacing, index)
        start_background_audit(context, config)
        if config.cluster is None:
            if _left_cluster(context, config, writer):
                _capture_all(capture)
        else:
            with closing(OwnShards(writer, config, config.cluster, context, opened_at=opened_at)) as shards:
                capture_shards(context, writer, shards, lambda names: capture.of_shards(names, shards))
        index.close()
        limiter.close()


@dataclass(slots=True)
class _Start:
    """The objects that one capture after the other uses."""

    context: ChildContext
    config: StreamConfig
    writer: SpoolWriter
    limiter: Limiter
    praw_client: PrawClient
    fetcher: PageFetcher
    pacing: Pacing
    index: NameIndexWriter
    opened: bool = False

    def coverage(self, subreddits: tuple[str, ...]) -> Coverage:
        """Read the spool's state of proof of these subreddits."""
        server_clock, config = self.praw_client.server_clock, self.config
        coverage = Coverage(
            self.writer,
            config.stream,
            subreddits,
            offset=lambda: server_clock.offset,
            bounds=lambda: server_clock.bounds,
            shared=config.subreddits if config.cluster is not None else (),
            full=config.payload == "full",
            captured=self.index.add,
        )
        self.context.log.info(
            "shards_changed" if self.opened else "stream_opened",
            **shown_subreddits(subreddits),
            captured_before=self.writer.counters().get("captured", 0),
            gaps=sum(not gap.repaired for gap in coverage.gaps.values()),
            resuming=bool(coverage.proven_at),
        )
        self.opened = True
        return coverage

    def capture(
        self,
        config: StreamConfig,
        coverage: Coverage,
        *,
        origin: TotalLossWatch | None = None,
        shards: OwnShards | None = None,
        was_away: bool = True,
    ) -> Capture:
        """Build a capture."""
        return Capture(
            config,
            self.context,
            coverage,
            self.fetcher,
            self.limiter,
            origin=origin,
            shards=shards,
            findings=SharedFindings(config.state_dir, config.stream, time.time),
            pacing=self.pacing,
            was_away=was_away,
            audit=AuditFinds(coverage, self.context, config.state_dir, config.subreddits, self.index),
        )

    def of_shards(self, subreddits: tuple[str, ...], shards: OwnShards) -> Capture:
        """Build the capture of the subreddits of this machine's shards."""
        was_away = shards.gained or not self.opened
        config, coverage = replace(self.config, subreddits=subreddits), self.coverage(subreddits)
        return self.capture(config, coverage, shards=shards, was_away=was_away)


def _capture_all(start: _Start) -> None:
    """Capture all configured subreddits until a stop is requested."""
    context, config = start.context, start.config
    coverage = start.coverage(config.subreddits)
    origin = TotalLossWatch(
        coverage,
        config.state_dir,
        start.writer.spool_id,
        subreddits=config.subreddits,
        start=config.start,
        log=context.log,
    )
    if config.start == "now":
        _await_origin(context, origin)
    start.capture(config, coverage, origin=origin).run()


def _await_origin(context: ChildContext, origin: TotalLossWatch) -> None:
    """Wait a moment for the answer whether this is a first start; only that may skip the listing's content."""
    context.ready()
    deadline = time.monotonic() + _ORIGIN_WITHIN_S
    while not origin.settled and time.monotonic() < deadline:
        with suppress(SpoolError):
            origin.check()
        if origin.settled or context.wait(_ORIGIN_PAUSE_S):
            return


def _open_spool(context: ChildContext, config: StreamConfig) -> SpoolWriter | None:
    """Open the spool, waiting while the disk is full or a lock is held; None if a stop is requested before that."""
    return _retried(context, lambda: _writer(config))


def _writer(config: StreamConfig) -> SpoolWriter:
    subreddits, followed = config.subreddits, config.followed
    return SpoolWriter(config.state_dir, config.stream, subreddits=subreddits, followed=followed)


def _left_cluster(context: ChildContext, config: StreamConfig, writer: SpoolWriter) -> bool:
    """Drop what the spool notes of a cluster, waiting while the disk is full; return whether that is done."""

    def leave() -> bool:
        leave_cluster(writer, config, context.log)
        return True

    return _retried(context, leave) is not None


def _retried(context: ChildContext, call: Callable[[], _Result]) -> _Result | None:
    """Return what the call returns, after a pause while the spool cannot be written; None after a stop."""

    def report(error: Exception, seconds: float) -> None:
        context.log.error("spool_not_opened", error=str(error), retry_in_seconds=seconds)

    return open_patiently(context, call, (SpoolError, OSError), report)
