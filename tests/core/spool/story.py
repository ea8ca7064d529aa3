"""A stream's story, told in numbered batches: from what stands in a spool one can tell how far it got, and check it."""

import copy
import dataclasses
import random
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from core.spool import Batch, Gap, Record, Row, Seen, SpoolReader
from core.spool.committed_positions import publisher_path
from core.spool.spool_files import spool_path

STREAM = "comments"


def make_batch(number: int, gaps: list[Gap], size: int = 1500) -> Batch:
    """Return batch `number`: always the same for the same number and ledger. Everything in it bears the number."""
    draw = random.Random(number)
    batch = Batch(cursor={"number": number, "proven_at": {"bitcoin": float(number)}}, counters={"batches": 1})
    for part in range(draw.choice((0, 1, 1, 3))):
        text = "".join(draw.choices("abcdefgh ", k=draw.randrange(20, size)))
        value = orjson.dumps({"fullname": f"t1_{number}_{part}", "text": text})
        batch.records.append(Record(f"t1_{number}_{part}".encode(), value, "reddit.comment.v1"))
    batch.counters["captured"] = len(batch.records)
    batch.seen.append(Seen(f"t1_{number}", "bitcoin", float(number), 0))
    if number % 3 == 0:
        batch.prove_epoch = number
    if number % 4 == 0:
        batch.gaps.append(
            Gap(STREAM, ("bitcoin",), 1.0, float(number), f"gap {number}", 5.0, number, ("bitcoin",), ("bitcoin",))
        )
    elif number % 5 == 0 and gaps:
        batch.gaps.append(dataclasses.replace(gaps[0], found=gaps[0].found + 1, pending=()))
    return batch


@dataclass
class State:
    """All that a spool holds."""

    rows: dict[int, Row] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    cursor: dict[str, object] = field(default_factory=dict)
    gaps: dict[int | None, Gap] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The last batch that belongs to this state."""
        number = self.cursor.get("number", 0)
        assert isinstance(number, int)
        return number

    def after(self, batch: Batch, last_seq: int) -> "State":
        """Return the state that the committed batch leads to."""
        state = copy.deepcopy(self)
        for seq, record in enumerate(batch.records, last_seq - len(batch.records) + 1):
            state.rows[seq] = Row(seq, *record)
        state.seen.update({seen.name: seen.epoch for seen in batch.seen})
        if batch.prove_epoch is not None:
            state.seen = {name: epoch or batch.prove_epoch for name, epoch in state.seen.items()}
        state.cursor.update(batch.cursor)
        state.gaps.update({gap.id: copy.copy(gap) for gap in batch.gaps})
        for name, amount in batch.counters.items():
            state.counters[name] = state.counters.get(name, 0) + amount
        return state

    def is_one_transaction(self) -> bool:
        """Tell whether everything bears the same last number: no part is ahead of another."""
        last_name = max((int(name.removeprefix("t1_")) for name in self.seen), default=0)
        return last_name == self.number and self.counters.get("captured", 0) >= len(self.rows)


def read_state(state_dir: Path) -> State:
    """Read all of it, as another process would."""
    reader = SpoolReader.open(state_dir, STREAM)
    assert reader is not None
    with closing(reader), closing(sqlite3.connect(spool_path(state_dir, STREAM))) as raw:
        return State(
            rows={row.seq: row for row in reader.read(0, 1_000_000)},
            seen=dict(raw.execute("SELECT name, epoch FROM seen")),
            cursor={key: value for key, value in reader.cursor().items() if key != "origin"},
            gaps={gap.id: gap for gap in reader.gaps()},
            counters=reader.counters(),
        )


def acknowledge(state_dir: Path, spool_id: str, seq: int) -> None:
    """Record as the publisher does that everything up to `seq` is delivered."""
    with closing(sqlite3.connect(publisher_path(state_dir))) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS positions (spool_id TEXT PRIMARY KEY, seq INTEGER NOT NULL)")
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (spool_id, seq))


def crash_copy(source: Path, target: Path) -> Path:
    """Copy what a power cut would leave of an open spool: the file and its WAL, not the shared memory.

    By another process: closing a file drops all the locks that this process holds on it, SQLite's too.
    """
    target.mkdir(parents=True, exist_ok=True)
    files = [path for path in sorted(source.iterdir()) if path.name.endswith((".db", ".db-wal"))]
    subprocess.run(["cp", "--", *files, target], check=True)
    return target


def wal_of(state_dir: Path) -> Path:
    """Return the spool's write-ahead log."""
    path = spool_path(state_dir, STREAM)
    return path.with_name(path.name + "-wal")
