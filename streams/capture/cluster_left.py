"""The first start without [cluster] of a machine that was in one: it captures all subreddits again.

The notes of the shards end: when the machine joins a cluster again, the publisher sees that items may have been
delivered meanwhile, and writes their names down.
"""

import time
from collections.abc import Callable

import structlog

from core.config.slices import StreamConfig
from core.spool import Seen, SpoolWriter
from streams.capture.seen_names import FOREIGN
from streams.capture.shard_moves import ShardMoves


def leave_cluster(
    writer: SpoolWriter,
    config: StreamConfig,
    log: structlog.stdlib.BoundLogger,
    wall: Callable[[], float] = time.time,
) -> None:
    """Drop what the spool notes of a cluster, and bring back what was put aside for others. Raises SpoolError."""
    state = writer.load_state()
    if not (state.shards or state.released):
        return
    now, configured = wall(), frozenset(name.lower() for name in config.subreddits)
    waiting = {name: (subreddit.lower(), float(created)) for name, subreddit, created in writer.waiting_names()}
    names = [
        Seen(name, bucket if bucket in configured else FOREIGN, min(created, now), 0)
        for name in writer.unknown_names([*waiting])
        for bucket, created in [waiting[name]]
    ]
    moves = ShardMoves(
        config.stream, state, writer.load_gaps(), config.subreddits, 1, now=now, last_seq=writer.last_seq()
    )
    moves.leave_cluster(names)
    writer.commit(moves.batch())
    hint = "this machine is in no cluster now: it captures all subreddits; no other machine should run"
    log.info("cluster_notes_dropped", shards=len(state.shards), put_aside=len(state.released), hint=hint)
