"""The process `changes` under a fake clock: the real loop, files and spools, killed and started again by a test."""

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import structlog

from core.child import ChildContext
from core.config import Config
from core.config.slices import ChangesConfig, log_config, reddit_access
from core.spool import Batch, Row, SpoolReader, SpoolWriter
from streams.changes.changes_process import STREAM, ChangesLoop, followed_kinds, open_duties
from streams.changes.info_requests import InfoRequests
from streams.changes.schedule import Schedule
from streams.positions.publisher_store import Position, PublisherStore
from streams.record import make_records
from streams.reddit.listing_page import Item
from tests.streams.capture.life import Clock, Killed, Notes
from tests.streams.changes.small_reddit import SmallReddit, Thing

HOUR = 3600.0
SCHEDULE = (HOUR, 24 * HOUR, 48 * HOUR)


class StageContext(ChildContext):
    """A context whose waits move the fake clock; asks for stop when the time has come."""

    def __init__(self, clock: Clock, until: float, notes: Any) -> None:
        super().__init__(STREAM, notes, clock=clock)
        self._fake = clock
        self._until = until
        #: returns when the next look is due; until then nothing happens
        self.next_due: Callable[[], float | None] = lambda: None

    def wait(self, seconds: float) -> bool:
        due = self.next_due()
        idle = (self._until if due is None else min(due, self._until)) - self._fake.now
        self._fake.advance(max(0.01, seconds, idle))
        if self._fake.now >= self._until:
            self.ask_stop()
        return self.stop.is_set()

    def announce(self, last_seq: int) -> None:
        pass


class MortalWriter(SpoolWriter):
    """A writer whose process may be killed just before, or just after a commit."""

    fates: dict[int, str]
    commits = 0

    def commit(self, batch: Batch) -> int:
        is_look = "changes" in batch.cursor
        self.commits += is_look
        fate = self.fates.pop(self.commits, "") if is_look else ""
        if fate == "before":
            raise Killed
        last_seq = super().commit(batch)
        if fate == "after":
            raise Killed
        return last_seq


@dataclass
class Stage:
    """A state directory with two captured streams, and a Reddit to look at."""

    directory: Path
    reddit: SmallReddit = field(default_factory=SmallReddit)
    clock: Clock = field(default_factory=Clock)
    notes: Notes = field(default_factory=Notes)
    schedule: tuple[float, ...] = SCHEDULE
    latest: bool = True
    payload: str = "record"
    exactly_once: bool = False
    #: number of a commit of an incarnation → "before" or "after": when it is killed
    fates: dict[int, str] = field(default_factory=dict)
    kills: int = 0
    _number: int = 0x1000

    def config(self) -> ChangesConfig:
        base = Config()
        return ChangesConfig(
            state_dir=self.directory,
            logging=log_config(base),
            schedule=self.schedule,
            latest=self.latest,
            payload=self.payload,
            access=reddit_access(base),
            requests_per_minute=100,
            exactly_once=self.exactly_once,
        )

    def capture(self, stream: str, count: int = 1, *, subreddit: str = "Bitcoin", **fields: Any) -> list[Thing]:
        """Create items now, capture them, and deliver them."""
        things = []
        for _ in range(count):
            self._number += 1
            created = fields.pop("created", self.clock.now)
            things.append(self.reddit.add(Thing(stream, self._number, subreddit, created, **fields)))
        self.store(stream, things)
        self.deliver(stream)
        return things

    def store(self, stream: str, things: list[Thing], *, schema: str = "") -> None:
        """Write records of items into their spool."""
        items = [Item(one.fullname, one.fullname, one.subreddit, one.created, one.data()) for one in things]
        records = make_records(items, stream, self.clock.now, full=self.payload == "full")
        if schema:
            records = [record._replace(schema=schema) for record in records]
        with SpoolWriter(self.directory, stream, followed=True, clock=self.clock) as writer:
            writer.commit(Batch(records))

    def deliver(self, stream: str, seq: int | None = None) -> None:
        """Record that Kafka has the stream's rows, up to a seq."""
        reader = SpoolReader.open(self.directory, stream)
        assert reader is not None
        log = cast(structlog.stdlib.BoundLogger, self.notes)
        with closing(reader), closing(PublisherStore.open(self.directory, log)) as store:
            store.save([Position(stream, reader.spool_id, reader.last_seq() if seq is None else seq)])

    def run(self, seconds: float) -> None:
        """Let the process live for this time; it is started again after each kill."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            try:
                self._incarnation(until)
            except Killed:
                self.kills += 1
                self.clock.advance(1.0)

    def _incarnation(self, until: float) -> None:
        context = StageContext(self.clock, until, self.notes)
        with ExitStack() as files:
            writer = MortalWriter(self.directory, STREAM, clock=self.clock)
            writer.fates = self.fates
            files.callback(writer.close)
            duties = open_duties(self.config(), writer, self.clock)
            files.callback(duties.close)
            kinds = followed_kinds()
            requests = InfoRequests(self.reddit, context, kinds)
            loop = ChangesLoop(
                context, self.config(), writer, duties, requests, kinds=kinds, clock=self.clock, wall=self.clock
            )
            streams, gather = tuple(kind.name for kind in kinds), Schedule.of(self.schedule).gather_s
            context.next_due = lambda: None if (due := duties.next_due(streams)) is None else due + gather
            loop.run()

    def rows(self) -> list[Row]:
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        with closing(reader):
            return reader.read(0, 1_000_000)

    def events(self, thing: Thing | None = None) -> list[dict[str, Any]]:
        """Return the reported changes, of one item or of all."""
        found = [json.loads(row.value) for row in self.rows() if row.schema == "reddit.change.v1"]
        return [one for one in found if thing is None or one["fullname"] == thing.fullname]

    def ops(self, thing: Thing | None = None) -> list[str]:
        return [one["op"] for one in self.events(thing)]

    def latest_of(self, thing: Thing) -> list[Row]:
        """Return the rows for the topic of the newest states."""
        key = thing.fullname.encode()
        return [row for row in self.rows() if row.schema != "reddit.change.v1" and row.key == key]

    def counters(self) -> dict[str, int]:
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        with closing(reader):
            return reader.counters()

    def waiting(self) -> int:
        """Return how many items wait for a look."""
        with closing(SpoolWriter(self.directory, STREAM, clock=self.clock)) as writer:
            duties = open_duties(self.config(), writer, self.clock)
            with closing(duties):
                return sum(duties.items.values())


Changer = Callable[[Thing], None]
