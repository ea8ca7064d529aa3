"""The publisher's part in the cluster: takes over shards, gives them up, and decides about each row.

It runs inside the publisher's loop: `step` does a little work and never waits for long. The streams of this machine
learn the result from the mailbox, everybody else from the view (core.cluster).
"""

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from confluent_kafka import KafkaException, Message, Producer

from core.backoff import Backoff
from core.cluster.mailbox import Adoption, Leftover, MailboxWriter
from core.cluster.shards import is_collective, shard_of, subreddit_of
from core.config.slices import ClusterConfig, PublisherConfig
from core.errors import PermanentError
from core.periodic import Timer
from core.spool.spool_state import SpoolState
from core.spool.stream_state import ShardNote
from core.stream_kinds import kind_of
from streams.cluster.heartbeats import Heartbeats
from streams.cluster.machine_report import MachineReport
from streams.cluster.membership import Membership
from streams.cluster.shard_ledger import ShardLedger
from streams.cluster.state_reader import StateReader, TransactionEnder
from streams.cluster.state_records import StoredShard
from streams.positions.position_writer import PositionWriter
from streams.sinks.kafka.kafka_errors import cause, error_text
from streams.sinks.kafka.producer import KafkaSettings
from streams.sinks.kafka.routing import Destination, NoSending, StateWrite
from streams.sinks.kafka.topics import Topic
from streams.sinks.spool_senders import SpoolSender
from streams.sources.base import PlainRow

#: Seconds between two looks at the spools and the mailbox.
_CHECK_EVERY_S = 0.1
_RETRY = Backoff(first=0.5, longest=10.0)
_CALL_S = 0.1
#: A machine whose heartbeat is older than this may have left a transaction open, seconds.
_SILENT_S = 4.0


@dataclass(frozen=True, slots=True)
class SpoolView:
    """What the coordinator needs to know of a spool of this machine.

    Attributes:
        source_id: its id.
        position: up to where its records are delivered.
        notes: its shards.
    """

    source_id: str
    position: int
    notes: Mapping[int, ShardNote]


class ClusterTopics:
    """The two topics of the cluster; `ensure` returns whether both exist."""

    def __init__(self, make_topic: Callable[..., Topic], topic: str, shards: int) -> None:
        self.control = make_topic(f"{topic}.control", partitions=shards, settings={"retention.ms": "-1"})
        compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": "3600000"}
        self.state = make_topic(f"{topic}.state", partitions=shards, settings=compacted)

    def ensure(self, seconds: float) -> bool:
        """Check or create them; wait at most `seconds` for each."""
        return all([self.control.ensure(seconds), self.state.ensure(seconds)])


class Coordinator:
    """The routing of a cluster (see `streams.sinks.kafka.routing`), and the exchange with the other machines.

    Args:
        config: the place of this machine in the cluster.
        subreddits: the configured ones.
        streams: the names of the enabled streams.
        settings: of the Kafka clients; `transactional_id` empty with at-least-once.
        topics: the cluster's topics.
        mailbox: to the streams of this machine.
        report: heartbeats, view and quota.
        count: adds to a durable counter of the publisher.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        subreddits: tuple[str, ...],
        streams: tuple[str, ...],
        settings: KafkaSettings,
        transactional_id: str,
        topics: ClusterTopics,
        mailbox: MailboxWriter,
        report: MachineReport,
        count: Callable[[str, int], None],
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        draw: Callable[[], float],
    ) -> None:
        self._config = config
        self._streams = streams
        self._settings = settings
        self._topics = topics
        self._mailbox = mailbox
        self._report = report
        self._senders: Iterable[SpoolSender] = ()
        self._count = count
        self._log = log
        self._clock = clock
        self._wall = wall
        self._draw = draw
        self._homes = _Homes(subreddits, config.shards)
        self.ledger = ShardLedger(config, subreddits, transactional_id, topics.state.name, clock=clock, wall=wall)
        self._membership: Membership | None = None
        self._heartbeats: Heartbeats | None = None
        self._reader: StateReader | None = None
        self._ender = TransactionEnder(dict(settings.producer), log) if transactional_id else None
        self._checks = Timer(_CHECK_EVERY_S)
        self._failures = 0
        self._resume_at = 0.0
        #: shards whose state is read: their rows can be sent
        self._held: set[int] = set()
        #: shards with names of others' deliveries in the mailbox, by stream
        self._compared: dict[str, set[int]] = {stream: set() for stream in streams}
        #: the spool that took over a shard, by shard and stream: another one must take over again
        self._adopters: dict[tuple[int, str], str] = {}
        #: up to where leftovers were deleted from the mailbox, by shard and stream
        self._dropped: dict[tuple[int, str], int] = {}
        self._void = False
        self._partitions_checked = False

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

    def _delivered_names(self, stream: str) -> list[tuple[str, str]]:
        for sender in self._senders:
            if sender.stream == stream and sender.source is not None:
                return sender.source.delivered_names(sender.window.position)
        return []

    # -- a step of the publisher's loop

    def step(self) -> None:
        """Do a little work. Raises PermanentError for a configuration that no retry can help."""
        if self._clock() < self._resume_at:
            return
        try:
            if not self._topics.ensure(_CALL_S):
                return
            membership = self._joined()
            self._store_leftovers(membership.poll())
            self._held &= membership.shards
            self._take_over(membership)
            self._end_transactions()
            if self._checks.elapsed(self._clock()):
                self._check(membership)
        except KafkaException as exception:
            self._pause(error_text(cause(exception)))
        except (sqlite3.Error, OSError) as error:
            self._pause(str(error))

    def _pause(self, error: str) -> None:
        self._failures += 1
        seconds = _RETRY.pause(self._failures, self._draw)
        self._resume_at = self._clock() + seconds
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._log.error("cluster_step_failed", error=error, retry_in_seconds=round(seconds, 1))

    def _joined(self) -> Membership:
        if self._membership is None:
            self._membership = Membership(
                self._config,
                self._topics.control.name,
                self._settings.connection,
                self._log,
                moving=self._make_void,
                check_partitions=self._check_partitions,
                clock=self._clock,
                wall=self._wall,
            )
            self._heartbeats = Heartbeats(
                self._topics.state.name, self._settings.connection, self._log, clock=self._clock, wall=self._wall
            )
        return self._membership

    def _check_partitions(self, partitions: int) -> None:
        if partitions != self._config.shards:
            raise PermanentError(
                f"the topic {self._topics.control.name} was made for {partitions} shards, and cluster.shards is"
                f" {self._config.shards}: set cluster.shards = {partitions} on every machine"
            )

    def _make_void(self) -> None:
        self._void = True

    def _check(self, membership: Membership) -> None:
        """Look at the spools, the mailbox and the other machines."""
        spools = self._spools()
        self._release(membership)
        self._follow_spools(spools)
        heartbeats = self._heartbeats
        if heartbeats is not None:
            heartbeats.read()
            self._report.update(membership, heartbeats, self._held, self.ledger)
        self._failures = 0

    # -- taking over

    def _take_over(self, membership: Membership) -> None:
        """Read the state of new shards, and hand it to the streams."""
        if self._reader is None:
            missing = membership.shards - self._held
            if not missing:
                return
            self._reader = StateReader(self._topics.state.name, missing, self._settings.connection, clock=self._clock)
        reader = self._reader
        if reader.read(_CALL_S):
            self._reader = None
            reader.close()
            if self._ender is not None:
                self._ender.forget()
            self._adopt(membership, {shard: reader.stored(shard) for shard in reader.shards & membership.shards})
        elif reader.is_blocked and self._ender is not None:
            self._ender.end(self._likely_owners(reader))

    def _likely_owners(self, reader: StateReader) -> list[str]:
        """Return the transactional ids of machines that may have left a transaction open in these partitions."""
        ages = {} if self._heartbeats is None else self._heartbeats.ages()
        silent = [name for name, (_, age) in ages.items() if age > _SILENT_S]
        owners = [
            name
            for name, (beat, _) in ages.items()
            if reader.unfinished & beat.proven_until.keys() and name not in silent
        ]
        names = [name for name in (*silent, *owners) if name != self._config.instance]
        return [transactional_id_of(self._config.group, name) for name in names]

    def _end_transactions(self) -> None:
        if self._ender is not None:
            self._ender.step(_CALL_S)

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
                names = [] if one.state is None else found.names(stream, kind_of(stream).prefix)
                self._mailbox.store_names(shard, stream, names)
            if adoptions or shard not in owned:
                self._mailbox.own(shard, self._wall(), adoptions)
            for stream in self._streams:
                current = self._mailbox.adoption(shard, stream)
                compared = current is not None and current.state is not None
                (self._compared[stream].add if compared else self._compared[stream].discard)(shard)
            self.ledger.take_over(shard, found)
            self._seed(shard, found, spools)
            offsets[shard] = self._control_offset(shard, found, spools)
            self._held.add(shard)
            if found.unreadable:
                self._log.error("shard_state_unreadable", shard=shard, records=found.unreadable)
        membership.read_from(offsets)
        self._log.info(
            "shards_taken_over",
            shards=sorted(stored),
            from_others=sum(self._is_foreign(one, spools) for one in stored.values()),
            owned=len(self._held),
        )

    def _is_foreign(self, found: StoredShard, spools: Mapping[str, SpoolView]) -> bool:
        ours = {spool.source_id for spool in spools.values()}
        return any(state.spool_id not in ours for state in found.states.values())

    def _adoption(self, shard: int, stream: str, found: StoredShard, spool: SpoolView | None) -> Adoption | None:
        """Return what the stream is to take over; None: what is in the mailbox already."""
        state, known = found.states.get(stream), self._mailbox.adoption(shard, stream)
        ours = state is None or (spool is not None and state.spool_id == spool.source_id)
        if known is not None:
            noted = spool is not None and (note := spool.notes.get(shard)) is not None and note.term == known.term
            if ours and noted:
                return None
            if not ours and known.state is not None and state is not None and known.state.same_as(state):
                return None
        return Adoption(shard, uuid.uuid4().hex[:16], None if ours else state)

    def _seed(self, shard: int, found: StoredShard, spools: Mapping[str, SpoolView]) -> None:
        """Write down the names of what this machine delivered before it was in a cluster."""
        for stream in self._streams:
            if stream in spools and stream not in found.states:
                names = [
                    (name, subreddit)
                    for name, subreddit in self._delivered_names(stream)
                    if self._homes.shard(subreddit) == shard
                ]
                self.ledger.seed(stream, names)

    def _control_offset(self, shard: int, found: StoredShard, spools: Mapping[str, SpoolView]) -> int:
        offsets = []
        for stream in self._streams:
            state, spool = found.states.get(stream), spools.get(stream)
            note = None if spool is None else spool.notes.get(shard)
            offsets.append(max(0 if state is None else state.control, 0 if note is None else note.control))
        return min(offsets, default=0)

    def _follow_spools(self, spools: Mapping[str, SpoolView]) -> None:
        """Learn what the streams have taken over; a spool that was replaced must take over again."""
        terms = self._mailbox.terms()
        for stream in self._streams:
            spool = spools.get(stream)
            if spool is None:
                continue
            for shard in tuple(self._held):
                note = spool.notes.get(shard)
                if note is not None and note.term == terms.get((shard, stream)):
                    self._taken_over(stream, shard, spool, note)
                elif self._adopters.get((shard, stream), spool.source_id) != spool.source_id:
                    self._log.warning("shard_taken_over_again", shard=shard, stream=stream, hint="the spool is new")
                    del self._adopters[shard, stream]
                    self._held.discard(shard)

    def _taken_over(self, stream: str, shard: int, spool: SpoolView, note: ShardNote) -> None:
        self._adopters[shard, stream] = spool.source_id
        if note.control > self._dropped.get((shard, stream), 0):
            self._mailbox.drop_leftovers(stream, shard, note.control)
            self._dropped[shard, stream] = note.control
        if shard in self._compared[stream] and spool.position >= note.seq:
            self._mailbox.forget_names(shard, stream)
            self._compared[stream].discard(shard)

    def _release(self, membership: Membership) -> None:
        """Tell the streams which shards belong to other machines now."""
        away = {shard for shard in self._mailbox.shards() if membership.is_elsewhere(shard)}
        if away:
            self._mailbox.release(away)
            self.ledger.forget(away)
            self._log.info("shards_released", shards=sorted(away), owned=len(self._held))

    # -- leftovers of other machines

    def _store_leftovers(self, messages: list[Message]) -> None:
        arrived: dict[str, list[Leftover]] = {}
        for message in messages:
            headers = {name: _text(text) for name, text in _headers(message)}
            value, key, shard = message.value(), message.key(), message.partition()
            stream = headers.get("stream", "")
            if value is None or key is None or shard is None or stream not in self._streams:
                self._log.error("leftover_unreadable", shard=shard, offset=message.offset(), stream=stream)
                continue
            place = (shard, (message.offset() or 0) + 1)
            one = Leftover(*place, subreddit_of(value).lower(), key, value, headers.get("schema", ""))
            arrived.setdefault(stream, []).append(one)
        for stream, leftovers in arrived.items():
            self._mailbox.add_leftovers(stream, leftovers)
            self._log.info("leftovers_received", stream=stream, count=len(leftovers))

    # -- routing

    @property
    def ready(self) -> bool:
        """Whether this machine is a member of the group."""
        return self._membership is not None and self._membership.member_since is not None

    @property
    def due(self) -> bool:
        """Whether names, states or a heartbeat are to be written."""
        return self.ready and (self.ledger.due(self._held) or self._report.heartbeat_due)

    def take_void(self) -> bool:
        """Return whether shards left since the last call."""
        void, self._void = self._void, False
        return void

    def place(self, stream: str, row: PlainRow) -> Destination | NoSending:
        """Return where this row goes."""
        membership = self._membership
        shard = self._homes.shard(subreddit_of(row[2]))
        if membership is None or membership.member_since is None:
            return NoSending.WAIT
        if shard in self._held and shard in membership.shards:
            if shard in self._compared.get(stream, ()) and self._mailbox.holds(stream, row[1].decode()):
                return NoSending.SKIP
            return Destination(self._settings.topic, -1)
        if membership.is_elsewhere(shard):
            return Destination(self._topics.control.name, shard)
        return NoSending.WAIT

    def sent(self, source: str, stream: str, row: PlainRow, destination: Destination) -> None:
        """Note that the row was given to the producer."""
        if destination.partition >= 0:
            self._count("handed_over", 1)
        else:
            self.ledger.sent(source, row[0], stream, subreddit_of(row[2]).lower(), row[1].decode())

    def skipped(self, stream: str, row: PlainRow) -> None:
        """Note that another machine has delivered the row."""
        self._count("skipped", 1)
        self._log.debug("row_skipped", stream=stream, seq=row[0], hint="another machine has delivered it")

    def arrived(self, source: str, position: int) -> None:
        """Note that all rows up to this seq have arrived."""
        self.ledger.arrived(source, position)

    def rewound(self, source: str) -> None:
        """Note that what did not arrive of this source is sent again."""
        self.ledger.rewound(source)

    def delivered(self, stream: str, state: SpoolState) -> None:
        """Note the state of a spool up to which everything is delivered."""
        self.ledger.delivered(stream, state)

    def writes(self, *, in_transaction: bool) -> list[StateWrite]:
        """Return the names, states and the heartbeat to be written now."""
        terms = self._mailbox.terms()
        writes = self.ledger.writes(self._held, terms, self._homes.shard, in_transaction=in_transaction)
        beat = self._report.heartbeat(self._held, self.ledger)
        if beat is not None:
            writes.append(StateWrite(Destination(self._topics.state.name, 0), *beat.record()))
        return writes

    def committed(self) -> None:
        """Note that the last writes are durable."""
        self.ledger.committed()
        self._report.committed()

    def abandoned(self) -> None:
        """Note that the transaction with the last writes failed."""
        self.ledger.abandoned()
        self._report.abandoned()

    def fence(self, producer: Producer, seconds: float) -> None:
        """Add the proof of ownership to the transaction."""
        membership = self._membership
        if membership is not None and membership.shards:
            offsets = membership.offsets()
            producer.send_offsets_to_transaction(offsets, membership.metadata(), seconds)

    def refused(self) -> None:
        """Note that the group refuses the commits of this machine."""
        self._report.refused()

    # -- the end

    def finish(self) -> bool:
        """Write the last states at once; return whether everything is written."""
        return not self.ready or self.ledger.finish(self._held)

    def close(self) -> None:
        """Leave the group if other machines are alive; otherwise the shards wait for this one."""
        others = self._report.others_alive
        if self._reader is not None:
            self._reader.close()
        if self._membership is not None:
            self._membership.leave(for_good=others)
        if self._heartbeats is not None:
            self._heartbeats.close()
        self._mailbox.close()


def build_coordinator(
    config: PublisherConfig,
    cluster: ClusterConfig,
    settings: KafkaSettings,
    topics: ClusterTopics,
    writer: PositionWriter,
    transactional_id: str,
    *,
    log: structlog.stdlib.BoundLogger,
    clock: Callable[[], float],
    draw: Callable[[], float],
) -> Coordinator:
    """Build it from the configuration."""
    return Coordinator(
        cluster,
        subreddits=config.subreddits,
        streams=config.streams,
        settings=settings,
        transactional_id=transactional_id,
        topics=topics,
        mailbox=MailboxWriter(config.state_dir),
        report=MachineReport(cluster, config.state_dir, writer.total, clock=clock),
        count=writer.count,
        log=log,
        clock=clock,
        draw=draw,
    )


def transactional_id_of(group: str, instance: str) -> str:
    """Return the transactional id of a machine's producer: the next owner of its shards must know it."""
    return f"gapless-{group}-{instance}"


def _headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    return [(str(pair[0]), pair[1]) for pair in message.headers() or []]


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


class _Homes:
    """The shard of each subreddit; an item of a collective listing belongs to the shard of that listing."""

    def __init__(self, subreddits: tuple[str, ...], shards: int) -> None:
        self._shards = {name.lower(): shard_of(name, shards) for name in subreddits}
        collective = next((name for name in subreddits if is_collective(name)), None)
        self._other = partial(shard_of, shards=shards)
        self._foreign = None if collective is None else shard_of(collective, shards)

    def shard(self, subreddit: str) -> int:
        name = subreddit.lower()
        known = self._shards.get(name)
        if known is not None:
            return known
        return self._other(name) if self._foreign is None else self._foreign
