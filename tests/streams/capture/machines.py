"""Several machines over one small Reddit: real spools and mailboxes, and a topic that is a list.

The publisher of each machine is played as docs/internals.md describes it ("Several machines").
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from core.cluster.mailbox import Adoption, Leftover, MailboxWriter, Name, ShardState
from core.cluster.shards import shard_of, subreddit_of
from core.config.slices import ClusterConfig, stream_config
from core.spool import Gap, Row, SpoolReader, SpoolWriter
from core.spool.batch_tables import row_of_gap
from core.spool.stream_state import StreamState
from streams.capture.leftovers import created_of
from streams.capture.own_shards import OwnShards
from streams.capture.shard_process import capture_shards
from streams.positions.publisher_store import Position, PublisherStore
from tests.streams.capture.life import STREAM, Clock, FakeContext, Life
from tests.streams.capture.world import World

SHARDS = 4


@dataclass
class Machine(Life):
    """One machine: its stream as in any life, and its publisher."""

    cluster: "Cluster | None" = None
    name: str = "a"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.directory.mkdir(exist_ok=True)
        self.mailbox = MailboxWriter(self.directory)
        self.positions = PublisherStore.open(self.directory, structlog.stdlib.get_logger("test"))

    def capture(self, writer: SpoolWriter, context: FakeContext) -> None:
        section = ClusterConfig(self.name, "group", SHARDS, 6.0, "")
        config = replace(stream_config(self.config, STREAM), cluster=section, state_dir=self.directory)
        clocks: dict[str, Any] = {"clock": self.clock, "wall": self.clock}
        shards = OwnShards(writer, config, section, context, opened_at=self.clock.now, **clocks)

        def make(names: tuple[str, ...]) -> Any:
            return self.make(writer, context, replace(config, subreddits=names), shards=shards)

        try:
            capture_shards(context, writer, shards, make)
        finally:
            shards.close()

    def check_promise(self, proven_until: object) -> None:
        """The promise is that of all machines together: see `Cluster.assert_complete`."""

    def reader(self) -> SpoolReader:
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        return reader

    def spool_id(self) -> str:
        """Return the id of its spool, which it makes at its first start."""
        if SpoolReader.open(self.directory, STREAM) is None:
            SpoolWriter(self.directory, STREAM, clock=self.clock).close()
        reader = self.reader()
        try:
            return reader.spool_id
        finally:
            reader.close()

    def counters(self) -> dict[str, int]:
        reader = self.reader()
        try:
            return reader.counters()
        finally:
            reader.close()

    def position(self) -> int:
        return max((one.seq for one in self.positions.positions()), default=0)

    def held(self) -> set[int]:
        """Return the shards that the spool notes."""
        reader = self.reader()
        try:
            return set(reader.stream_state().shards)
        finally:
            reader.close()


@dataclass
class Cluster:
    """The machines, and what they share: Reddit, the topic with its state, and the topic of leftovers."""

    directory: Path
    world: World
    start: str = "backlog"
    clock: Clock = field(default_factory=Clock)
    machines: dict[str, Machine] = field(default_factory=dict)
    topic: list[str] = field(default_factory=list)
    names: dict[int, dict[str, Name]] = field(default_factory=lambda: defaultdict(dict))
    states: dict[int, ShardState] = field(default_factory=dict)
    control: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    owners: dict[int, Machine] = field(default_factory=dict)
    terms: dict[int, str] = field(default_factory=dict)
    moves: int = 0
    #: when each subreddit was first requested by a machine that has written a state since
    promised: dict[str, float] = field(default_factory=dict)

    def machine(self, name: str) -> Machine:
        """Return a machine; a new one has an empty directory."""
        if name not in self.machines:
            self.machines[name] = Machine(
                self.directory / name, self.world, start=self.start, clock=self.clock, cluster=self, name=name
            )
            self.machines[name].spool_id()
        return self.machines[name]

    # -- who owns what -----------------------------------------------------------------------------------------------

    def move(self, name: str, *shards: int) -> None:
        """Make a machine the owner of these shards; the machine that had them is told."""
        machine = self.machine(name)
        for shard in shards or range(SHARDS):
            former = self.owners.get(shard)
            if former is not None and former is not machine:
                former.mailbox.release([shard])
            self.moves += 1
            self.owners[shard], self.terms[shard] = machine, f"term-{self.moves}"
            self.give(machine, shard)

    def give(self, machine: Machine, shard: int) -> None:
        """Put the state of a shard into the mailbox of its owner."""
        spool_id = machine.spool_id()
        state = self.states.get(shard)
        state = None if state is None or state.spool_id == spool_id else state
        if state is not None:
            machine.mailbox.store_names(shard, STREAM, self.names[shard].values())
        adoption = Adoption(shard, self.terms[shard], state, spool_id)
        machine.mailbox.own(shard, self.clock(), {STREAM: adoption})

    # -- the publishers ----------------------------------------------------------------------------------------------

    def publish(self, name: str, most: int = 1_000_000) -> None:
        """Send what may be sent of a spool, hand over what belongs to others, and write the states."""
        machine = self.machine(name)
        reader = machine.reader()
        try:
            state, position = reader.stream_state(), machine.position()
            for row in reader.read(position, most):
                if not self._process(machine, row, state):
                    break
                position = row.seq
            machine.positions.save([Position(STREAM, reader.spool_id, position)])
            if position == reader.last_seq():
                for shard in self._adopted(machine, state.shards):
                    self.states[shard] = self._state(machine, reader, shard)
                    self._promise(machine, shard)
        finally:
            reader.close()
        for shard in self._adopted(machine, state.shards):
            records = enumerate(self.control[shard], 1)
            found = [(at, row) for at, row in records if at > state.shards[shard].control]
            machine.mailbox.add_leftovers(
                STREAM,
                [Leftover(shard, at, subreddit_of(row.value), row.key, row.value, row.schema) for at, row in found],
            )

    def _adopted(self, machine: Machine, notes: dict[int, Any]) -> list[int]:
        mine = [shard for shard, owner in self.owners.items() if owner is machine]
        return [shard for shard in mine if shard in notes and notes[shard].term == self.terms[shard]]

    def _promise(self, machine: Machine, shard: int) -> None:
        for name, at in machine.first_asked.items():
            if shard_of(name, SHARDS) == shard:
                self.promised.setdefault(name, at)

    def _process(self, machine: Machine, row: Row, state: StreamState) -> bool:
        """Process one row; return False if it waits."""
        notes = state.shards
        subreddit = subreddit_of(row.value)
        shard, name = shard_of(subreddit, SHARDS), row.key.decode()
        owner = self.owners.get(shard)
        if owner is machine:
            note = notes.get(shard)
            if note is None or note.term != self.terms[shard]:
                return False  # its stream has not taken it over yet
            if row.seq > note.seq or not machine.mailbox.holds(STREAM, name):
                self.topic.append(name)
                self.names[shard][name] = Name(name, subreddit.lower(), created_of(row.value) or 0.0)
                before = self.states.get(shard, ShardState(begun=state.begun, baseline=state.baseline))
                self._promise(machine, shard)
                self.states[shard] = replace(before, writer=machine.name, spool_id=machine.spool_id())
            return True
        if owner is None or shard in notes:  # its stream has not let go of it yet
            return False
        self.control[shard].append(row)
        return True

    def _state(self, machine: Machine, reader: SpoolReader, shard: int) -> ShardState:
        state = reader.stream_state()

        def own(name: str) -> bool:
            return shard_of(name, SHARDS) == shard

        return ShardState(
            writer=machine.name,
            spool_id=reader.spool_id,
            control=state.shards[shard].control,
            at=self.clock(),
            begun=state.begun,
            baseline=state.baseline,
            proven_at={name: at for name, at in state.proven_at.items() if own(name)},
            proven_until={name: at for name, at in state.proven_until.items() if own(name)},
            held_nothing=[name for name in state.held_nothing if own(name)],
            absent={name: list(note) for name, note in state.absent.items() if own(name)},
            joining={name: at for name, at in state.joining.items() if own(name)},
            gaps=[row_of_gap(_part(gap, shard)) for gap in reader.gaps() if any(map(own, gap.subreddits))],
        )

    # -- the end -----------------------------------------------------------------------------------------------------

    def round(self, name: str, seconds: float) -> None:
        """Let one machine work, and its publisher after it."""
        self.machine(name).run(seconds)
        self.publish(name)

    def settle(self) -> None:
        """Let all machines work until nothing waits."""
        for subreddit in self.world.subreddits:
            self.world.open(subreddit)
        for _ in range(4):
            for name in list(self.machines):
                self.machine(name).fates.clear()
                self.round(name, 10.0)
        for name in {owner.name for owner in self.owners.values()}:
            self.round(name, 400.0)
        for _ in range(3):
            for name in list(self.machines):
                self.round(name, 5.0)

    def gaps(self) -> list[Gap]:
        """Return the gaps of the shards, each from the ledger of its owner."""
        found = []
        for shard, owner in self.owners.items():
            found += [_part(gap, shard) for gap in owner.gaps()]
        return [gap for gap in found if gap.subreddits]

    def assert_complete(self) -> None:
        """Every item that was listed since the first request is in the topic, once, or in a gap."""
        counts = Counter(self.topic)
        assert [name for name, count in counts.items() if count > 1] == [], "delivered twice"
        gaps = self.gaps()
        lost = [
            thing
            for thing in self.world.things.values()
            if thing.name not in counts
            and thing.created > self.promised.get(thing.subreddit.lower(), float("inf"))
            and thing.surfaced
            and not (thing.removed or thing.late)
            and not any(thing.subreddit in gap.unproven and gap.admits(thing.created) for gap in gaps)
        ]
        assert lost == [], f"lost, and no gap admits it: {gaps}"
        listed = {thing.name for thing in self.world.listing(self.world.subreddits)}
        assert self.start == "now" or listed <= set(counts), "still listed and lost"
        assert [gap for gap in gaps if gap.pending] == [], "a gap was not worked off"


def _part(gap: Gap, shard: int) -> Gap:
    def own(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if shard_of(name, SHARDS) == shard)

    return replace(gap, subreddits=own(gap.subreddits), pending=own(gap.pending), unproven=own(gap.unproven))
