"""Divides the state of a spool among the shards: what each shard's next owner takes over. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from core.cluster.mailbox import ShardState
from core.cluster.shards import shard_of
from core.spool.spool_state import SpoolState
from core.spool.stream_state import ShardNote, StreamState, entries_of

#: Columns of a row of the ledger that hold names: subreddits, pending, unproven.
_NAMES, _PENDING, _UNPROVEN = 1, 7, 8


class Divided(NamedTuple):
    """A spool's state by shard, and what the spool has noted about the shards."""

    states: dict[int, ShardState]
    notes: dict[int, ShardNote]


class Writer(NamedTuple):
    """The machine that writes a state."""

    instance: str
    transactional_id: str


def divide(state: SpoolState, shards: Iterable[int], count: int, subreddits: Iterable[str], writer: Writer) -> Divided:
    """Return the state of each of these of `count` shards.

    Args:
        state: of a spool, at a moment up to which everything is delivered.
        shards: those that the machine owns.
        count: the number of all shards.
        subreddits: the configured ones.
        writer: this machine.
    """
    stream_state = StreamState.read(entries_of(state.cursor.items()))
    of_shard: dict[int, list[str]] = {shard: [] for shard in shards}
    for name in subreddits:
        of_shard.get(shard_of(name, count), []).append(name)
    states = {shard: _of_shard(state, stream_state, names, shard, writer) for shard, names in of_shard.items()}
    return Divided(states, stream_state.shards)


def _of_shard(
    state: SpoolState, stream_state: StreamState, names: Sequence[str], shard: int, writer: Writer
) -> ShardState:
    lower = {name.lower() for name in names}
    note = stream_state.shards.get(shard)
    return ShardState(
        writer=writer.instance,
        spool_id=state.spool_id,
        transactional_id=writer.transactional_id,
        control=0 if note is None else note.control,
        begun=stream_state.begun,
        baseline=stream_state.baseline,
        proven_at=_of(stream_state.proven_at, lower),
        proven_until=_of(stream_state.proven_until, lower),
        held_nothing=sorted(lower & stream_state.held_nothing),
        absent={name: list(stream_state.absent[name]) for name in names if name in stream_state.absent},
        joining=_of(stream_state.joining, set(names)),
        gaps=[row for gap in state.gaps if (row := _restricted(gap, lower)) is not None],
    )


def _of(moments: Mapping[str, float], names: set[str]) -> dict[str, float]:
    return {name: at for name, at in moments.items() if name in names}


def _restricted(gap: Sequence[Any], names: set[str]) -> list[Any] | None:
    """Return a row of the ledger with only these subreddits (lower case); None if it concerns none of them."""
    row = list(gap)
    for column in (_NAMES, _PENDING, _UNPROVEN):
        row[column] = json.dumps([name for name in json.loads(gap[column]) if name.lower() in names])
    return None if row[_NAMES] == "[]" else row


def proven_until(state: ShardState, subreddits: Iterable[str]) -> float | None:
    """Return up to when all these subreddits are proven; None if one never was, and is not known as unavailable."""
    moments = [state.proven_until.get(name.lower()) for name in subreddits if name not in state.absent]
    if not moments or None in moments:
        return None
    return min(moment for moment in moments if moment is not None)
