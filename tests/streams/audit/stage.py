"""Both streams under a fake clock: the real polls, spools and audit against the simulator, all in this process."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson

from core.config import Config
from core.config.slices import StreamConfig, stream_config
from core.reddit.quota import Priority
from core.reddit.request_errors import RequestRejected
from core.spool import Gap, SpoolReader, SpoolWriter
from core.spool.name_index_writer import NameIndexWriter
from core.status.audit_store import Observation, audit_path, read_observations
from core.storage.sqlite import connect_readonly
from simulator.item import Item
from simulator.settings import Settings
from simulator.simulation import Simulation
from streams.audit.runner import Ages, AuditRunner
from streams.capture.audit_finds import AuditFinds
from streams.capture.coverage import Coverage
from streams.capture.poll import ListingPoll
from streams.reddit.listing_page import listing_path, parse_page
from tests.streams.capture.life import BIRTH, Clock, FakeContext, Notes

SUBREDDITS = ("Alpha", "Beta", "Gamma", "Delta")
AGES = Ages(item=60.0, post=600.0, confirm=15.0)

#: Seconds between two polls.
_POLL_EVERY_S = 60.0


def settings(**changed: Any) -> Settings:
    """Return a world in which nothing is late or removed, and ids are sequential."""
    plain = Settings(
        subreddits=SUBREDDITS,
        submissions_per_second=0.05,
        comments_per_second=0.6,
        sequential_ids=True,
        count_comments=True,
        late_share=0.0,
        removed_share=0.0,
        anonymous=True,
    )
    return replace(plain, **changed)


class Stream:
    """The process of one stream, as far as the audit meets it."""

    def __init__(self, stage: "Stage", name: str) -> None:
        self.name, self._stage = name, stage
        self.config: StreamConfig = stream_config(stage.config, name)
        self.context = FakeContext(stage.clock, float("inf"), stage.notes)
        self.writer = SpoolWriter(stage.directory, name, subreddits=SUBREDDITS, clock=stage.clock)
        self.index = NameIndexWriter(stage.directory, name, stage.clock)
        self.index.begin(self.writer.spool_id, self.writer.last_seq(), self.writer.keys_after)
        self.coverage = Coverage(self.writer, name, SUBREDDITS, clock=stage.clock, captured=self.index.add, full=True)
        self.finds = AuditFinds(self.coverage, self.context, stage.directory, SUBREDDITS, self.index, clock=stage.clock)

    def poll(self) -> None:
        """Read the combined listing down to what is proven."""
        log: Any = self._stage.notes
        poll = ListingPoll(SUBREDDITS, self.coverage, log, start="backlog")
        while not poll.done:
            asked, began = poll.next(), self.coverage.now()
            params: dict[str, str | int] = {"limit": asked.limit}
            if asked.after is not None:
                params["after"] = asked.after
            answer = self._stage.get(listing_path(SUBREDDITS, self.name), params, Priority.STREAM)
            poll.take(parse_page(answer, self.name), asked, began)

    def kill(self) -> None:
        """End without another write of the index."""
        self.writer.close()

    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the records of the spool: key and content."""
        reader = SpoolReader.open(self._stage.directory, self.name)
        assert reader is not None
        try:
            return [(row.key.decode(), json.loads(row.value)) for row in reader.read(0, 1_000_000)]
        finally:
            reader.close()

    def gaps(self) -> list[Gap]:
        return list(self.coverage.gaps.values())


class Stage:
    """World, clock and streams."""

    def __init__(self, directory: Path, world: Settings) -> None:
        self.directory = directory
        self.clock = Clock()
        self.simulation = Simulation(world, self.clock)
        self.notes = Notes()
        base = Config()
        self.config = replace(
            base,
            reddit=replace(base.reddit, subreddits=SUBREDDITS),
            supervisor=replace(base.supervisor, state_dir=directory),
        )
        #: moment and path of each request
        self.asked: list[tuple[float, str]] = []
        self.streams = {name: Stream(self, name) for name in ("submissions", "comments")}

    def get(self, path: str, params: dict[str, str | int], priority: Priority = Priority.SCRAPER) -> object:
        """Send one request, which takes a tenth of a second."""
        del priority
        self.asked.append((self.clock.now, path))
        self.clock.advance(0.1)
        query = {key: str(value) for key, value in params.items()} | {"raw_json": "1"}
        answer = self.simulation.reddit.data(f"{path}.json", query, None, self.simulation.now())
        if answer.status != 200:
            raise RequestRejected(answer.status, f"Reddit answered {answer.status}")
        return orjson.loads(answer.body)

    def run(self, seconds: float) -> None:
        """Capture for this time."""
        until = self.clock.now + seconds
        first = not self.asked
        while self.clock.now < until:
            for stream in self.streams.values():
                stream.poll()
                stream.finds.step()
            if first:  # the background audit notes at the start what is captured
                for name in self.streams:
                    self.runner(name).scope()
                first = False
            self.clock.advance(_POLL_EVERY_S)

    def restart(self, name: str) -> Stream:
        """Kill the process of a stream, and start it again."""
        self.streams[name].kill()
        self.streams[name] = Stream(self, name)
        return self.streams[name]

    def runner(self, name: str, seed: int = 1) -> AuditRunner:
        log: Any = self.notes
        config = self.streams[name].config
        return AuditRunner(config, self.get, log, AGES, self.clock, Random(seed))

    def audit(self, runner: AuditRunner, steps: int) -> None:
        """Let the audit send this number of requests, and what it found be captured."""
        name = runner.config.stream
        for _ in range(steps):
            runner.step()
            self.clock.advance(5.0)
        self.clock.advance(AGES.confirm)
        while runner.store.pending(self.clock.now, 1):
            assert runner.second_look()
            self.clock.advance(5.0)
        for _ in range(50):
            self.streams[name].finds.step()

    def observed(self, name: str) -> list[Observation]:
        return read_observations(self.directory, name, 0.0, float("inf"))

    def names(self, name: str, outcome: str) -> list[str]:
        """Return the names of the observed items with this outcome, in the order of the observations."""
        with closing(connect_readonly(audit_path(self.directory, name))) as connection:
            rows = connection.execute("SELECT name FROM observations WHERE outcome = ? ORDER BY id", (outcome,))
            return [row for (row,) in rows]

    def hidden(self, kind: str) -> list[Item]:
        """Return the items that some listing did not show."""
        return [item for item in self.simulation.world.truth() if item.kind == kind and item.hidden is not None]


def outcomes(observed: Sequence[Observation]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in observed:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    return counts


__all__ = ["AGES", "BIRTH", "SUBREDDITS", "Stage", "outcomes", "settings"]
