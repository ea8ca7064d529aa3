"""One stream's life in a storm of bad answers, on a fake clock: the real client and capture, the simulator's answers.

Checked all the time: `proven_until` never runs ahead of what was captured, and the quota is kept. At the end: items of
every subreddit flow again within a minute, and nothing is missing outside the gaps.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from core.config.slices import RedditAccess, reddit_access
from core.reddit.limiter import Limiter
from core.reddit.quota import WINDOW, Priority
from core.spool import Batch, Gap
from simulator.item import Item, Kind
from simulator.settings import Settings
from simulator.simulation import Simulation
from streams.reddit import praw_client
from tests.fuzz.badness import Scene, rule
from tests.fuzz.transport import URL, Transport
from tests.streams.capture.life import Clock, FakeContext, Life
from tests.streams.capture.world import World

SUBREDDITS = ("Alpha", "Beta", "Gamma", "Delta")
_SCENE = Scene(SUBREDDITS)
PER_MINUTE = 600
#: everything flows again within this time after the last bad answer, seconds
RECOVERY = 60.0
#: time to read the intervals that the storm left open, or to declare them lost, seconds
SETTLE = 1200.0


@dataclass
class StreamLife(Life):
    """A life whose requests go through the real PrawClient to a simulation."""

    seed: int = 0
    broken: list[str] = field(default_factory=list)
    #: fullnames that the spool ever held
    captured: set[str] = field(default_factory=set)
    _open: dict[str, Item] = field(default_factory=dict)
    _looked_at: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dice = random.Random(f"{self.seed} storm")
        self.clock_error = self.dice.choice((0.0, 0.0, 0.0, 45.0, -90.0, 7200.0))
        settings = Settings(
            seed=self.seed, subreddits=SUBREDDITS, submissions_per_second=self.dice.choice((0.2, 1.0, 4.0, 12.0)),
            comments_per_second=0.0, cap=400, quota=PER_MINUTE * 10, window=WINDOW, late_share=0.0,
            backlog=self.dice.choice((0, 150)), clock_offset=self.clock_error,
        )  # fmt: skip
        self.simulation = Simulation(settings, self.clock)
        self.transport = Transport(self.simulation, self.clock)
        reddit = replace(
            self.config.reddit, reddit_url=URL, oauth_url=URL, client_id="id", client_secret="secret",
            user_agent="python:gapless-tests:1 (by /u/nobody)", requests_per_minute=PER_MINUTE,
        )  # fmt: skip
        self.config = replace(self.config, reddit=reddit)
        self._praw_client: praw_client.PrawClient | None = None

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Send a request through the real PrawClient."""
        if self._praw_client is None:
            context = FakeContext(self.clock, self._until, self.notes)
            limiter = Limiter(self.directory, "submissions", PER_MINUTE, clock=self.clock)
            access = reddit_access(self.config)
            self._praw_client = praw_client.PrawClient(
                access, context, limiter, clock=self.clock, connect=self._connect
            )
        return self._praw_client.get(path, params, priority)

    def run(self, seconds: float) -> None:
        """Run for this time, with a new client."""
        self._praw_client = None
        super().run(seconds)

    def clock_offset(self) -> float:
        """Return the offset that the client read from the answers' dates."""
        if self._praw_client is None:
            return 0.0
        offset: float = self._praw_client.server_clock.offset
        return offset

    def clock_bounds(self) -> tuple[float, float]:
        """Return the bounds that the client keeps."""
        return (0.0, 0.0) if self._praw_client is None else self._praw_client.server_clock.bounds

    def _connect(self, access: RedditAccess) -> praw_client.Connection:
        return self.transport.attach(praw_client.Connection(access))

    def storm(self, answers: int) -> None:
        """Run until this number of answers came, with bad ones among them."""
        end = self.transport.answers + answers
        while self.transport.answers < end and not self.broken:
            # between two runs the stream is stopped and started again
            seconds = self.dice.uniform(20.0, 300.0)
            moment = self.clock.now
            while (moment := moment + self.dice.uniform(0.5, 8.0)) < self.clock.now + seconds:
                self.clock.at(moment, self._trouble)
            self.run(seconds)
            silent = self.clock.now - self.transport.asked[-1]
            if silent > WINDOW + RECOVERY + seconds:
                self.broken.append(f"no request for {silent:.0f} s: Reddit's window has {WINDOW:g} s")
        self.simulation.rules.remove(None)

    def _trouble(self) -> None:
        """Start some troubles."""
        for _ in range(self.dice.randint(0, 2)):
            self.simulation.rules.add(rule(self.dice, _SCENE), self.clock.now)
        if self.dice.random() < 0.05:
            burst = self.dice.choice((5.0, 40.0))
            self.simulation.world.arrivals[Kind.SUBMISSIONS].set(burst, self.simulation.now(), 5.0)

    def committed(self, batch: Batch) -> None:
        """Check the claims of a commit."""
        self.captured.update(record.key.decode() for record in batch.records)
        proven = batch.cursor.get("proven_until")
        if isinstance(proven, dict):
            self._check_proven(proven)
        self._check_quota()

    def _check_proven(self, proven: dict[str, Any]) -> None:
        wanted = [
            item
            for item in self._uncaptured()
            if item.created_utc < proven.get(item.subreddit.lower(), 0.0) and item.removed_at is None
        ]
        gaps = self.gaps() if wanted else []
        for item in wanted:
            if _admitted(item, gaps):
                # a gap is never withdrawn, whatever happens to it
                del self._open[item.fullname]
            else:
                ahead = proven[item.subreddit.lower()] - item.created_utc
                self.broken.append(f"{item.fullname} is not captured, proven_until is {ahead:g} s beyond it")

    def _uncaptured(self) -> list[Item]:
        """Return the items that were in a listing, are not in the spool, and were in no gap at the last check."""
        items = self.simulation.world.items
        for name, item in islice(items.items(), self._looked_at, None):
            if item.kind is Kind.SUBMISSIONS:
                self._open[name] = item
        self._looked_at = len(items)
        for name in self._open.keys() & self.captured:
            del self._open[name]
        return [item for item in self._open.values() if item.surfaced_at is not None]

    def _check_quota(self) -> None:
        asked = self.transport.asked
        recent = sum(moment > self.clock.now - WINDOW for moment in asked[-10_000:])
        if recent > 1.05 * PER_MINUTE * WINDOW / 60 + 10:
            self.broken.append(f"{recent} requests in {WINDOW:g} s, {PER_MINUTE * WINDOW / 60:g} are allowed")

    def recover(self) -> float:
        """Return the seconds after the last bad answer until an item of each subreddit that came then was captured."""
        began = self.clock.now
        self.simulation.world.arrivals[Kind.SUBMISSIONS].set(4.0, self.simulation.now())
        while self.clock.now < began + 15 * 60.0:
            self.run(2.0)
            fresh = {
                item.subreddit
                for item in self.simulation.world.truth(Kind.SUBMISSIONS)
                if item.created > began and item.fullname in self.captured
            }
            if len(fresh) == len(SUBREDDITS):
                break
        return self.clock.now - began

    def settle(self) -> list[Item]:
        """Stop new items, wait for open work, and return what is missing outside the gaps."""
        self.simulation.world.arrivals[Kind.SUBMISSIONS].pause(self.simulation.now())
        end = self.clock.now + SETTLE
        while self.clock.now < end:
            self.run(60.0)
            if not self._missing():
                break
        return self._missing()

    def _missing(self) -> list[Item]:
        gaps = self.gaps()
        return [
            item
            for item in self._uncaptured()
            if (item.removed_at is None or item.shown_at is not None) and not _admitted(item, gaps)
        ]


def _admitted(item: Item, gaps: list[Gap]) -> bool:
    """Return whether a gap covers the item, even a gap that is closed by now."""
    return any(
        item.subreddit.lower() in {name.lower() for name in gap.subreddits}
        and (gap.start is None or gap.start <= item.created + item.clock_offset)
        and (gap.end is None or item.created_utc <= gap.end)
        for gap in gaps
    )


def born(directory: Path, seed: int, log: Callable[[str], None] = lambda _: None) -> StreamLife:
    """Return the life of this seed."""
    life = StreamLife(directory, World(SUBREDDITS), clock=Clock(), seed=seed)
    log(f"seed {seed}: Reddit's clock is {life.clock_error:+g} s off")
    return life
