"""The publisher process: wakes on news, works, drains when asked to stop."""

import random
import time

from core.child import ChildContext
from core.collector import spare_the_collector
from core.config.slices import PublisherConfig
from streams.publisher.assembly import Publisher, assemble
from streams.publisher.pace import Pace

#: How often we look for new rows by ourselves: a lost message costs this moment, never a record.
_LOOK_EVERY = 0.25
_PAUSE = 0.1
#: The last part of the time for draining is kept for closing in order, seconds.
_CLOSING_TIME = 0.5


def run(context: ChildContext, config: PublisherConfig) -> None:
    """Publish what the streams captured until stop is asked, then what is left, as long as there is time."""
    spare_the_collector()
    publisher = assemble(context, config, clock=time.monotonic, random=random.random)
    try:
        context.ready()
        _work(context, publisher)
        _drain(context, publisher)
    finally:
        publisher.close(min(_CLOSING_TIME, context.drain_seconds()) if context.stop.is_set() else 0.0)


def _work(context: ChildContext, publisher: Publisher) -> None:
    pause = {Pace.BUSY: 0.0, Pace.BLOCKED: _PAUSE, Pace.IDLE: _LOOK_EVERY}
    while not context.wait(pause[publisher.step()]):
        pass


def _drain(context: ChildContext, publisher: Publisher) -> None:
    """Go on until all is delivered; once stop is asked `context.wait` returns at once, so the pause is a plain one."""
    began = time.monotonic()
    while (waiting := publisher.backlog()) > 0:
        context.beat()
        if context.drain_seconds() <= _CLOSING_TIME:
            context.log.warning("drain_unfinished", records=waiting, hint="they wait in the spools for the next start")
            return
        if publisher.held:
            hint = "Kafka takes nothing just now (delivery_held); they wait in the spools for the next start"
            context.log.warning("drain_unfinished", records=waiting, hint=hint)
            return
        if publisher.step() is not Pace.BUSY:
            time.sleep(_PAUSE)
    context.log.info("drained", seconds=round(time.monotonic() - began, 3))
