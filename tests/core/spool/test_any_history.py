"""Any sequence of commits, acknowledgements, prunings, reopenings and crashes."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.spool import Gap, SpoolReader, SpoolWriter
from tests.core.spool.story import STREAM, State, acknowledge, crash_copy, make_batch, read_state, wal_of
from tests.support.memory import memory_root
from tests.support.soaking import LONGER, examples


def own_cursor(state: State) -> dict[str, object]:
    """The cursor without what the writer adds where an older file was put in its place."""
    return {key: value for key, value in state.cursor.items() if key != "recovered"}


def own_gaps(state: State) -> dict[int | None, Gap]:
    """The ledger without what the writer adds there."""
    return {gap_id: gap for gap_id, gap in state.gaps.items() if not gap.concerns_spool}


class Histories(RuleBasedStateMachine):
    """Records, names, cursor, gaps and counters always belong to the same transaction; no seq is given twice.

    Guards against: position before durability, deleting before recording, wrap-around.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="spool-", dir=memory_root()))
        self.lives = 0
        self.directory = self.root / "0"
        self.now = 1_700_000_000.0
        self.number = 0
        self.position = 0
        self.highest = 0
        self.states = {0: State()}
        self.state = self.states[0]
        self.backup: tuple[Path, State] | None = None
        self.open()
        self.spool_id = self.writer.spool_id

    def open(self) -> None:
        self.writer = SpoolWriter(self.directory, STREAM, clock=lambda: self.now)

    def teardown(self) -> None:
        self.writer.close()
        shutil.rmtree(self.root)

    @rule(times=st.integers(1, 4))
    def commit(self, times: int) -> None:
        for _ in range(times):
            self.number += 1
            batch = make_batch(self.number, self.writer.load_gaps())
            last_seq = self.writer.commit(batch)
            assert last_seq - len(batch.records) >= self.highest, "a number was given again"
            self.highest = last_seq
            self.state = self.states[self.number] = self.state.after(batch, last_seq)

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        """The publisher delivers a part of what waits, and records it."""
        self.position += round(share * max(0, self.writer.last_seq() - self.position))
        acknowledge(self.directory, self.writer.spool_id, self.position)

    @rule(hours=st.sampled_from([0.5, 2.0]))
    def prune(self, hours: float) -> None:
        self.now += hours * 3600.0
        self.writer.prune()
        if hours > 1.0:
            assert all(seq > self.position for seq in read_state(self.directory).rows)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """The machine goes down; what commit() returned is there after it is up again."""
        self._move_to_what_is_left()
        assert read_state(self.directory).number == self.number_written()

    def number_written(self) -> int:
        return self.state.number

    @precondition(lambda self: wal_of(self.directory).exists())
    @rule(share=st.floats(0, 1))
    def crash_with_a_torn_wal(self, share: float) -> None:
        """A disk that lied about fsync: the end of the WAL is missing. All goes back together, to an earlier commit."""
        self._copy()
        wal = wal_of(self.directory)
        with wal.open("r+b") as file:
            file.truncate(int(share * wal.stat().st_size))
        self.open()
        written = read_state(self.directory)
        self.state = self.states[written.number]
        self.highest = max(self.position, *self.state.rows, 0)
        assert self.writer.last_seq() >= self.position

    @rule()
    def keep_a_copy(self) -> None:
        self.backup = (crash_copy(self.directory, self.root / f"backup-{self.number}"), self.state)

    @precondition(lambda self: self.backup is not None)
    @rule()
    def put_the_copy_back(self) -> None:
        """Somebody restores an older spool, while the publisher's position is of today: nothing falls behind it."""
        assert self.backup is not None
        source, state = self.backup
        acknowledge(source, self.writer.spool_id, self.position)
        self._copy(source)
        self.state = state
        self.highest = max(self.position, *state.rows, 0)
        older = max(state.rows, default=0) < self.position
        known = {gap.id for gap in state.gaps.values()}
        self.open()
        assert self.writer.last_seq() >= self.position
        new = [gap for gap in self.writer.load_gaps() if gap.id not in known and gap.concerns_spool]
        assert new or not older, "what is forgotten lies in a gap"

    def _move_to_what_is_left(self) -> None:
        self._copy()
        self.open()

    def _copy(self, source: Path | None = None) -> None:
        self.lives += 1
        target = crash_copy(source or self.directory, self.root / str(self.lives))
        self.writer.close()
        self.directory = target

    @invariant()
    def everything_belongs_to_one_transaction(self) -> None:
        state = read_state(self.directory)
        assert state.is_one_transaction()
        assert state.number == self.state.number
        assert (state.seen, state.counters) == (self.state.seen, self.state.counters)
        assert (own_cursor(state), own_gaps(state)) == (own_cursor(self.state), own_gaps(self.state))
        assert state.rows.items() <= self.state.rows.items()
        assert {seq for seq in self.state.rows if seq > self.position} <= set(state.rows), "undelivered rows are gone"

    @invariant()
    def readers_see_what_waits(self) -> None:
        reader = SpoolReader.open(self.directory, STREAM)
        assert reader is not None
        assert reader.spool_id == self.spool_id == self.writer.spool_id
        assert reader.last_seq() == self.writer.last_seq() >= self.position
        assert reader.waiting_after(self.position) == len(reader.read(self.position, 1_000_000))
        assert not reader.moved()
        reader.close()


Histories.TestCase.settings = settings(max_examples=examples(10, soak=50), stateful_step_count=20)
TestHistories = LONGER(Histories.TestCase)
