"""The publisher's part in the cluster: it owns shards, decides about each row, and talks to the other machines.

It runs inside the publisher's loop: `step` does a little work and never waits for long. The streams of this machine
learn the result from the mailbox, everybody else from the view (core.cluster).
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Set
from functools import partial

import structlog
from confluent_kafka import KafkaException, Message, Producer

from core.backoff import Backoff
from core.cluster.mailbox import Leftover, MailboxWriter, Name
from core.cluster.shards import StreamHomes, created_of, subreddit_of
from core.config.slices import ClusterConfig, PublisherConfig
from core.errors import TransientError
from core.periodic import Timer
from core.spool.spool_state import SpoolState
from core.storage.sqlite import is_unreadable
from core.stream_kinds import reads_listing, stream_names
from streams.cluster.cluster_topics import ClusterTopics
from streams.cluster.guarded_call import GuardedCall
from streams.cluster.heartbeats import Heartbeats
from streams.cluster.machine_report import MachineReport
from streams.cluster.mailbox_file import MailboxWatch, open_mailbox
from streams.cluster.membership import Membership
from streams.cluster.quota_share import Sharing
from streams.cluster.quota_sharer import QuotaSharer
from streams.cluster.shard_ledger import ShardLedger
from streams.cluster.take_over import TakeOver
from streams.positions.position_writer import PositionWriter
from streams.sinks.kafka.kafka_errors import cause, error_text
from streams.sinks.kafka.producer import KafkaSettings
from streams.sinks.kafka.routing import Destination, NoSending, StateWrite
from streams.sinks.spool_senders import SpoolSender
from streams.sources.base import PlainRow

#: Seconds between two looks at the spools, the mailbox and the other machines.
_CHECK_EVERY_S = 0.1
#: Seconds between two checks that the topics exist: nothing else shows that an unused one was deleted.
_TOPICS_EVERY_S = 30.0
_RETRY = Backoff(first=0.5, longest=10.0)
_CALL_S = 0.1

_DISABLED = "it stays in the topic until the stream is enabled here: then it is delivered, if nobody has done so"
_UNKNOWN = "it stays in the topic: start a version of Gapless that knows the stream"


class Coordinator:
    """The routing of a cluster (see `streams.sinks.kafka.routing`), and the exchange with the other machines.

    Args:
        config: the place of this machine in the cluster.
        publisher: subreddits, streams and delivery.
        settings: of the Kafka clients.
        topics: the cluster's topics.
        mailbox: to the streams of this machine.
        watch: of the mailbox's file.
        ledger: names and states of the shards.
        report: heartbeats, view and quota.
        count: adds to a durable counter of the publisher.
        log: the logger.
        clock: monotonic seconds.
        draw: a random number from 0 to 1.
    """

    def __init__(
        self,
        config: ClusterConfig,
        publisher: PublisherConfig,
        *,
        settings: KafkaSettings,
        topics: ClusterTopics,
        mailbox: MailboxWriter,
        watch: MailboxWatch,
        ledger: ShardLedger,
        report: MachineReport,
        count: Callable[[str, int], None],
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float],
    ) -> None:
        self._config = config
        self._streams = publisher.streams
        self._settings = settings
        self._topics = topics
        self._mailbox = mailbox
        self._watch = watch
        self._ledger = ledger
        self._report = report
        self._count = count
        self._log = log
        self._clock = clock
        self._draw = draw
        self._homes = StreamHomes(publisher.subreddits, publisher.lists, config.shards)
        self._take_over = TakeOver(
            config,
            streams=publisher.streams,
            settings=settings,
            topics=topics,
            mailbox=mailbox,
            ledger=ledger,
            transactions=publisher.delivery == "exactly_once",
            log=log,
            clock=clock,
        )
        self._membership: Membership | None = None
        self._heartbeats: Heartbeats | None = None
        self._checks = Timer(_CHECK_EVERY_S)
        self._topic_checks = Timer(_TOPICS_EVERY_S)
        self._failures = 0
        self._resume_at = 0.0
        self._void = False
        self._guard = GuardedCall("send_offsets_to_transaction")
        #: rows given to other machines since the last commit
        self._handed_over = 0

    def watch(self, senders: Iterable[SpoolSender]) -> None:
        """Follow the spools of these senders."""
        self._take_over.watch(senders)

    # -- a step of the publisher's loop

    def step(self) -> None:
        """Do a little work. Raises PermanentError for a configuration that no retry can help, and TransientError."""
        self._report.share_quota(self._heartbeats)
        if self._topic_checks.elapsed(self._clock()):
            self._topics.recheck()
        if self._clock() < self._resume_at or not self._topics.ensure(_CALL_S):
            return
        if self._topics.take_remade():
            self._start_again()
        try:
            membership, heartbeats = self._joined()
            self._store_leftovers(membership.poll())
            self._take_over.step(membership, heartbeats)
            if self._checks.elapsed(self._clock()):
                self._watch.check()
                self._release(membership)
                self._take_over.follow_spools()
                heartbeats.read()
                self._report.update(membership, heartbeats, self._take_over.held, self._ledger)
                self._failures = 0
        except KafkaException as exception:
            self._pause(error_text(cause(exception)))
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.Error) and is_unreadable(error):
                raise TransientError(f"cluster.db cannot be read: {error}; this process ends, and checks it") from error
            self._pause(str(error))

    def _start_again(self) -> None:
        """Write again what a topic held that was missing, from what the spools know."""
        self._void = True  # a transaction that is open now lacks what is to be written first
        self._take_over.start_again()
        heartbeats, self._heartbeats = self._heartbeats, None
        if heartbeats is not None:
            heartbeats.close()

    def _pause(self, error: str) -> None:
        self._failures += 1
        seconds = _RETRY.pause(self._failures, self._draw)
        self._resume_at = self._clock() + seconds
        self._take_over.stop_reading()
        self._log.error("cluster_step_failed", error=error, retry_in_seconds=round(seconds, 1))

    def _joined(self) -> tuple[Membership, Heartbeats]:
        connection = self._settings.connection
        if self._heartbeats is None:
            self._heartbeats = Heartbeats(self._topics.state, connection, self._log, clock=self._clock)
        if self._membership is None:
            self._membership = Membership(
                self._config,
                self._topics.control,
                connection,
                self._log,
                moving=self._leaving,
                check_partitions=self._topics.check_partitions,
                missing=self.topic_missing,
                clock=self._clock,
            )
        return self._membership, self._heartbeats

    def _leaving(self, shards: Set[int]) -> None:
        """Stop sending what belongs to these shards; one that returns at once may have had another owner meanwhile."""
        self._void = True
        self._take_over.drop(shards)

    def _release(self, membership: Membership) -> None:
        """Tell the streams which shards belong to other machines now."""
        away = {shard for shard in self._mailbox.shards() if membership.is_elsewhere(shard)}
        if away:
            self._mailbox.release(away)
            self._ledger.forget(away)
            self._log.info("shards_released", shards=sorted(away), owned=len(self._take_over.held))

    def _store_leftovers(self, messages: list[Message]) -> None:
        """Hand the leftovers of other machines to the streams."""
        arrived: dict[str, list[Leftover]] = {}
        for message in messages:
            headers = {str(pair[0]): _text(pair[1]) for pair in message.headers() or []}
            value, key, shard = message.value(), message.key(), message.partition()
            stream = headers.get("stream", "")
            if value is None or key is None or shard is None or stream not in self._streams:
                hint = _DISABLED if stream in stream_names() else _UNKNOWN
                self._log.error("leftover_unreadable", shard=shard, offset=message.offset(), stream=stream, hint=hint)
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
        if not self.ready:
            return False
        return self._take_over.seeds_due or self._ledger.due(self._take_over.held) or self._report.heartbeat_due

    def take_void(self) -> bool:
        """Return whether shards left since the last call."""
        void, self._void = self._void, False
        return void

    def place(self, stream: str, row: PlainRow) -> Destination | NoSending:
        """Return where this row goes; what no listing shows belongs to no shard."""
        if not reads_listing(stream):
            return Destination(self._settings.destinations.topic_of(stream), -1)
        membership = self._membership
        if membership is None or membership.member_since is None:
            return NoSending.WAIT
        shard = self._homes.shard(stream, subreddit_of(row[2]))
        if shard in self._take_over.held and shard in membership.shards:
            if stream in self._streams and not self._take_over.is_adopted(stream, shard):
                return NoSending.WAIT  # the stream learns which rows wait when it takes the shard over
            if self._take_over.was_delivered_elsewhere(stream, shard, row[1].decode()):
                return NoSending.SKIP
            return Destination(self._settings.destinations.topic_of(stream), -1)
        if membership.is_elsewhere(shard):
            if self._take_over.is_noted(stream, shard):
                return NoSending.WAIT  # until the stream has forgotten the names of its waiting rows
            return Destination(self._topics.control, shard)
        return NoSending.WAIT

    def sent(self, source: str, stream: str, row: PlainRow, destination: Destination) -> None:
        """Note that the row was given to the producer."""
        if destination.partition >= 0:
            self._handed_over += 1
        elif reads_listing(stream):
            name = Name(row[1].decode(), subreddit_of(row[2]).lower(), created_of(row[2]))
            self._ledger.sent(source, row[0], stream, name)

    def skipped(self, stream: str, row: PlainRow) -> None:
        """Note that another machine has delivered the row."""
        self._count("skipped", 1)
        self._log.debug("row_skipped", stream=stream, seq=row[0], hint="another machine has delivered it")

    def arrived(self, source: str, position: int) -> None:
        """Note that all rows up to this seq have arrived."""
        self._ledger.arrived(source, position)

    def rewound(self, source: str) -> None:
        """Note that what did not arrive of this source is sent again."""
        self._ledger.rewound(source)

    def delivered(self, stream: str, state: SpoolState) -> None:
        """Note the state of a spool up to which everything is delivered."""
        if reads_listing(stream):
            self._ledger.delivered(stream, state)

    def writes(self, *, in_transaction: bool) -> list[StateWrite]:
        """Return the names, states and the heartbeat to be written now."""
        self._take_over.seed()
        held = self._take_over.held
        terms, spool_ids = self._mailbox.terms(), self._take_over.spool_ids()
        writes = self._ledger.writes(held, terms, spool_ids, in_transaction=in_transaction)
        beat = self._report.heartbeat(held, self._ledger)
        if beat is not None:
            writes.append(StateWrite(Destination(self._topics.state, 0), *beat.record()))
        return writes

    def committed(self) -> None:
        """Note that the last writes are durable."""
        self._ledger.committed()
        self._report.committed()
        if self._handed_over:
            self._count("handed_over", self._handed_over)
            self._log.info("rows_handed_over", count=self._handed_over, hint="other machines own their shards")
        self._handed_over = 0

    def abandoned(self) -> None:
        """Note that the transaction with the last writes failed."""
        self._ledger.abandoned()
        self._report.abandoned()
        self._handed_over = 0

    def fence(self, producer: Producer, seconds: float) -> None:
        """Add the proof of ownership to the transaction."""
        membership = self._membership
        if membership is not None and membership.shards:
            proof = partial(producer.send_offsets_to_transaction, membership.offsets(), membership.metadata(), seconds)
            self._guard.run(proof)

    def topic_missing(self) -> None:
        """Note that a topic may no longer exist: both are checked, and made again if necessary."""
        self._topics.recheck()

    def refused(self) -> None:
        """Note that the group refuses the commits of this machine."""
        self._report.refused()

    # -- the end

    def finish(self) -> bool:
        """Write the last states at once; return whether everything is written."""
        return not self.ready or self._ledger.finish(self._take_over.held)

    def close(self) -> None:
        """Leave the group if other machines are alive; otherwise the shards wait for this one."""
        self._take_over.stop_reading()
        if self._membership is not None:
            self._membership.leave(for_good=self._report.others_alive)
        if self._heartbeats is not None:
            self._heartbeats.close()
        self._report.close()
        self._mailbox.close()


def build_coordinator(
    config: PublisherConfig,
    cluster: ClusterConfig,
    settings: KafkaSettings,
    topics: ClusterTopics,
    writer: PositionWriter,
    *,
    log: structlog.stdlib.BoundLogger,
    clock: Callable[[], float],
    draw: Callable[[], float],
) -> Coordinator:
    """Build it from the configuration."""
    transactional_id = str(settings.producer.get("transactional.id", ""))
    sharing = Sharing(cluster.instance, cluster.client, config.requests_per_minute, cluster.session_timeout)
    quota = QuotaSharer(sharing, config.state_dir, log, clock=clock)
    mailbox = open_mailbox(config.state_dir, log)
    return Coordinator(
        cluster,
        config,
        settings=settings,
        topics=topics,
        mailbox=mailbox,
        watch=MailboxWatch(config.state_dir),
        ledger=ShardLedger(cluster, config.subreddits, transactional_id, topics.state, lists=config.lists, clock=clock),
        report=MachineReport(cluster, config.state_dir, writer.total, quota, clock=clock),
        count=writer.count,
        log=log,
        clock=clock,
        draw=draw,
    )


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
