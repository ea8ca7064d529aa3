"""The process of one stream: opens its resources and captures until a stop is requested."""

import random
import time
from contextlib import suppress

from core.backoff import Backoff
from core.child import ChildContext
from core.config.slices import StreamConfig
from core.logging.shown_names import shown_subreddits
from core.process.memory_tuning import tune_gc
from core.reddit.limiter import Limiter
from core.spool import SpoolBroken, SpoolError, SpoolWriter, watched
from streams.capture.capture_loop import Capture
from streams.capture.coverage import Coverage
from streams.capture.page_fetcher import PageFetcher
from streams.capture.total_loss import TotalLossWatch
from streams.reddit.praw_client import PrawClient

_REOPEN = Backoff(first=1.0, longest=30.0)

#: Seconds that a start = "now" waits for Kafka's answer whether it is the first one, and between two checks.
_ORIGIN_WITHIN_S = 10.0
_ORIGIN_PAUSE_S = 0.2


def run(context: ChildContext, config: StreamConfig) -> None:
    """Capture one stream into its spool.

    Raises CredentialsRejected (permanent), and SpoolBroken if a new start must move the file aside.
    """
    tune_gc()
    stream = config.stream
    writer = _open_spool(context, config)
    if writer is None:
        return
    with writer, watched(writer, broken=context.wake):
        limiter = Limiter(config.state_dir, stream, config.requests_per_minute)
        praw_client = PrawClient(config.access, context, limiter)
        coverage = Coverage(
            writer,
            stream,
            config.subreddits,
            offset=lambda: praw_client.server_clock.offset,
            bounds=lambda: praw_client.server_clock.bounds,
        )
        context.log.info(
            "stream_opened",
            **shown_subreddits(config.subreddits),
            captured_before=writer.counters().get("captured", 0),
            gaps=sum(not gap.repaired for gap in coverage.gaps.values()),
            resuming=bool(coverage.proven_at),
        )
        origin = TotalLossWatch(
            coverage,
            config.state_dir,
            writer.spool_id,
            subreddits=config.subreddits,
            start=config.start,
            log=context.log,
        )
        if config.start == "now":
            _await_origin(context, origin)
        fetcher = PageFetcher(praw_client, context, stream, time.monotonic)
        Capture(config, context, coverage, fetcher, limiter, origin=origin).run()
        limiter.close()


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
    failures = 0
    while not context.stop.is_set():
        try:
            return SpoolWriter(config.state_dir, config.stream, subreddits=config.subreddits)
        except SpoolBroken:
            raise
        except (SpoolError, OSError) as error:
            failures += 1
            seconds = _REOPEN.pause(failures, random.random)
            context.log.error(  # noqa: TRY400 (a full disk needs no traceback)
                "spool_not_opened", error=str(error), retry_in_seconds=round(seconds, 1)
            )
            context.ready()  # alive and waiting: a restart would not help
            context.wait(seconds)
    return None
