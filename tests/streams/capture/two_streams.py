"""Both streams of an installation against the simulated Reddit, in virtual time: the real capture, spools and quota."""

import heapq
import itertools
import random
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from core.config import Config
from core.config.slices import stream_config
from core.reddit.limiter import Limiter, Wait
from core.reddit.quota import Priority, RateHeaders
from core.reddit.request_errors import QuotaShort, RequestRejected, Stopped, Unavailable
from core.spool import Gap, SpoolReader, SpoolWriter
from simulator.crawl.things import State
from simulator.item import Item
from simulator.settings import Settings
from simulator.simulation import Simulation
from streams.capture.capture_loop import Capture
from streams.capture.coverage import Coverage
from streams.capture.page_fetcher import PageFetcher
from streams.capture.shared_findings import SharedFindings
from tests.streams.capture.life import BIRTH, FakeContext, Notes

STREAMS = ("comments", "submissions")

#: of all items; the rest are comments
_SUBMISSIONS = 0.12
_LATENCY_S = 0.15
_GRANT = "client_credentials"
_UNAVAILABLE = (State.PRIVATE, State.BANNED, State.MISSING)
#: what surfaced later than this after its creation has no meaningful delay, seconds
_AT_ONCE_S = 0.5
_REASONS = {302: "missing", 403: "private", 404: "banned"}


class SharedTime:
    """A clock that several threads share: one runs at a time, and time passes while all of them wait."""

    def __init__(self) -> None:
        self.now = BIRTH
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._count = itertools.count()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait; whoever is due first runs next."""
        turn = threading.Semaphore(0)
        heapq.heappush(self._waiting, (self.now + seconds, next(self._count), turn))
        self.next_one()
        turn.acquire()

    def next_one(self) -> None:
        """Move to the next moment at which somebody is due."""
        if self._waiting:
            moment, _, turn = heapq.heappop(self._waiting)
            self.now = max(self.now, moment)
            turn.release()

    def run(self, *actors: Callable[[], object]) -> None:
        """Run the actors, each in a thread, until all have ended; raise what one of them raised."""
        errors: list[BaseException] = []

        def act(actor: Callable[[], object], turn: threading.Semaphore) -> None:
            turn.acquire()
            try:
                actor()
            except BaseException as error:  # noqa: BLE001 (raised below)
                errors.append(error)
            self.next_one()

        threads = []
        for actor in actors:
            turn = threading.Semaphore(0)
            heapq.heappush(self._waiting, (self.now, next(self._count), turn))
            threads.append(threading.Thread(target=act, args=(actor, turn)))
        for thread in threads:
            thread.start()
        self.next_one()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


class Waiting(FakeContext):
    """A context whose waits pass the shared time."""

    def __init__(self, stream: str, time: SharedTime, until: float, notes: Notes) -> None:
        super().__init__(time, until, notes)  # type: ignore[arg-type]
        self.name = stream
        self._time = time

    def wait(self, seconds: float) -> bool:
        self._time.sleep(max(0.01, seconds))
        self.beat()
        return self.stop.is_set()


@dataclass
class TwoStreams:
    """An installation of two streams. `run` continues it; the requests and delays are those since its beginning.

    Args:
        directory: for the spools and the quota.
        subreddits: number of names; their rates are Zipf's.
        items: per second, of all of them.
        unavailable: share of the names that cannot be read.
    """

    directory: Path
    subreddits: int
    items: float
    unavailable: float = 0.0
    backlog: int = 5000
    #: seed of the names that cannot be read; None: they are evenly spread
    draw: int | None = None
    config: Config = field(default_factory=Config)
    time: SharedTime = field(default_factory=SharedTime)
    notes: dict[str, Notes] = field(default_factory=lambda: {stream: Notes() for stream in STREAMS})
    #: moment, stream and path of each request
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    began: float = BIRTH

    def __post_init__(self) -> None:
        names = tuple(f"Subreddit_{number:05d}" for number in range(self.subreddits))
        self.config = replace(self.config, reddit=replace(self.config.reddit, subreddits=names))
        settings = Settings(
            seed=1,
            subreddits=names,
            comments_per_second=self.items * (1 - _SUBMISSIONS),
            submissions_per_second=self.items * _SUBMISSIONS,
            backlog=self.backlog,
            removed_share=0.01,
            removed_seconds=(60.0, 300.0),
        )
        self.simulation = Simulation(settings, self.time)
        answer = self.simulation.reddit.token(f"Basic {b64encode(b'client:secret').decode()}", _GRANT, self.time.now)
        self.token = orjson.loads(answer.body)["access_token"]
        step = round(1 / self.unavailable) if self.unavailable else 0
        bad = names[step // 2 :: step] if step else ()
        if self.draw is not None:
            bad = tuple(random.Random(self.draw).sample(names, len(bad)))
        for number, name in enumerate(bad):
            self.simulation.world.set_state(name, _UNAVAILABLE[number % len(_UNAVAILABLE)], self.time.now)

    def run(self, seconds: float) -> None:
        """Run both streams for some seconds."""
        until = self.time.now + seconds
        self.time.run(*(partial(self._capture, stream, until) for stream in STREAMS))

    def _capture(self, stream: str, until: float) -> None:
        time: Any = self.time
        context = Waiting(stream, self.time, until, self.notes[stream])
        config = stream_config(self.config, stream)
        limiter = Limiter(self.directory, stream, config.requests_per_minute, clock=time)
        with SpoolWriter(self.directory, stream, subreddits=config.subreddits, clock=time) as writer:
            coverage = Coverage(writer, stream, config.subreddits, clock=time)
            fetcher = PageFetcher(_Client(self, stream, context, limiter), context, stream, time)
            findings = SharedFindings(self.directory, stream, time)
            clocks: dict[str, Any] = {"clock": time, "wall": time, "draw": lambda: 0.5}
            Capture(config, context, coverage, fetcher, limiter, findings=findings, **clocks).run()

    # -- what happened ------------------------------------------------------------------------------------------------

    def most_in_a_minute(self) -> int:
        """Return the most requests within any 60 seconds."""
        moments = [moment for moment, *_ in self.asked]
        return max(sum(at - 60.0 < one <= at for one in moments) for at in moments)

    def minutes(self) -> list[int]:
        """Return the requests of each minute."""
        counts = Counter(int((moment - BIRTH) // 60) for moment, *_ in self.asked)
        return [counts[minute] for minute in range(max(counts) + 1)]

    def delays(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """Return in order the delays of items created in this time; one that was never shown counts as very late."""
        return sorted(
            (float("inf") if item.shown_at is None else item.shown_at) - item.created
            for item in self._due(since, until)
            if (item.surfaced_at or 0.0) - item.created < _AT_ONCE_S
        )

    def _due(self, since: float, until: float) -> list[Item]:
        until = min(until + BIRTH, self.time.now - 90.0)
        return [
            item
            for item in self.simulation.world.truth()
            if BIRTH + since < item.created < until and item.surfaced_at is not None and _stood(item)
        ]

    def lost(self) -> list[str]:
        """Return the items that were listed and not removed, and are neither captured nor in a gap."""
        spooled, gaps = self._spools()
        return [
            item.fullname
            for item in self._due(0.0, float("inf"))
            if item.removed_at is None
            and item.fullname not in spooled
            and not any(item.subreddit in gap.unproven and gap.admits(item.created_utc) for gap in gaps)
        ]

    def _spools(self) -> tuple[set[str], list[Gap]]:
        names: set[str] = set()
        gaps: list[Gap] = []
        for stream in STREAMS:
            reader = SpoolReader.open(self.directory, stream)
            assert reader is not None
            names.update(row.key.decode() for row in reader.read(0, 1_000_000))
            gaps += reader.gaps()
            reader.close()
        return names, gaps


def _stood(item: Item) -> bool:
    return item.removed_at is None or item.removed_at - (item.surfaced_at or 0.0) > 60.0


@dataclass(slots=True)
class _Client:
    """Requests pages of the simulated Reddit with a grant of the shared quota."""

    system: TwoStreams
    stream: str
    context: Waiting
    limiter: Limiter

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Send one request. See streams.capture.page_fetcher.PageGetter."""
        time = self.system.time
        while isinstance(grant := self.limiter.ask(priority), Wait):
            if priority is not Priority.STREAM:
                raise QuotaShort("reserved")
            if self.context.wait(min(5.0, grant.seconds)):
                raise Stopped
        self.system.asked.append((time.now, self.stream, path if "after" not in params else f"{path}?after"))
        time.sleep(_LATENCY_S)
        simulation = self.system.simulation
        simulation.now()
        query = {key: str(value) for key, value in params.items()}
        answer = simulation.reddit.data(path, query, f"Bearer {self.system.token}", time.now)
        headers = {key.lower(): value for key, value in answer.headers.items()}
        read = RateHeaders(*(float(headers[f"x-ratelimit-{name}"]) for name in ("used", "remaining", "reset")))
        self.limiter.answered(grant, str(answer.status), read)
        if answer.status in _REASONS:
            raise Unavailable(_REASONS[answer.status])
        if answer.status != 200:
            raise RequestRejected(answer.status, f"Reddit answered {answer.status}")
        simulation.written(answer)
        return orjson.loads(answer.body)
