"""Broken files: every byte is kept, what can be read goes on, what cannot is said. Guards: discard on corruption."""

import random
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PermanentError
from core.spool import Batch, Record, SpoolBroken, SpoolReader, SpoolWriter, report_suspect
from core.spool.schema import VERSION
from core.spool.spool_files import has_no_header, move_aside, spool_path, suspect_path
from core.storage.sqlite import is_corrupt
from tests.core.spool.kill_points import killed_at
from tests.core.spool.story import STREAM, State, acknowledge, crash_copy, make_batch, read_state, wal_of
from tests.support.memory import memory_root

PAGE = 4096
BATCHES = 60
POSITION = 15


@pytest.fixture(scope="module")
def tale(tmp_path_factory: pytest.TempPathFactory) -> "Tale":
    return Tale(tmp_path_factory.mktemp("tale"))


class Tale:
    """A spool with a past: the states after each batch, and copies of its files, with and without a WAL."""

    def __init__(self, root: Path) -> None:
        self.states = [State()]
        directory = root / "life"
        with SpoolWriter(directory, STREAM) as writer:
            self.spool_id = writer.spool_id
            for number in range(1, BATCHES + 1):
                batch = make_batch(number, writer.load_gaps())
                self.states.append(self.states[-1].after(batch, writer.commit(batch)))
            acknowledge(directory, writer.spool_id, POSITION)
            self.open_files = crash_copy(directory, root / "open")
        self.closed_files = crash_copy(directory, root / "closed")

    @property
    def end(self) -> State:
        return self.states[-1]

    def unsent(self) -> set[int]:
        return {seq for seq in self.end.rows if seq > POSITION}


def bytes_of(directory: Path, pattern: str) -> list[bytes]:
    """Contents of the files, without shared memory; looking at a file makes an empty WAL beside it."""
    contents = [path.read_bytes() for path in sorted(directory.glob(pattern)) if not path.name.endswith("-shm")]
    return [content for content in contents if content]


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32), victim=st.sampled_from(["file", "file beside a WAL", "WAL"]))
def test_whatever_page_is_overwritten(tale: Tale, data: st.DataObject, seed: int, victim: str) -> None:
    """Pages full of anything, of nothing, or missing: at the next start nothing is lost without being said."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=memory_root()) as name:
        directory = crash_copy(tale.closed_files if victim == "file" else tale.open_files, Path(name) / "state")
        target = wal_of(directory) if victim == "WAL" else spool_path(directory, STREAM)
        content = bytearray(target.read_bytes())
        page = data.draw(st.integers(0, len(content) // PAGE - 1), label="page")
        how = data.draw(st.sampled_from(["noise", "zeros", "another page", "truncated"]), label="how")
        damage(content, page, how, draw)
        target.write_bytes(content)
        report_suspect(directory, STREAM)
        before = bytes_of(directory, "spool-comments.db*")
        with SpoolWriter(directory, STREAM) as writer:
            state = read_state(directory)
            if writer.spool_id == tale.spool_id:
                check_kept(tale, state, in_wal=victim != "file")
            else:
                assert bytes_of(directory, "spool-comments.db.corrupt-*") == before, "every byte is kept"
                check_salvaged(tale, state)
            assert not suspect_path(directory, STREAM).exists()
            last = max(state.rows, default=0)
            assert writer.commit(Batch(records=[Record(b"t1_next", b"1", "s")])) > last
        with SpoolWriter(directory, STREAM) as again:
            assert again.load_gaps() == list(read_state(directory).gaps.values()), "the new file is sound"


def damage(content: bytearray, page: int, how: str, draw: random.Random) -> None:
    span = slice(page * PAGE, (page + 1) * PAGE)
    match how:
        case "noise":
            content[span] = draw.randbytes(PAGE)
        case "zeros":
            content[span] = bytes(PAGE)
        case "another page":
            other = draw.randrange(len(content) // PAGE)
            content[span] = content[other * PAGE : (other + 1) * PAGE]
        case "truncated":
            del content[page * PAGE + draw.randrange(PAGE) :]


def check_kept(tale: Tale, state: State, *, in_wal: bool) -> None:
    """A WAL is believed up to its first damaged frame: that is an earlier commit, and all of it belongs together."""
    assert state.is_one_transaction()
    state.cursor.pop("recovered", None)
    gaps = {gap.reason: gap_id for gap_id, gap in state.gaps.items() if gap.concerns_spool}
    # a page of the file put in the place of another may make it look older: then a gap too many is recorded
    assert gaps or max(state.rows, default=0) >= POSITION, "older than what was delivered: that is said"
    for gap_id in gaps.values():
        del state.gaps[gap_id]
    assert state == tale.states[state.number]
    assert in_wal or state.number == BATCHES


def check_salvaged(tale: Tale, state: State) -> None:
    assert all(tale.end.rows[seq] == row for seq, row in state.rows.items()), "what came over is what was captured"
    reasons = [gap.reason for gap in state.gaps.values() if "broken" in gap.reason]
    missing = tale.unsent() - set(state.rows)
    if missing:
        assert reasons, "lost records are said to be lost"
        counts = [int(count) for reason in reasons for count in re.findall(r"broken: (\d+) captured", reason)]
        assert not counts or counts[0] >= len(missing)
    if "recovered" in state.cursor:
        assert state.cursor == {"recovered": True}
        assert reasons, "a lost place in the stream is said"
        assert not state.seen, "names of lost records would hide them in the listing"
    else:
        assert not missing
        assert (state.seen, state.cursor) == (tale.end.seen, tale.end.cursor)
    if not any("ledger" in reason for reason in reasons) and not any(
        reason == "the spool was broken" for reason in reasons
    ):
        assert tale.end.gaps.items() <= state.gaps.items()


@pytest.mark.parametrize("size", [0, 1, 511])
def test_a_file_that_lost_all_does_not_pass_for_a_new_one(tale: Tale, tmp_path: Path, size: int) -> None:
    """With `start = "now"` a new spool would skip all that stands in the listing, in silence."""
    crash_copy(tale.closed_files, tmp_path)
    with spool_path(tmp_path, STREAM).open("r+b") as file:
        file.truncate(size)
    with SpoolWriter(tmp_path, STREAM) as writer:
        assert writer.load_cursor() == {"recovered": True}
        assert [gap.reason for gap in writer.load_gaps()] == ["the spool was broken"]
    (aside,) = tmp_path.glob("spool-comments.db.corrupt-*")
    assert aside.stat().st_size == size


def test_a_wal_beside_an_empty_file_is_kept(tale: Tale, tmp_path: Path) -> None:
    """SQLite deletes such a WAL as soon as it opens the file: nobody may open it first, no reader either."""
    crash_copy(tale.open_files, tmp_path)
    spool_path(tmp_path, STREAM).write_bytes(b"")
    wal = wal_of(tmp_path).read_bytes()
    assert has_no_header(spool_path(tmp_path, STREAM))
    assert SpoolReader.open(tmp_path, STREAM) is None
    assert wal_of(tmp_path).read_bytes() == wal
    with SpoolWriter(tmp_path, STREAM) as writer:
        (gap,) = writer.load_gaps()
        assert gap.reason == "the spool was broken"
        assert gap.subreddits == ("*",)
    assert wal in bytes_of(tmp_path, "spool-comments.db.corrupt-*")


@pytest.fixture
def spool(tale: Tale, tmp_path: Path) -> Path:
    return crash_copy(tale.closed_files, tmp_path)


def alter(state_dir: Path, statement: str) -> None:
    with closing(sqlite3.connect(spool_path(state_dir, STREAM))) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement)


def test_a_reader_learns_that_the_file_was_replaced(spool: Path, tale: Tale) -> None:
    reader = SpoolReader.open(spool, STREAM)
    assert reader is not None
    assert not reader.moved()
    alter(spool, "UPDATE cursor SET value = '{'")
    with SpoolWriter(spool, STREAM) as writer:
        assert writer.spool_id != tale.spool_id
        assert reader.moved()
        reader.close()
        successor = SpoolReader.open(spool, STREAM)
        assert successor is not None
        assert successor.spool_id == writer.spool_id
        assert not successor.moved()
        successor.close()


def test_a_report_makes_the_writer_stop_and_the_next_start_examine(spool: Path, tale: Tale) -> None:
    """The file reads well after all: it is kept, with everything in it, and the report is withdrawn."""
    with SpoolWriter(spool, STREAM) as writer:
        report_suspect(spool, STREAM)
        with pytest.raises(SpoolBroken, match="a reader reported a broken spool"):
            writer.prune()
        writer.commit(Batch(counters={"captured": 0}))  # capture itself is not held up
    with SpoolWriter(spool, STREAM) as writer:
        assert writer.spool_id == tale.spool_id
        writer.prune()
    assert not list(spool.glob("*corrupt*"))
    assert read_state(spool) == tale.end


@pytest.mark.parametrize(
    ("statement", "complete"),
    [
        ("UPDATE cursor SET value = '{' WHERE key = 'number'", False),
        ("UPDATE cursor SET value = x'ff00' WHERE key = 'number'", False),
        ("UPDATE seen SET bucket = x'ff' WHERE name = 't1_7'", False),
        ("UPDATE gaps SET pending = 'nonsense' WHERE id = 1", True),
        ("UPDATE counters SET value = 'many' WHERE name = 'captured'", True),
        ("DELETE FROM meta WHERE key = 'spool_id'", True),
        ("DROP TABLE gaps", True),
        ("DROP TABLE cursor", False),
    ],
)
def test_what_sqlite_finds_consistent_and_makes_no_sense(
    spool: Path, tale: Tale, statement: str, complete: bool
) -> None:
    """Without this look at the start, each start would crash over it, for ever."""
    alter(spool, statement)
    with SpoolWriter(spool, STREAM) as writer:
        assert writer.spool_id != tale.spool_id
        state = read_state(spool)
        assert tale.unsent() <= set(state.rows)
        assert ("recovered" not in state.cursor) is complete
        assert (not state.seen) is not complete
        if "gaps" in statement:
            assert any("ledger" in gap.reason for gap in state.gaps.values())


@pytest.mark.parametrize("statement", ["SET value = x'7b22'", "SET schema = cast(x'ff' as text)", "SET key = 7"])
def test_a_record_that_makes_no_sense_is_left_behind_and_said(spool: Path, tale: Tale, statement: str) -> None:
    """Found when a reader complains: the records are read then, all of them."""
    seq = POSITION + 5
    alter(spool, f"UPDATE records {statement} WHERE seq = {seq}")
    report_suspect(spool, STREAM)
    with SpoolWriter(spool, STREAM) as writer:
        state = read_state(spool)
        assert set(state.rows) == tale.unsent() - {seq}
        assert any("1 captured records could not be read back" in gap.reason for gap in state.gaps.values())
        assert writer.last_seq() == max(tale.end.rows)


def test_a_record_with_a_number_that_few_parsers_read_is_saved(spool: Path, tale: Tale) -> None:
    """What Reddit served is in it, so not all of it is of our making."""
    odd, broken = POSITION + 5, POSITION + 6
    value = b'{"fullname":"t1_x","reddit":{"x":%b}}' % (b"9" * 400)
    alter(spool, f"UPDATE records SET value = x'{value.hex()}' WHERE seq = {odd}")
    alter(spool, f"UPDATE records SET value = x'{b'[NaN]'.hex()}' WHERE seq = {broken}")
    report_suspect(spool, STREAM)
    with SpoolWriter(spool, STREAM):
        assert set(read_state(spool).rows) == tale.unsent() - {broken}


def test_a_reader_calls_a_text_that_is_none_corrupt(spool: Path) -> None:
    alter(spool, f"UPDATE records SET schema = cast(x'ff' as text) WHERE seq = {POSITION + 1}")
    reader = SpoolReader.open(spool, STREAM)
    assert reader is not None
    with pytest.raises(sqlite3.DatabaseError) as caught:
        reader.read(0, 1000)
    assert is_corrupt(caught.value)
    reader.close()


def test_a_lost_end_is_waited_for_by_nobody(spool: Path, tale: Tale) -> None:
    """The numbers of lost records are not given again; a publisher that sent all there is has nothing to wait for."""
    last = max(tale.end.rows)
    alter(spool, f"DELETE FROM records WHERE seq > {last - 3}")
    report_suspect(spool, STREAM)
    alter(spool, "UPDATE cursor SET value = '{'")
    with (
        SpoolWriter(spool, STREAM) as writer,
        closing(SpoolReader.open(spool, STREAM) or pytest.fail("no spool")) as reader,
    ):
        assert writer.last_seq() == last
        assert reader.waiting_after(last - 3) == 0
        assert reader.waiting_after(0) == len(tale.unsent()) - 3
        assert any("3 captured records" in gap.reason for gap in writer.load_gaps())
        assert writer.commit(Batch(records=[Record(b"k", b"1", "s")])) == last + 1


@pytest.mark.parametrize("step", range(8))
def test_killed_while_replacing_the_file_nothing_is_forgotten(
    spool: Path, tale: Tale, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Guards: deleting before recording. Whichever rename or deletion was the last one, the next start completes it."""
    alter(spool, "UPDATE counters SET value = 'many' WHERE name = 'batches'")
    with killed_at(monkeypatch, step):
        SpoolWriter(spool, STREAM).close()
    with SpoolWriter(spool, STREAM) as writer:
        assert writer.spool_id != tale.spool_id
    state = read_state(spool)
    assert set(state.rows) == tale.unsent()
    assert (state.seen, state.cursor) == (tale.end.seen, tale.end.cursor)
    assert len(list(spool.glob("spool-comments.db.corrupt-*"))) >= 1
    assert not list(spool.glob("*.rebuilt*")) + list(spool.glob("*.building*"))


def test_two_files_moved_aside_in_one_second_are_both_kept(tmp_path: Path) -> None:
    path = spool_path(tmp_path, STREAM)
    names = set()
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        names.add(move_aside(path))
    assert len(names) == 3
    assert {name.read_bytes() for name in names} == {b"one", b"two", b"three"}


def test_a_spool_of_a_newer_version_is_left_alone(spool: Path) -> None:
    alter(spool, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(PermanentError, match="start a newer Gapless"):
        SpoolWriter(spool, STREAM)
    assert not list(spool.glob("*corrupt*"))


@pytest.mark.parametrize("table", ["seen", "cursor"])
def test_a_table_under_an_empty_page_of_another_one_is_not_taken_for_empty(
    tale: Tale, tmp_path: Path, table: str
) -> None:
    """Every page reads well: but the names that the index still has are gone, or names stand without a cursor."""
    directory = crash_copy(tale.closed_files, tmp_path / "state")
    path = spool_path(directory, STREAM)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE empty (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        connection.commit()
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"))
    content = bytearray(path.read_bytes())
    pages = [slice((roots[name] - 1) * PAGE, roots[name] * PAGE) for name in (table, "empty")]
    content[pages[0]] = content[pages[1]]
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall() == []
    report_suspect(directory, STREAM)
    with SpoolWriter(directory, STREAM) as writer:
        assert writer.load_cursor() == {"recovered": True}
        assert writer.load_seen() == {}
        assert any("broken" in gap.reason for gap in writer.load_gaps())
