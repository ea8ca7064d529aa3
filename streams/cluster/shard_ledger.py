"""Keeps what the next owner of a shard must know: names of delivered items and the proven state."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import orjson

from core.cluster.mailbox import Name, ShardState, Term
from core.cluster.shards import StreamHomes, subreddits_of
from core.config.slices import ClusterConfig
from core.periodic import Timer
from core.spool.model import GapState
from core.spool.spool_state import SpoolState
from streams.cluster.shard_states import Writer, divide, proven_until
from streams.cluster.state_records import (
    CHUNK,
    RING,
    DeliveredNames,
    StateRecord,
    StoredShard,
    shard_record,
    writer_record,
)
from streams.sinks.kafka.routing import Destination, StateWrite

#: Seconds between two writes of the states: an older state costs the next owner a longer walk, and loses nothing.
_STATES_EVERY_S = 5.0
#: The size from which on the oldest closed gaps of a shard are not passed on, bytes.
_MOST_BYTES = 600_000
#: The column of a row of the ledger that holds its state.
_STATE = 10


class _Sent(NamedTuple):
    seq: int
    stream: str
    name: Name


class ShardLedger:
    """The names and states of this machine's shards, as written to the state topic and as to be written.

    Args:
        config: the place of this machine in the cluster.
        subreddits: the configured ones, of all streams together.
        lists: of the streams that capture other ones.
        transactional_id: of this machine's producer; empty with at-least-once.
        topic: the state topic.
        clock: monotonic seconds.
        wall: epoch seconds.
    """

    def __init__(
        self,
        config: ClusterConfig,
        subreddits: tuple[str, ...],
        transactional_id: str,
        topic: str,
        *,
        lists: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._subreddits = subreddits
        self._lists = lists
        self._homes = StreamHomes(subreddits, lists, config.shards)
        self._writer = Writer(config.instance, transactional_id)
        self._topic = topic
        self._clock = clock
        self._wall = wall
        self._names = DeliveredNames()
        #: names of earlier deliveries, to be written once
        self._seeds: list[tuple[str, Name]] = []
        #: rows given to the producer and not yet known to have arrived, by source
        self._sent: dict[str, deque[_Sent]] = {}
        #: by stream, the newest state up to which everything is delivered, divided among the shards
        self._states: dict[str, tuple[SpoolState, dict[int, ShardState]]] = {}
        #: the newest state of each spool, not yet divided
        self._delivered: dict[str, SpoolState] = {}
        #: as last written, by shard and stream; and as in the writes that are not committed yet
        self._written: dict[tuple[int, str], ShardState] = {}
        self._writing: dict[tuple[int, str], ShardState] = {}
        #: the spool that is known as the last writer, by shard and stream; and as in the writes not committed yet
        self._writers: dict[tuple[int, str], str] = {}
        self._claiming: dict[tuple[int, str], str] = {}
        self._timer = Timer(_STATES_EVERY_S)
        self._final = False

    def take_over(self, shard: int, found: StoredShard, streams: Iterable[str]) -> None:
        """Continue what the former owner of a shard has written."""
        self.forget([shard])
        self._names.load(found.last_chunks())
        self._written |= {(shard, stream): state for stream, state in found.states.items()}
        self._writers |= {(shard, stream): writer for stream in streams if (writer := found.writer(stream)) is not None}

    def seed(self, stream: str, shards: Mapping[int, Collection[str]], names: Iterable[Name]) -> None:
        """Write down the names of these shards that were delivered while this machine was in no cluster.

        `shards`: of each, the names that the state topic holds. What is older than all of these was there before, and
        had to go.
        """
        of_subreddit: dict[str, list[Name]] = {}
        for name in names:
            if self._homes.shard(stream, name.subreddit) in shards:
                of_subreddit.setdefault(name.subreddit, []).append(name)
        seeds = [
            (stream, name)
            for subreddit, found in of_subreddit.items()
            for name in _unwritten(found, shards[self._homes.shard(stream, subreddit)])
        ]
        self._seeds += seeds
        self._add_seeds(seeds)

    def _add_seeds(self, seeds: Iterable[tuple[str, Name]]) -> None:
        for stream, name in seeds:
            self._names.add(stream, name)

    def forget(self, shards: Collection[int]) -> None:
        """Drop what concerns these shards: another machine continues them."""
        self._names.forget([place for place in self._names.places() if self._homes.shard(*place) in shards])
        self._seeds = [seed for seed in self._seeds if self._homes.shard(seed[0], seed[1].subreddit) not in shards]
        self._written = {place: state for place, state in self._written.items() if place[0] not in shards}
        self._writers = {place: writer for place, writer in self._writers.items() if place[0] not in shards}

    # -- what happens to rows

    def sent(self, source: str, seq: int, stream: str, name: Name) -> None:
        """Note that a row was given to the producer."""
        self._sent.setdefault(source, deque()).append(_Sent(seq, stream, name))

    def arrived(self, source: str, position: int) -> None:
        """Note that all rows of a source up to this seq have arrived."""
        waiting = self._sent.get(source, deque())
        while waiting and waiting[0].seq <= position:
            one = waiting.popleft()
            self._names.add(one.stream, one.name)

    def rewound(self, source: str) -> None:
        """Note that what did not arrive of a source is sent again."""
        self._sent.pop(source, None)

    def abandoned(self) -> None:
        """Note that the transaction with the last writes failed."""
        self._sent.clear()
        self._writing.clear()
        self._claiming.clear()
        self._names.rollback()
        self._add_seeds(self._seeds)

    def delivered(self, stream: str, state: SpoolState) -> None:
        """Note the state of a spool up to which everything is delivered."""
        self._delivered[stream] = state

    # -- writing

    def due(self, held: Collection[int]) -> bool:
        """Return whether names or states wait to be written."""
        if self._names.changed or self._seeds:
            return True
        return bool(held) and bool(self._delivered) and (self._final or self._timer.due <= self._clock())

    def writes(
        self,
        held: Collection[int],
        terms: Mapping[tuple[int, str], Term],
        spool_ids: Mapping[str, str],
        *,
        in_transaction: bool,
    ) -> list[StateWrite]:
        """Return what is to be written now; with a transaction, the names of everything that was sent in it too.

        `terms`: of what the streams take over; a spool that has not done so has no say about the shard.
        `spool_ids`: of the spools of this machine, by stream.
        """
        if in_transaction:
            for source in self._sent:
                self.arrived(source, 1 << 62)
        writes = []
        for stream, subreddit, record in self._names.records():
            shard = self._homes.shard(stream, subreddit)
            writes += [*self._claim(shard, stream, spool_ids.get(stream, "")), self._write(shard, record)]
        if self._delivered and (self._final or self._timer.elapsed(self._clock())):
            writes += self._state_writes(held, terms)
        return writes

    def _state_writes(self, held: Collection[int], terms: Mapping[tuple[int, str], Term]) -> list[StateWrite]:
        writes = []
        for stream, state in self._delivered.items():
            divided = divide(state, held, self._config.shards, self._lists.get(stream, self._subreddits), self._writer)
            notes = divided.notes
            self._states[stream] = (state, divided.states)
            for shard, one in divided.states.items():
                note, term = notes.get(shard), terms.get((shard, stream))
                if note is None or term is None or note.term != term.term:
                    continue  # the stream has not taken over the shard
                if not one.same_content(self._written.get((shard, stream))):
                    writes += self._claim(shard, stream, state.spool_id)
                    dated = replace(_limited(one), at=self._wall())
                    self._writing[shard, stream] = dated
                    writes.append(self._write(shard, shard_record(stream, dated)))
        self._delivered.clear()
        return writes

    def _claim(self, shard: int, stream: str, spool_id: str) -> list[StateWrite]:
        """Return the record that names this spool as the writer, before its first names or states."""
        place = (shard, stream)
        if self._claiming.get(place, self._writers.get(place)) == spool_id:
            return []
        self._claiming[place] = spool_id
        return [self._write(shard, writer_record(stream, spool_id))]

    def _write(self, shard: int, record: StateRecord) -> StateWrite:
        return StateWrite(Destination(self._topic, shard), record.key, record.value)

    def committed(self) -> None:
        """Note that the last writes are durable."""
        self._names.commit()
        self._seeds.clear()
        self._sent = {source: waiting for source, waiting in self._sent.items() if waiting}
        self._written |= self._writing
        self._writers |= self._claiming
        self._writing.clear()
        self._claiming.clear()

    def finish(self, held: Collection[int]) -> bool:
        """Write the last states without waiting; return whether nothing is left to write."""
        self._final = True
        return not self.due(held)

    def proven_until(self, shard: int) -> float | None:
        """Return up to when all subreddits of a shard are proven in every stream; None if something never was."""
        moments = [
            proven_until(state, names)
            for (place, stream), state in self._written.items()
            if place == shard and (names := self._names_of(stream, shard))
        ]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None

    def _names_of(self, stream: str, shard: int) -> tuple[str, ...]:
        return subreddits_of([shard], self._lists.get(stream, self._subreddits), self._config.shards)


def _unwritten(names: list[Name], written: Collection[str]) -> list[Name]:
    """Return those of a subreddit's names, the oldest first, that are to be written: as many as the ring holds."""
    first = next((place for place, one in enumerate(names) if one.name in written), 0)
    return [one for one in names[first:] if one.name not in written][-RING * CHUNK :]


def _limited(state: ShardState) -> ShardState:
    """Return the state without its oldest gaps if it is too large for a record: the closed ones go first."""
    gaps = sorted(state.gaps, key=lambda row: (row[_STATE] == GapState.OPEN, row[0]))
    while gaps and len(orjson.dumps(gaps)) > _MOST_BYTES:
        gaps = gaps[max(1, len(gaps) // 4) :]
    return state if len(gaps) == len(state.gaps) else replace(state, gaps=gaps)
