"""Takes over shards: reads what their former owners have proven, and hands it to the streams of this machine."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

import structlog

from core.cluster.mailbox import Adoption, MailboxWriter, Name
from core.config.slices import ClusterConfig
from core.spool.stream_state import ShardNote
from core.stream_kinds import kind_of, stream_names
from streams.cluster.cluster_topics import ClusterTopics, transactional_id_of
from streams.cluster.heartbeats import Heartbeats
from streams.cluster.membership import Membership
from streams.cluster.shard_ledger import ShardLedger
from streams.cluster.state_reader import StateReader, TransactionEnder
from streams.cluster.state_records import StoredShard
from streams.sinks.kafka.producer import KafkaSettings
from streams.sinks.spool_senders import SpoolSender

_CALL_S = 0.1
#: A machine whose heartbeat is older than this may have left a transaction open, seconds.
_SILENT_S = 4.0


@dataclass(frozen=True, slots=True)
class SpoolView:
    """What is needed to know of a spool of this machine.

    Attributes:
        source_id: its id.
        position: up to where its records are delivered.
        notes: its shards.
    """

    source_id: str
    position: int
    notes: Mapping[int, ShardNote]


class TakeOver:
    """The shards that this machine holds, and those that it is about to take over.

    Args:
        config: the place of this machine in the cluster.
        streams: the names of the enabled streams.
        settings: of the Kafka clients.
        topics: the cluster's topics.
        mailbox: to the streams of this machine.
        ledger: continues the names and states of the shards.
        transactions: whether other machines may leave a transaction open (exactly once).
        log: the logger.
        clock: monotonic seconds.
        wall: epoch seconds.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        streams: tuple[str, ...],
        settings: KafkaSettings,
        topics: ClusterTopics,
        mailbox: MailboxWriter,
        ledger: ShardLedger,
        transactions: bool,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._streams = streams
        self._settings = settings
        self._topics = topics
        self._mailbox = mailbox
        self._ledger = ledger
        self._log = log
        self._clock = clock
        self._wall = wall
        self._reader: StateReader | None = None
        self._ender = TransactionEnder(dict(settings.producer), log) if transactions else None
        self._senders: Iterable[SpoolSender] = ()
        #: shards whose state is read: their rows can be sent
        self.held: set[int] = set()
        #: shards with names of others' deliveries in the mailbox, by stream
        self._compared: dict[str, set[int]] = {stream: set() for stream in streams}
        #: the spool that took over a shard, by shard and stream: another one must take over again
        self._adopters: dict[tuple[int, str], str] = {}
        #: up to where leftovers were deleted from the mailbox, by shard and stream
        self._dropped: dict[tuple[int, str], int] = {}
        #: the shards that the streams have taken over as the mailbox has them now
        self._adopted: dict[str, set[int]] = {stream: set() for stream in streams}
        #: shards whose state may be lost in Kafka
        self._lost: set[int] = set()
        #: by stream, shards of which earlier deliveries are not written down, and the names that are
        self._unseeded: dict[str, dict[int, frozenset[str]]] = {}
        #: the shards that the spools note, by stream
        self._noted: dict[str, frozenset[int]] = {}

    def watch(self, senders: Iterable[SpoolSender]) -> None:
        """Follow the spools of these senders."""
        self._senders = senders

    def _spools(self) -> dict[str, SpoolView]:
        """Return the spools of this machine by stream."""
        return {
            sender.stream: SpoolView(sender.source_id, sender.window.position, sender.source.shard_notes())
            for sender in self._senders
            if sender.source is not None and sender.stream in self._streams
        }

    def spool_ids(self) -> dict[str, str]:
        """Return the id of each stream's spool."""
        return {sender.stream: sender.source_id for sender in self._senders if sender.stream in self._streams}

    def was_delivered_elsewhere(self, stream: str, shard: int, name: str) -> bool:
        """Return whether another machine delivered this item of a held shard before this one took over."""
        return shard in self._compared.get(stream, ()) and self._mailbox.holds(stream, name)

    def is_adopted(self, stream: str, shard: int) -> bool:
        """Return whether the stream has taken over the shard, as of the last `follow_spools`."""
        return shard in self._adopted.get(stream, ())

    def is_noted(self, stream: str, shard: int) -> bool:
        """Return whether the stream's spool still holds the shard, as of the last `follow_spools`."""
        return shard in self._noted.get(stream, ())

    def step(self, membership: Membership, heartbeats: Heartbeats) -> None:
        """Read the state of new shards a little further; when it is complete, hand it to the streams."""
        for adopted in self._adopted.values():
            adopted.intersection_update(self.held)
        if self._reader is None:
            missing = membership.shards - self.held
            if missing:
                connection = self._settings.connection
                self._reader = StateReader(self._topics.state, missing, connection, clock=self._clock)
        reader = self._reader
        if reader is not None and reader.read(_CALL_S):
            self.stop_reading()
            if self._ender is not None:
                self._ender.forget()
            self._adopt(membership, {shard: reader.stored(shard) for shard in reader.shards & membership.shards})
        elif reader is not None and reader.is_blocked and self._ender is not None:
            self._ender.end(self._likely_owners(reader, heartbeats))
        if self._ender is not None:
            self._ender.step(_CALL_S)

    def drop(self, shards: Set[int]) -> None:
        """Forget these shards, which leave this machine; what was read of them may be old when they return."""
        self.held -= shards
        if self._reader is not None and self._reader.shards & shards:
            self.stop_reading()

    def start_again(self) -> None:
        """Read the states of all shards again, and write down what is not there."""
        self.stop_reading()
        self._lost |= self.held
        self.held.clear()

    def stop_reading(self) -> None:
        """Disconnect the reader; what is missing is read again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _likely_owners(self, reader: StateReader, heartbeats: Heartbeats) -> list[str]:
        """Return the transactional ids of machines that may have left a transaction open in these partitions."""
        ages = heartbeats.ages()
        silent = [name for name, (_, age) in ages.items() if age > _SILENT_S]
        owners = [
            name
            for name, (beat, _) in ages.items()
            if reader.unfinished & beat.proven_until.keys() and name not in silent
        ]
        names = [name for name in (*silent, *owners) if name != self._config.instance]
        return [transactional_id_of(self._config.group, name) for name in names]

    def _adopt(self, membership: Membership, stored: Mapping[int, StoredShard]) -> None:
        """Make these shards this machine's, with what the former owners have proven."""
        spools, owned, offsets = self._spools(), self._mailbox.shards(), {}
        for shard, found in stored.items():
            adoptions = {
                stream: one
                for stream in self._streams
                if (one := self._adoption(shard, stream, found, spools.get(stream))) is not None
            }
            for stream, one in adoptions.items():
                self._adopters.pop((shard, stream), None)
                self._adopted[stream].discard(shard)
                names = [] if one.state is None else found.names(stream, kind_of(stream).prefix)
                self._mailbox.store_names(shard, stream, names)
            if adoptions or shard not in owned:
                self._mailbox.own(shard, self._wall(), adoptions)
            for stream in self._streams:
                current = self._mailbox.adoption(shard, stream)
                compared = current is not None and current.state is not None
                (self._compared[stream].add if compared else self._compared[stream].discard)(shard)
            self._compare_disabled(shard, found)
            self._ledger.take_over(shard, found, self._streams)
            self._plan_seeds(shard, found, spools)
            offsets[shard] = self._control_offset(shard, found, spools)
            self.held.add(shard)
            if found.unreadable:
                self._log.error("shard_state_unreadable", shard=shard, records=found.unreadable)
        membership.read_from(offsets)
        self._log.info(
            "shards_taken_over",
            shards=sorted(stored),
            from_others=sum(self._is_foreign(one, spools) for one in stored.values()),
            owned=len(self.held),
        )

    def _compare_disabled(self, shard: int, found: StoredShard) -> None:
        """Let rows that a disabled stream left behind be compared with what others have delivered since then."""
        for sender in self._senders:
            stream = sender.stream
            if stream in self._streams or stream not in stream_names() or not sender.waiting():
                continue
            others = found.writer(stream) not in {None, sender.source_id}
            names = found.names(stream, kind_of(stream).prefix) if others else []
            self._mailbox.store_names(shard, stream, names)
            compared = self._compared.setdefault(stream, set())
            (compared.add if others else compared.discard)(shard)

    def _is_foreign(self, found: StoredShard, spools: Mapping[str, SpoolView]) -> bool:
        ours = {spool.source_id for spool in spools.values()}
        return any(found.writer(stream) not in {None, *ours} for stream in self._streams)

    def _adoption(self, shard: int, stream: str, found: StoredShard, spool: SpoolView | None) -> Adoption | None:
        """Return what the stream is to take over; None: what is in the mailbox already."""
        state, known = found.state(stream), self._mailbox.adoption(shard, stream)
        ours = state is None or (spool is not None and found.writer(stream) == spool.source_id)
        note = None if spool is None else spool.notes.get(shard)
        if known is not None and note is not None and note.term == known.term and (ours or known.term == _term(found)):
            return None
        spool_id = "" if spool is None else spool.source_id
        return Adoption(shard, uuid.uuid4().hex[:16] if ours else _term(found), None if ours else state, spool_id)

    def _plan_seeds(self, shard: int, found: StoredShard, spools: Mapping[str, SpoolView]) -> None:
        """Note where the state topic lacks names of items that this machine has delivered.

        It was in no cluster: before the first time, or since then. Or the topic was deleted.
        """
        lost = shard in self._lost
        self._lost.discard(shard)
        for stream in self._streams:
            spool, writer = spools.get(stream), found.writer(stream)
            unseeded = self._unseeded.setdefault(stream, {})
            unseeded.pop(shard, None)
            if spool is None or writer not in {None, spool.source_id}:
                continue
            first = writer is None and stream not in found.states
            if first or lost:
                unseeded[shard] = frozenset()
            elif writer is not None and shard not in spool.notes:
                unseeded[shard] = frozenset(one.name for one in found.names(stream, kind_of(stream).prefix))

    @property
    def seeds_due(self) -> bool:
        """Whether earlier deliveries are to be written down, see `seed`."""
        return any(shard in self.held for unseeded in self._unseeded.values() for shard in unseeded)

    def seed(self) -> None:
        """Write down the names of what this machine has delivered, where the state topic lacks them.

        The positions are certain only once the publisher writes: so this is not done when a shard is taken over.
        """
        for sender in self._senders:
            unseeded = self._unseeded.get(sender.stream, {})
            wanted = {shard: unseeded.pop(shard) for shard in self.held & unseeded.keys()}
            if sender.source is None or not wanted:
                continue
            delivered = [Name(*one) for one in sender.source.delivered_names(sender.window.position)]
            self._ledger.seed(sender.stream, wanted, delivered)

    def _control_offset(self, shard: int, found: StoredShard, spools: Mapping[str, SpoolView]) -> int:
        offsets = []
        for stream in self._streams:
            state, spool = found.states.get(stream), spools.get(stream)
            note = None if spool is None else spool.notes.get(shard)
            offsets.append(max(0 if state is None else state.control, 0 if note is None else note.control))
        return min(offsets, default=0)

    def follow_spools(self) -> None:
        """Learn what the streams have taken over; a spool that was replaced must take over again."""
        spools, terms = self._spools(), self._mailbox.terms()
        for stream in self._streams:
            spool = spools.get(stream)
            if spool is None:
                continue
            self._noted[stream] = frozenset(spool.notes)
            for shard in tuple(self.held):
                note, term = spool.notes.get(shard), terms.get((shard, stream))
                if note is not None and term is not None and note.term == term.term:
                    self._taken_over(stream, shard, spool, note)
                elif not {self._adopters.get((shard, stream), ""), term.spool_id if term else ""} <= {
                    "",
                    spool.source_id,
                }:
                    self._log.warning("shard_taken_over_again", shard=shard, stream=stream, hint="the spool is new")
                    self._adopters.pop((shard, stream), None)
                    self.held.discard(shard)

    def _taken_over(self, stream: str, shard: int, spool: SpoolView, note: ShardNote) -> None:
        self._adopters[shard, stream] = spool.source_id
        self._adopted[stream].add(shard)
        if note.control > self._dropped.get((shard, stream), 0):
            self._mailbox.drop_leftovers(stream, shard, note.control)
            self._dropped[shard, stream] = note.control
        if shard in self._compared[stream] and spool.position >= note.seq:
            self._mailbox.forget_names(shard, stream)
            self._compared[stream].discard(shard)


def _term(found: StoredShard) -> str:
    """Return the term of taking over what others have written, as far as it was read."""
    return f"up-to-{found.end}"
