"""Captures the shards of this machine: one capture after the other, a new one whenever the set of shards changes."""

import gc
import random
from collections.abc import Callable

from core.backoff import Backoff
from core.child import ChildContext
from core.spool import SpoolBroken, SpoolError, SpoolWriter
from streams.capture.capture_loop import Capture
from streams.capture.own_shards import CHECK_EVERY_S, OwnShards

_RETRY = Backoff(first=0.3, longest=15.0)


def capture_shards(
    context: ChildContext, writer: SpoolWriter, shards: OwnShards, make: Callable[[tuple[str, ...]], Capture]
) -> None:
    """Capture until a stop is requested; without shards, wait for some.

    Args:
        context: of the process.
        writer: the stream's spool.
        shards: this machine's.
        make: builds the capture of these subreddits from the spool, as after a restart.
    """
    context.ready()
    while not context.stop.is_set():
        subreddits = _await_shards(context, writer, shards)
        if subreddits:
            make(subreddits).run()
            gc.collect()  # the former capture refers to itself, and has the names of all items


def _await_shards(context: ChildContext, writer: SpoolWriter, shards: OwnShards) -> tuple[str, ...]:
    """Take over what the mailbox gives; return the subreddits to capture, none if a stop is requested before."""
    failures, begun = 0, False
    while not context.stop.is_set():
        try:
            writer.check()
            if not begun or shards.has_news():
                if subreddits := shards.sync():
                    return subreddits
                begun = True
        except SpoolBroken:
            raise
        except SpoolError as error:
            failures += 1
            pause = _RETRY.pause(failures, random.random)
            context.log.error(  # noqa: TRY400 (a full disk needs no traceback)
                "shards_not_changed", error=str(error), retry_in_seconds=round(pause, 1)
            )
            context.wait(pause)
        else:
            failures = 0
            context.wait(CHECK_EVERY_S)
    return ()
