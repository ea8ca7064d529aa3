"""The publisher process: builds the publisher from the configuration, runs it, and drains it at a stop."""

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from confluent_kafka import Producer

from core.child import ChildContext
from core.cluster.mailbox import mailbox_path
from core.cluster.view import view_path
from core.config.slices import PublisherConfig
from core.process.memory_tuning import tune_gc
from core.reddit.limiter import QuotaFileError
from core.reddit.machine_share import clear_share
from core.spool.spool_files import remove_database
from core.status.kafka_outage import OutageMark
from streams.cluster.cluster_topics import ClusterTopics, transactional_id_of
from streams.cluster.coordinator import Coordinator, build_coordinator
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import PublisherStore
from streams.publisher.topic_survey import Survey
from streams.sinks.base import Retries, RoundResult, Sink, drive
from streams.sinks.kafka.at_least_once import AtLeastOnce
from streams.sinks.kafka.delivery_strategy import StrategyParts
from streams.sinks.kafka.destinations import LATEST_SETTINGS, Destinations
from streams.sinks.kafka.exactly_once import ExactlyOnce
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.kafka_senders import KafkaSpoolSenders
from streams.sinks.kafka.producer import KafkaSettings, combine_settings, connect
from streams.sinks.kafka.topic_set import TopicSet
from streams.sinks.kafka.topics import Topic
from streams.sources.base import Opener, spools_and_resends

#: The pause after a failure, seconds: short at first, ten at most.
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0


class Publisher:
    """The sinks, each with its own position in every source, and the file that stores the positions.

    Args:
        sinks: where every record goes. A slow or unreachable sink does not delay the others.
        writer: stores the positions.
        survey: determines what the topic held before a new spool; None where that is not needed.
        coordinator: shares the subreddits with other machines; None for one machine.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        writer: PositionWriter,
        survey: Survey | None = None,
        coordinator: Coordinator | None = None,
    ) -> None:
        self._sinks = tuple(sinks)
        self._writer = writer
        self._survey = survey
        self._coordinator = coordinator

    def step(self, limit: float = float("inf")) -> RoundResult:
        """Do one round of work for each sink; the survey waits at most `limit` seconds for Kafka."""
        if self._coordinator is not None:
            self._coordinator.step()
        surveys = self._survey is not None and self._survey.step(limit)
        results = {drive(sink) for sink in self._sinks}
        if surveys or RoundResult.BUSY in results:
            return RoundResult.BUSY
        return RoundResult.BLOCKED if RoundResult.BLOCKED in results else RoundResult.IDLE

    @property
    def held(self) -> bool:
        """Whether all sinks that lack records are reachable and refuse records now: a stop need not wait for them."""
        return all(sink.held for sink in self._sinks if sink.backlog() > 0)

    def finish(self) -> bool:
        """Write what the next owners of this machine's shards must know; return whether all is written."""
        return self._coordinator is None or self._coordinator.finish()

    def backlog(self) -> int:
        """Return the number of records that are captured and not yet delivered to every sink."""
        return max((sink.backlog() for sink in self._sinks), default=0)

    def close(self, seconds: float) -> None:
        """Process the last reports, write the last positions, then release everything."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._writer.close)
            if self._coordinator is not None:
                stack.callback(self._coordinator.close)
            for sink in self._sinks:
                stack.callback(sink.close, seconds)
            if self._survey is not None:
                stack.callback(self._survey.close)


def build_publisher(
    context: ChildContext,
    config: PublisherConfig,
    *,
    clock: Callable[[], float],
    random: Callable[[], float],
    make_producer: Callable[[KafkaSettings, KafkaHealth], Producer] = connect,
    openers: Callable[[Path], Mapping[str, Opener]] = spools_and_resends,
) -> Publisher:
    """Build the publisher from the configuration; `openers` returns its sources."""
    log, state_dir, cluster = context.log, config.state_dir, config.cluster
    writer = PositionWriter(lambda known: PublisherStore.open(state_dir, log, deployment_id=known), log, clock)
    transactional_id = None
    if config.delivery == "exactly_once":
        name = f"gapless-{writer.deployment_id}"
        transactional_id = name if cluster is None else transactional_id_of(cluster.group, cluster.instance)
    destinations = Destinations(config.topics.of_stream, config.topic, config.topics.latest)
    settings = combine_settings(config.bootstrap_servers, config.topic, config.producer, transactional_id, destinations)
    health = KafkaHealth(log, writer, config.bootstrap_servers, clock, OutageMark(state_dir))
    make_topic = partial(Topic, connection=settings.connection, health=health, log=log, clock=clock, random=random)
    coordinator = None
    if cluster is not None:
        shared = ClusterTopics(make_topic, config.topic, cluster)
        coordinator = build_coordinator(config, cluster, settings, shared, writer, log=log, clock=clock, draw=random)
    senders = KafkaSpoolSenders(
        state_dir=state_dir,
        writer=writer,
        log=log,
        clock=clock,
        health=health,
        message_max_bytes=settings.message_max_bytes,
        destinations=destinations,
        openers=openers,
        routing=coordinator,
    )
    if coordinator is not None:
        coordinator.watch(senders)
    parts = StrategyParts(
        settings=settings,
        topics=TopicSet(make_topic, {destinations.latest: LATEST_SETTINGS}),
        senders=senders,
        writer=writer,
        health=health,
        retries=Retries(_FIRST_PAUSE, _LONGEST_PAUSE, random),
        log=log,
        clock=clock,
        make_producer=make_producer,
        routing=coordinator,
    )
    survey = None
    if coordinator is None:
        patience = Retries(_FIRST_PAUSE, _LONGEST_PAUSE, random)
        survey = Survey(settings, senders, writer, log, retries=patience, clock=clock)
    sink: Sink
    if transactional_id is None:
        sink = AtLeastOnce(**parts)
    else:
        positions = make_topic(settings.positions_topic, partitions=1, settings={"cleanup.policy": "compact"})
        sink = ExactlyOnce(positions, **parts)
    return Publisher([sink], writer, survey, coordinator)


#: Seconds between checks for new rows without a message: a lost message costs this delay, never a record.
_CHECK_EVERY_S = 0.25
_PAUSE_S = 0.1
#: The last part of the time for draining, reserved for an orderly close, seconds.
_CLOSING_TIME_S = 0.5

_KEPT = "the records stay in the spools until the next start"


def run(context: ChildContext, config: PublisherConfig) -> None:
    """Publish what the streams capture until a stop is requested, then the rest, as long as there is time."""
    tune_gc()
    if config.cluster is None:
        _leave_cluster(context, config)
    publisher = build_publisher(context, config, clock=time.monotonic, random=random.random)
    try:
        context.ready()
        _work(context, publisher)
        _drain(context, publisher)
    finally:
        publisher.close(min(_CLOSING_TIME_S, context.drain_seconds()) if context.stop.is_set() else 0.0)


def _leave_cluster(context: ChildContext, config: PublisherConfig) -> None:
    """Drop what a cluster left behind, if this machine was in one before: mailbox, view, share of the quota.

    An old mailbox would tell the streams of a later cluster what was true before.
    """
    try:
        remove_database(mailbox_path(config.state_dir))
        view_path(config.state_dir).unlink(missing_ok=True)
    except OSError as error:
        context.log.warning("cluster_files_not_removed", error=str(error), hint="delete cluster.db and cluster.json")
    try:
        clear_share(config.state_dir)
    except QuotaFileError as error:
        context.log.warning("quota_share_not_cleared", error=str(error), hint="it ends by itself within a day")


def _work(context: ChildContext, publisher: Publisher) -> None:
    pause = {RoundResult.BUSY: 0.0, RoundResult.BLOCKED: _PAUSE_S, RoundResult.IDLE: _CHECK_EVERY_S}
    while not context.wait(pause[publisher.step()]):
        pass


def _drain(context: ChildContext, publisher: Publisher) -> None:
    """Continue until all is delivered; `context.wait` returns at once after a stop, so the pause is a plain sleep."""
    began = time.monotonic()
    while (waiting := publisher.backlog()) > 0:
        context.beat()
        if context.drain_seconds() <= _CLOSING_TIME_S:
            context.log.warning("drain_unfinished", records=waiting, hint=_KEPT)
            return
        if publisher.held:
            hint = f"Kafka currently refuses records (delivery_held); {_KEPT}"
            context.log.warning("drain_unfinished", records=waiting, hint=hint)
            return
        if publisher.step(context.drain_seconds() - _CLOSING_TIME_S) is not RoundResult.BUSY:
            time.sleep(_PAUSE_S)
    while not publisher.finish() and context.drain_seconds() > _CLOSING_TIME_S:
        context.beat()
        publisher.step(_PAUSE_S)
    context.log.info("drained", seconds=round(time.monotonic() - began, 3))
