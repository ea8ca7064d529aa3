"""Several machines: each audits only what it captures itself, from the moment at which it began."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from core.cluster.shards import shard_of
from core.config.slices import ClusterConfig, StreamConfig
from core.spool import Batch, SpoolWriter
from core.spool.name_index_writer import NameIndexWriter
from core.spool.stream_state import ShardNote, StateChange
from streams.audit.runner import Ages, AuditRunner
from tests.streams.audit.stage import SUBREDDITS, Stage, settings
from tests.streams.capture.life import BIRTH, Clock, Notes

SHARDS = 4
NAMES = tuple(name.lower() for name in SUBREDDITS)


def of(shards: set[int]) -> set[str]:
    return {name for name in NAMES if shard_of(name, SHARDS) in shards}


class Machine:
    """A stream's files on one machine, without requests."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        stage = Stage(directory / "unused", settings(submissions_per_second=0.0, comments_per_second=0.0))
        for stream in stage.streams.values():
            stream.kill()
        cluster = ClusterConfig("one", "group", SHARDS, 6.0, "client")
        self.config: StreamConfig = replace(stage.streams["comments"].config, state_dir=directory, cluster=cluster)
        self.writer = SpoolWriter(directory, "comments", clock=self.clock)
        self.index = NameIndexWriter(directory, "comments", self.clock)
        self.index.begin(self.writer.spool_id, 0, self.writer.keys_after)
        log: Any = Notes()
        self.runner = AuditRunner(self.config, _nothing, log, Ages(10.0, 10.0, 1.0), self.clock, Random(1))

    def own(self, terms: Mapping[int, str]) -> dict[str, float]:
        """Own these shards, each with its term, and prove everything until now; return since when it is audited."""
        self.clock.advance(100.0)
        notes = {shard: ShardNote(term, 0, 0) for shard, term in terms.items()}
        until = dict.fromkeys(of(set(terms)), self.clock.now)
        self.writer.commit(Batch(cursor=StateChange(shards=notes, proven_until=until).entries()))
        self.runner.scope()
        self.clock.advance(100.0)
        self.writer.commit(Batch(cursor=StateChange(proven_until=dict.fromkeys(until, self.clock.now)).entries()))
        return dict(self.runner.scope().since)


def _nothing(_path: str, _params: dict[str, str | int]) -> object:
    raise AssertionError("no request is expected")


def test_only_the_subreddits_of_own_shards_are_audited(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.runner.scope().since == {}
    since = machine.own({0: "a", 1: "a"})
    assert since.keys() == of({0, 1})
    assert set(since.values()) <= {BIRTH + 100.0}


def test_a_shard_that_comes_is_audited_from_then_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first = machine.own({0: "a", 1: "a"})
    second = machine.own({0: "a", 1: "a", 2: "b", 3: "b"})
    assert second.keys() == set(NAMES)
    for name in NAMES:
        assert second[name] == first.get(name, BIRTH + 300.0)


def test_a_shard_that_was_away_is_audited_from_its_return_on(tmp_path: Path) -> None:
    """Another machine captured it meanwhile, even if nobody looked here while it was away."""
    machine = Machine(tmp_path)
    shards = dict.fromkeys(range(SHARDS), "a")
    machine.own(shards)
    returned = machine.own({**shards, 0: "later", 1: "later"})
    for name in NAMES:
        later = shard_of(name, SHARDS) in {0, 1}
        assert returned[name] == BIRTH + (300.0 if later else 100.0)
