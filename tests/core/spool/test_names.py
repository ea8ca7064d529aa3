"""The table of names: its check follows every change, tells when rows are missing, and older files get one."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as quick
from hypothesis import strategies as st

from core.spool import Batch, Gap, GapState, Record, Seen, SpoolBroken, SpoolWriter, report_suspect, spool_path
from core.spool.known_names import NamesCheck, count_names, parse_names_check, read_names_check
from core.spool.schema import VERSION
from tests.core.spool.story import STREAM
from tests.support.memory import memory_root

PAGE = 4096
#: The first byte of such a page, in the format of SQLite's files.
INDEX_LEAF = 10

#: `gaps` as version 1 had it.
_GAPS_1 = """
CREATE TABLE gaps_1 (
    id INTEGER PRIMARY KEY, subreddits TEXT NOT NULL, start REAL, "end" REAL NOT NULL, reason TEXT NOT NULL,
    recorded_at REAL NOT NULL, epoch INTEGER NOT NULL, pending TEXT NOT NULL, unproven TEXT NOT NULL,
    found INTEGER NOT NULL, repaired_at REAL
);
INSERT INTO gaps_1 SELECT id, subreddits, start, "end", reason, recorded_at, epoch, pending, unproven, found, NULL
    FROM gaps;
DROP TABLE gaps;
ALTER TABLE gaps_1 RENAME TO gaps;
"""


def make_older(state_dir: Path, version: int) -> None:
    """Turn a closed spool into one as an older version has left it."""
    with closing(sqlite3.connect(spool_path(state_dir, STREAM))) as connection:
        connection.executescript("CREATE INDEX seen_by_age ON seen (bucket, created);"
                                 "DELETE FROM meta WHERE key = 'names';")  # fmt: skip
        if version == 1:
            connection.executescript(_GAPS_1)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()


def names(numbers: range, epoch: int = 1) -> list[Seen]:
    return [Seen(f"t1_{number}", "bitcoin", float(-number), epoch) for number in numbers]


def checks(state_dir: Path) -> tuple[NamesCheck | None, NamesCheck]:
    """Return the check that is stored, and the one that the table has."""
    with closing(sqlite3.connect(spool_path(state_dir, STREAM))) as connection:
        return read_names_check(connection), count_names(connection)


NUMBERS = st.lists(st.integers(0, 80), max_size=70)


@quick(max_examples=25)
@given(steps=st.lists(st.tuples(st.sampled_from(["add", "forget", "prove", "reopen"]), NUMBERS), max_size=8))
def test_the_check_follows_whatever_is_written(steps: list[tuple[str, list[int]]]) -> None:
    """Also names that stand in the table already, twice in a batch, or not at all."""
    with tempfile.TemporaryDirectory(dir=memory_root()) as directory:
        state_dir, there = Path(directory), dict[str, int]()
        writer = SpoolWriter(state_dir, STREAM)
        for step, numbers in steps:
            if step == "add":
                seen = [Seen(f"t1_{number}", "bitcoin", 1.0, number % 2) for number in numbers]
                writer.commit(Batch(seen=seen))
                there |= {one.name: one.epoch for one in seen}
            elif step == "forget":
                writer.prune({f"t1_{number}" for number in numbers})
                there = {name: epoch for name, epoch in there.items() if int(name[3:]) not in numbers}
            elif step == "prove":
                writer.commit(Batch(prove_epoch=7))
                there = {name: epoch or 7 for name, epoch in there.items()}
            else:
                writer.close()
                writer = SpoolWriter(state_dir, STREAM)
            stored, actual = checks(state_dir)
            assert stored == actual == NamesCheck.of(there)
            assert {name: epoch for name, (epoch, _) in writer.load_seen().items()} == there
        writer.close()


def test_names_come_back_in_the_order_in_which_they_were_met(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(Batch(seen=names(range(120))))
        assert list(writer.load_seen()) == [f"t1_{number}" for number in reversed(range(120))]
        assert len({id(mark) for mark in writer.load_seen().values()}) == 1, "names share what they have in common"


@pytest.mark.parametrize("text", [None, "", "7", "7 x", " 7", "-1 2", "9" * 5000 + " 1", 7, b"7 7"])
def test_a_check_that_makes_no_sense_is_none(text: object) -> None:
    assert parse_names_check(text) is None
    assert parse_names_check("7 12345") == NamesCheck(7, 12345)


@pytest.mark.parametrize("version", [1, 2])
def test_a_spool_of_an_older_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    gap = Gap(STREAM, ("bitcoin",), 1.0, 2.0, "why", 3.0, 2, ("bitcoin",), ("bitcoin",))
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(Batch([Record(b"t1_1", b"{}", "s")], names(range(300)), cursor={"epoch": 2}, gaps=[gap]))
        before = writer.spool_id, writer.load_seen(), writer.load_cursor()
    make_older(tmp_path, version)
    for _ in range(2):
        with SpoolWriter(tmp_path, STREAM) as writer:
            assert (writer.spool_id, writer.load_seen(), writer.load_cursor()) == before
            (kept,) = writer.load_gaps()
            assert (kept.state, kept.start, kept.end, kept.pending) == (GapState.OPEN, 1.0, 2.0, ("bitcoin",))
            writer.commit(Batch(seen=names(range(300, 400))))
            writer.prune([f"t1_{number}" for number in range(300, 400)])
        stored, actual = checks(tmp_path)
        assert stored == actual == NamesCheck.of(before[1])
        with closing(sqlite3.connect(spool_path(tmp_path, STREAM))) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
            indexes = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'seen_%'").fetchall()
            assert indexes == [("seen_unproven",)]


@pytest.mark.parametrize("version", [1, 2, VERSION])
def test_names_under_an_empty_page_are_missed_in_every_version(tmp_path: Path, version: int) -> None:
    """Every page reads well, and SQLite finds nothing wrong with a table that lost its names: see test_broken."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(Batch([Record(b"t1_1", b"{}", "s")], names(range(50)), cursor={"epoch": 1}))
    if version < VERSION:
        make_older(tmp_path, version)
    path = spool_path(tmp_path, STREAM)
    with closing(sqlite3.connect(path)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"))
    content = bytearray(path.read_bytes())
    seen, empty = (slice((roots[name] - 1) * PAGE, roots[name] * PAGE) for name in ("seen", "counters"))
    content[seen] = content[empty]
    path.write_bytes(content)
    report_suspect(tmp_path, STREAM)
    with SpoolWriter(tmp_path, STREAM) as writer:
        assert writer.load_seen() == {}
        assert [gap.reason for gap in writer.load_gaps()] == [
            "the spool was broken: the place in the stream could not be read back"
        ]
    stored, actual = checks(tmp_path)
    assert stored == actual == NamesCheck()


def leaf_of(content: bytes, name: str) -> slice:
    """Return where the page of the table stands that holds the name."""
    pages = (slice(start, start + PAGE) for start in range(0, len(content), PAGE))
    key = f"{name}bitcoin".encode()
    return next(page for page in pages if content[page.start] == INDEX_LEAF and key in content[page])


@pytest.mark.parametrize("when", ["at the next start", "while it is open"])
def test_an_older_page_of_names_is_noticed(tmp_path: Path, when: str) -> None:
    """It has as many names as the right one, and SQLite's own check finds nothing wrong with it."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.commit(Batch([Record(b"t1_1", b"{}", "s")], names(range(1000, 1300)), cursor={"epoch": 1}))
    path = spool_path(tmp_path, STREAM)
    span = leaf_of(path.read_bytes(), "t1_1003")
    older = path.read_bytes()[span]
    with SpoolWriter(tmp_path, STREAM) as writer:
        writer.prune(["t1_1003"])
        writer.commit(Batch(seen=[Seen("t1_1003x", "bitcoin", 1.0, 1)]))
    content = bytearray(path.read_bytes())
    assert older != content[span]
    content[span] = older
    if when == "while it is open":
        writer = SpoolWriter(tmp_path, STREAM)
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with pytest.raises(SpoolBroken):
            writer.check()
        writer.close()
    else:
        path.write_bytes(content)
        report_suspect(tmp_path, STREAM)
    with SpoolWriter(tmp_path, STREAM) as writer:
        assert writer.load_seen() == {}
        assert [gap.state for gap in writer.load_gaps()] == [GapState.LOST]
    assert list(tmp_path.glob("*corrupt*"))
