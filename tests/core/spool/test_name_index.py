"""The index of captured names: complete after kills, bounded, and quick to search."""

import shutil
import time
from array import array
from pathlib import Path
from random import Random

import pytest

from core.spool import name_index_writer
from core.spool.name_index import NameIndex, file_name, id_of, index_directory, index_files, number_of
from core.spool.name_index_writer import NameIndexWriter

STREAM = "comments"
START = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Spool:
    """The rows of a spool, as far as the index asks for them."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.pruned = 0

    def after(self, seq: int) -> list[bytes]:
        return self.keys[max(seq, self.pruned) :]

    @property
    def last_seq(self) -> int:
        return len(self.keys)


def opened(directory: Path, spool: Spool, clock: Clock, spool_id: str = "one") -> NameIndexWriter:
    writer = NameIndexWriter(directory, STREAM, clock)
    writer.begin(spool_id, spool.last_seq, spool.after)
    return writer


def capture(writer: NameIndexWriter, spool: Spool, count: int) -> list[str]:
    first = spool.last_seq
    names = [f"t1_{id_of(36**6 + first + number)}" for number in range(count)]
    spool.keys += [name.encode() for name in names]
    writer.add([name.encode() for name in names], spool.last_seq)
    return names


def unknown(directory: Path, names: list[str]) -> list[str]:
    return NameIndex(directory, STREAM).unknown(dict.fromkeys(names, START))


@pytest.mark.parametrize("name", ["t1_abc123", "t3_1", "t1_zzzzzzzzzzzz"])
def test_the_number_of_a_name_leads_back_to_its_id(name: str) -> None:
    assert id_of(number_of(name.encode())) == name[3:]


@pytest.mark.parametrize("name", ["#0123456789abcdef", "t1_zzzzzzzzzzzzz", "t1_ä", "t1_", "t1_a b", "t1_-5", "x"])
def test_a_name_without_an_id_is_hashed(name: str) -> None:
    number = number_of(name.encode())
    assert number >= 1 << 63
    assert id_of(number) is None


def test_what_was_captured_is_known(tmp_path: Path) -> None:
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    names = capture(writer, spool, 250)
    writer.flush()
    assert unknown(tmp_path, [*names, "t1_other", "#digest"]) == ["t1_other", "#digest"]
    assert NameIndex(tmp_path, STREAM).start() == START + 1


@pytest.mark.parametrize("flushed", [0, 1, 2])
def test_a_kill_loses_no_name(tmp_path: Path, flushed: int) -> None:
    """The names of the rows behind the mark are added at the next start, whatever was written before the kill."""
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    names = capture(writer, spool, 10)
    writer.flush(sync=True)
    for number in range(3):
        names += capture(writer, spool, 10)
        if number < flushed:
            writer.flush()
    del writer  # nothing more is written
    clock.now += 30.0
    opened(tmp_path, spool, clock)
    assert unknown(tmp_path, names) == []
    assert NameIndex(tmp_path, STREAM).start() == START + 1


def test_a_part_of_an_entry_is_cut_off(tmp_path: Path) -> None:
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    names = capture(writer, spool, 10)
    writer.close()
    with index_files(index_directory(tmp_path, STREAM))[0].path.open("ab") as file:
        file.write(b"abc")
    names += capture(opened(tmp_path, spool, clock), spool, 5)
    assert unknown(tmp_path, names[:10]) == []
    opened(tmp_path, spool, clock)
    assert unknown(tmp_path, names) == []


def test_it_begins_anew_where_rows_are_not_known(tmp_path: Path) -> None:
    """Rows that another version captured without an index may be gone: then nothing older can be judged."""
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    capture(writer, spool, 10)
    writer.close()
    spool.keys += [b"t1_x"] * 10
    spool.pruned = 15
    clock.now += 100.0
    opened(tmp_path, spool, clock)
    assert NameIndex(tmp_path, STREAM).start() == clock.now + 1


def test_it_begins_anew_with_another_spool(tmp_path: Path) -> None:
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    capture(writer, spool, 10)
    writer.close()
    clock.now += 100.0
    opened(tmp_path, spool, clock, "two")
    assert NameIndex(tmp_path, STREAM).start() == clock.now + 1


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("in_use", [True, False])
def test_it_begins_anew_when_one_of_its_files_is_gone(tmp_path: Path, which: int, in_use: bool) -> None:
    """Its names would seem not to be captured."""
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    for _ in range(3):
        capture(writer, spool, 3)
        clock.now += 3600.0
        writer.flush()
    if not in_use:
        writer.close()
    index_files(index_directory(tmp_path, STREAM))[which].path.unlink()
    if in_use:
        writer.flush()
    else:
        opened(tmp_path, spool, clock)
    assert NameIndex(tmp_path, STREAM).start() == clock.now + 1


def test_it_begins_anew_when_its_directory_is_gone(tmp_path: Path) -> None:
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    capture(writer, spool, 3)
    writer.flush()
    shutil.rmtree(tmp_path / "names")
    names = capture(writer, spool, 3)
    clock.now += 10.0
    writer.flush()
    assert NameIndex(tmp_path, STREAM).start() == clock.now + 1
    assert unknown(tmp_path, names) == []


def test_a_file_that_began_after_the_mark_belongs_to_the_index(tmp_path: Path) -> None:
    """A process was killed between the beginning of a file and its first mark."""
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    names = capture(writer, spool, 3)
    clock.now += 3600.0
    mark = index_directory(tmp_path, STREAM) / "mark.json"
    writer.flush()
    before = mark.read_text()
    names += capture(writer, spool, 3)
    clock.now += 61.0
    writer.flush()
    mark.write_text(before)
    opened(tmp_path, spool, clock)
    assert unknown(tmp_path, names) == []
    assert NameIndex(tmp_path, STREAM).start() == START + 1


def test_files_are_kept_for_days_and_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_index_writer.KEEP_S == 8 * 86_400.0
    monkeypatch.setattr(name_index_writer, "KEEP_S", 86_400.0)
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    for _ in range(36):
        names = capture(writer, spool, 3)
        clock.now += 3600.0
        writer.flush()
    kept = index_files(index_directory(tmp_path, STREAM))
    assert 24 <= len(kept) <= 26
    assert kept[0].start <= clock.now - 86_400.0
    assert unknown(tmp_path, names) == []
    monkeypatch.setattr(name_index_writer, "KEEP_BYTES", 240)
    clock.now += 3600.0
    names = capture(writer, spool, 3)
    writer.flush()
    assert len(index_files(index_directory(tmp_path, STREAM))) <= 11
    assert unknown(tmp_path, names) == []


def test_a_full_disk_delays_names_and_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    names = capture(writer, spool, 10)
    with monkeypatch.context() as patch:
        patch.setattr("core.spool.name_index_writer.os.write", lambda _descriptor, _data: 5)
        writer.flush()
    assert len(unknown(tmp_path, names)) == 10
    writer.flush()
    assert unknown(tmp_path, names) == []


def test_too_many_waiting_names_end_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written is never judged as missing: the index begins after it."""
    spool, clock = Spool(), Clock()
    writer = opened(tmp_path, spool, clock)
    monkeypatch.setattr(name_index_writer, "_MOST_WAITING", 25)
    with monkeypatch.context() as patch:
        patch.setattr("core.spool.name_index_writer.os.write", lambda _descriptor, _data: 0)
        for _ in range(4):
            clock.now += 10.0
            capture(writer, spool, 10)
            writer.flush()
    writer.flush()
    start = NameIndex(tmp_path, STREAM).start()
    assert start is not None
    assert start > START + 30, "the names of the first 30 s are dropped"


def test_hundreds_of_names_are_searched_quickly(tmp_path: Path) -> None:
    """The limit is far above what it takes (0.1 s for 8 MB on a quiet machine)."""
    directory, random = index_directory(tmp_path, STREAM), Random(1)
    directory.mkdir(parents=True)
    for hour in range(24):
        entries = array("Q", [random.getrandbits(40) for _ in range(41_000)])
        (directory / file_name(START + 3600 * hour)).write_bytes(entries.tobytes())
    index = NameIndex(tmp_path, STREAM)
    moments = [START + random.uniform(0, 86_400) for _ in range(300)]
    drawn = {
        f"t1_{id_of(number)}": moment
        for moment, number in zip(moments, index.draws(moments, random.random), strict=True)
    }
    began = time.process_time()
    assert index.unknown(drawn) == []
    assert len(index.unknown({f"t3_x{number}": START for number in range(300)})) == 300
    assert time.process_time() - began < 2.0
