"""Putting the publisher together: from the configuration to the parts that work."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from confluent_kafka import Producer

from core.child import ChildContext
from core.config.slices import PublisherConfig
from core.outage import OutageMark
from streams.publisher.at_least_once import AtLeastOnce
from streams.publisher.client import connect
from streams.publisher.exactly_once import ExactlyOnce
from streams.publisher.lanes import Lanes
from streams.publisher.ledger import Ledger
from streams.publisher.pace import Pace
from streams.publisher.retries import Retries
from streams.publisher.settings import Settings, settle
from streams.publisher.store import PublisherStore
from streams.publisher.survey import Survey
from streams.publisher.topics import Topic
from streams.publisher.watch import Watch
from streams.publisher.workplace import Workplace

#: The pause after a failure: a moment first, ten at most, seconds.
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0


class Courier(Protocol):
    """One way to deliver: at least once, or exactly once."""

    def step(self) -> Pace:
        """Do one round of work."""
        ...

    def close(self, seconds: float) -> None:
        """Wait at most `seconds` for what is on its way, then let go of the broker."""
        ...


class Publisher:
    """A courier with the lanes and the ledger it works on."""

    def __init__(self, courier: Courier, watch: Watch, lanes: Lanes, ledger: Ledger, survey: Survey) -> None:
        self._courier = courier
        self._survey = survey
        self._watch = watch
        self._lanes = lanes
        self._ledger = ledger

    def step(self) -> Pace:
        """Do one round of work."""
        surveys = self._survey.step()
        pace = self._courier.step()
        return Pace.BUSY if surveys else pace

    @property
    def held(self) -> bool:
        """Whether Kafka is there and takes nothing just now: to wait for it is no use at a stop."""
        return self._watch.held

    def backlog(self) -> int:
        """Return how many records are captured and not yet delivered."""
        return self._lanes.backlog()

    def close(self, seconds: float) -> None:
        """End: the last reports, the last position, then everything is let go."""
        try:
            self._survey.close()
            self._courier.close(seconds)
        finally:
            self._ledger.close()
            self._lanes.close()


def assemble(
    context: ChildContext,
    config: PublisherConfig,
    *,
    clock: Callable[[], float],
    random: Callable[[], float],
    make_producer: Callable[[Settings, Watch], Producer] = connect,
) -> Publisher:
    """Build the publisher that the configuration asks for."""
    log, state_dir = context.log, config.state_dir
    ledger = Ledger(lambda known: PublisherStore.open(state_dir, log, deployment_id=known), log, clock)
    transactional_id = f"gapless-{ledger.deployment_id}" if config.delivery == "exactly_once" else None
    settings = settle(config.bootstrap_servers, config.topic, config.producer, transactional_id)
    watch = Watch(log, ledger, config.bootstrap_servers, clock, OutageMark(state_dir))
    lanes = Lanes(
        state_dir=state_dir,
        ledger=ledger,
        log=log,
        clock=clock,
        watch=watch,
        message_max_bytes=settings.message_max_bytes,
    )
    retries = Retries(_FIRST_PAUSE, _LONGEST_PAUSE, random)
    place = Workplace(settings, lanes, ledger, watch, retries, log, clock, make_producer)
    patience = Retries(_FIRST_PAUSE, _LONGEST_PAUSE, random)
    survey = Survey(settings, lanes, ledger, log, retries=patience, clock=clock)
    make_topic = partial(Topic, connection=settings.connection, watch=watch, log=log, clock=clock, random=random)
    topic = make_topic(settings.topic)
    if transactional_id is None:
        return Publisher(AtLeastOnce(place, topic), watch, lanes, ledger, survey)
    marks = make_topic(settings.positions_topic, partitions=1, settings={"cleanup.policy": "compact"})
    return Publisher(ExactlyOnce(place, (topic, marks)), watch, lanes, ledger, survey)
