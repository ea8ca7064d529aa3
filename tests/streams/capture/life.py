"""A stream's life under a fake clock: the real capture over a real spool, killed and started again by a script."""

import heapq
import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core.child import ChildContext
from core.config import Config
from core.config.slices import StreamConfig, stream_config
from core.reddit.limiter import Wishes
from core.reddit.quota import Priority, Quota
from core.reddit.request_errors import BadAnswer, RequestRejected, Unreachable
from core.spool import Batch, Gap, SpoolError, SpoolReader, SpoolWriter
from streams.capture.capture_loop import Capture
from streams.capture.coverage import Coverage
from streams.capture.page_fetcher import PageFetcher
from tests.streams.capture.world import World, envelope, names_of

STREAM = "submissions"

#: When all these lives begin, epoch seconds.
BIRTH = 1_700_000_000.0


class Notes:
    """A log that only remembers."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, Any]]] = []

    def _note(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.entries.append((level, event, fields))

    def debug(self, event: str, **fields: Any) -> None:
        self._note("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._note("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._note("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._note("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        self._note("exception", event, fields)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [fields for _, event, fields in self.entries if event == name]


class Killed(BaseException):
    """The process is gone, in the middle of whatever it did; nothing but this stage may catch that."""


@dataclass
class Clock:
    """Time that passes only when something waits, and what is due meanwhile."""

    now: float = BIRTH
    _due: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _count: "itertools.count[int]" = field(default_factory=itertools.count)

    def __call__(self) -> float:
        return self.now

    def at(self, moment: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._due, (moment, next(self._count), action))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            moment, _, action = heapq.heappop(self._due)
            self.now = max(self.now, moment)
            action()
        self.now = max(self.now, end)


class FakeContext(ChildContext):
    """A context whose waits move the fake clock; asks for stop when the time has come."""

    def __init__(self, clock: Clock, until: float, notes: Any) -> None:
        super().__init__(STREAM, notes, clock=clock)
        self._fake = clock
        self._until = until
        self.announced = 0
        self.turns = 0

    def wait(self, seconds: float) -> bool:
        self._fake.advance(max(0.01, seconds))
        if self._fake.now >= self._until:
            self.ask_stop()
        return self.stop.is_set()

    def beat(self) -> None:
        self.turns += 1
        if self._fake.now >= self._until:  # where answers are slow, nothing waits
            self.ask_stop()

    def announce(self, last_seq: int) -> None:
        self.announced = last_seq


class EasyQuota:
    """A limiter that always has room."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def state(self) -> Quota:
        return Quota(limit=1000.0, reset_at=self._clock() + 300.0)

    def exchange_wishes(self, own: Wishes) -> list[Wishes]:
        del own
        return []

    def requests_of_others(self) -> int:
        return 0


class MortalWriter(SpoolWriter):
    """A spool writer that meets a fate before or after its commit."""

    life: "Life"

    def commit(self, batch: Batch) -> int:
        fate = self.life.next_fate()
        if fate == "kill_before":
            raise Killed
        if fate == "full":
            self.life.in_flight = set()
            raise SpoolError("disk full")
        last_seq = super().commit(batch)
        self.life.committed(batch)
        self.life.check_promise(batch.cursor.get("proven_until"))
        if fate == "kill_after":
            raise Killed
        return last_seq


@dataclass
class Life:
    """World, clock, spool and fates of one stream. `fates` says what goes wrong at the n-th request or commit."""

    directory: Path
    world: World
    fates: dict[int, str] = field(default_factory=dict)
    config: Config = field(default_factory=Config)
    start: str = "backlog"
    clock: Clock = field(default_factory=Clock)
    #: when each subreddit was requested for the first time: what had passed through its listing before is nobody's loss
    first_asked: dict[str, float] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    down_for: float = 0.0
    #: longest path of a request; short ones make several groups of few names
    path_limit: int = 6000
    #: seconds from a request to its answer
    latency: float = 0.1
    kills: int = 0
    in_flight: set[str] = field(default_factory=set)
    #: moments and paths of all requests
    asked: list[tuple[float, str]] = field(default_factory=list)
    #: whether this Reddit answers /api/info?sr_name=…, and how often it was requested
    describes: bool = False
    described: int = 0
    operations: int = 0
    #: rounds of the working loop
    turns: int = 0
    _until: float = 0.0

    def __post_init__(self) -> None:
        self.asks: Callable[..., dict[str, Any]] = self.world.answer
        self.config = replace(self.config, streams=replace(self.config.streams, start=self.start))
        self.configure(self.world.subreddits)

    @property
    def subreddits(self) -> tuple[str, ...]:
        return self.config.reddit.subreddits

    def configure(self, subreddits: tuple[str, ...]) -> None:
        """Change the configuration; the next start reads it."""
        self.config = replace(self.config, reddit=replace(self.config.reddit, subreddits=subreddits))

    def next_fate(self) -> str:
        self.operations += 1
        return self.fates.get(self.operations, "")

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Be the gateway: one request, which takes its time and may fail. See streams.capture.page_fetcher.Getter."""
        del priority
        self._took_in()
        if path == "/api/info":
            return self._describe(str(params["sr_name"]).split(","))
        names = path.split("/")[2].split("+")
        for name in names:
            self.first_asked.setdefault(name.lower(), self.clock.now)
        self.clock.advance(self.latency)
        self.asked.append((self.clock.now, path))
        fate = self.next_fate()
        if fate == "kill_before":
            raise Killed
        if fate == "unreachable":
            raise Unreachable("connection reset")
        if fate == "bad":
            raise BadAnswer("HTML instead of JSON")
        if fate == "empty":
            return envelope([])
        after = params.get("after")
        given: dict[str, Any] = {"before": params["before"]} if "before" in params else {}
        answer = self.asks(names, str(after) if after is not None else None, int(params["limit"]), **given)
        self.in_flight = names_of(answer)
        if fate == "kill_after":
            raise Killed
        return answer

    def _describe(self, names: list[str]) -> object:
        """Describe subreddits as /api/info does, where this Reddit can."""
        self.clock.advance(self.latency)
        self.described += 1
        if not self.describes:
            raise RequestRejected(404, "Reddit answered 404")
        bad = {*self.world.closed, *self.world.refusals}
        return envelope([{"kind": "t5", "data": {"display_name": name}} for name in names if name not in bad])

    def clock_offset(self) -> float:
        """Return Reddit's clock minus ours, as far as we know."""
        return 0.0

    def clock_bounds(self) -> tuple[float, float]:
        """Return the least and the greatest difference that a stream may count with."""
        return self.clock_offset(), self.clock_offset()

    def committed(self, batch: Batch) -> None:
        """Look at what was committed, just after it was."""

    def _took_in(self) -> None:
        self.world.shown |= self.in_flight
        self.in_flight = set()

    def run(self, seconds: float) -> None:
        """Live so long, being started again after each kill."""
        self._until = self.clock.now + seconds
        while self.clock.now < self._until:
            try:
                self._incarnation()
                self._took_in()
            except Killed:
                self.kills += 1
                self.in_flight = set()
                self.clock.advance(1.0 + self.down_for)
                self.down_for = 0.0

    def kill(self, down_for: float = 0.0) -> None:
        """Be killed at the next request or commit, and stay down so long."""
        self.fates[self.operations + 1] = "kill_before"
        self.down_for = down_for

    def _incarnation(self) -> None:
        context = FakeContext(self.clock, self._until, self.notes)
        writer = MortalWriter(self.directory, STREAM, clock=self.clock)
        writer.life = self
        # half of what a listing of this world holds
        surely_whole = patch("streams.capture.poll._SURELY_WHOLE", self.world.cap // 2)
        with writer, surely_whole, ExitStack() as after:
            after.callback(lambda: setattr(self, "turns", self.turns + context.turns))
            self.capture(writer, context)

    def capture(self, writer: SpoolWriter, context: FakeContext) -> None:
        """Be the process, with its spool open."""
        self.make(writer, context, stream_config(self.config, STREAM)).run()

    def make(self, writer: SpoolWriter, context: FakeContext, config: StreamConfig, **more: Any) -> Capture:
        """Build the capture as a start does."""
        clock, names = self.clock, config.subreddits
        shared = self.subreddits if config.cluster else ()
        coverage = Coverage(
            writer, STREAM, names, clock=clock, offset=self.clock_offset, bounds=self.clock_bounds, shared=shared
        )
        fetcher = PageFetcher(self, context, STREAM, clock)
        limiter: Any = EasyQuota(clock)
        clocks: dict[str, Any] = {"clock": clock, "wall": clock, "draw": lambda: 0.5, "path_limit": self.path_limit}
        return Capture(config, context, coverage, fetcher, limiter, **clocks, **more)

    def check_promise(self, proven_until: object) -> None:
        """What was listed and created before the proven moment is captured, or lies in a gap."""
        if not isinstance(proven_until, dict) or (len(self.world.things) > 1000 and self.operations % 97):
            return  # the whole spool is read: in long lives only now and then
        ours = {name.lower() for name in self.subreddits}
        bounds = {
            name: (self.first_asked.get(name.lower(), float("inf")), proven_until.get(name.lower(), 0.0))
            for name in {thing.subreddit for thing in self.world.things.values()}
            if name.lower() in ours
        }
        due = [
            thing
            for thing in self.world.things.values()
            if thing.surfaced
            and not (thing.removed or thing.late)
            and thing.subreddit in bounds
            and bounds[thing.subreddit][0] < thing.created < bounds[thing.subreddit][1]
        ]
        captured, gaps = set(self.spooled()) if due else set(), self.gaps()
        broken = [
            thing
            for thing in due
            if thing.name not in captured
            and not any(thing.subreddit in gap.unproven and gap.admits(thing.created) for gap in gaps)
        ]
        assert broken == [], f"proven until {proven_until}, and no gap admits these: {gaps}"

    def spooled(self) -> list[str]:
        """Return the keys of the spool, in order."""
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        try:
            return [row.key.decode() for row in reader.read(0, 1_000_000)]
        finally:
            reader.close()

    def proven_until(self) -> dict[str, float]:
        """Return the moments up to which the stream claims that nothing is missing."""
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        try:
            moments = reader.cursor()["proven_until"]
            assert isinstance(moments, dict)
            return moments
        finally:
            reader.close()

    def gaps_open(self) -> bool:
        """Tell whether a subreddit is set aside just now."""
        return any(gap.end is None for gap in self.gaps())

    def gaps(self) -> list[Gap]:
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        try:
            return reader.gaps()
        finally:
            reader.close()
