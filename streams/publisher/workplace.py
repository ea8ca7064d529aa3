"""What both couriers work with, whichever promise they keep."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from confluent_kafka import Producer

from streams.publisher.client import connect
from streams.publisher.lanes import Lanes
from streams.publisher.ledger import Ledger
from streams.publisher.retries import Retries
from streams.publisher.settings import Settings
from streams.publisher.watch import Watch


@dataclass(frozen=True, slots=True)
class Workplace:
    """The parts of a publisher that its courier uses."""

    settings: Settings
    lanes: Lanes
    ledger: Ledger
    watch: Watch
    retries: Retries
    log: structlog.stdlib.BoundLogger
    clock: Callable[[], float]
    make_producer: Callable[[Settings, Watch], Producer] = connect
