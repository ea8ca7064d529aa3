"""A dump as a source: each line once, from any position; bad lines are kept whole."""

import os
from pathlib import Path

import pytest

from streams.sources.dump_files import DumpError, TruncatedDumpError
from streams.sources.dump_record import Wanted
from tests.streams.sources.dumps import PACK, comment, keys, opened, text_of

ITEMS = [comment(number) for number in range(2500)]
KEYS = [item["name"] for item in ITEMS]
BROKEN = [b'{"id": "c1', b"\xff\xfe \x00 x", b"[]"]


def dump_of(tmp_path: Path, ending: str, text: bytes, name: str = "RC_2015-01") -> Path:
    path = tmp_path / f"{name}.{ending}"
    path.write_bytes(PACK[ending](text))
    return path


@pytest.mark.parametrize("ending", PACK)
def test_it_continues_after_any_row_and_reads_a_row_alone(tmp_path: Path, ending: str) -> None:
    path = dump_of(tmp_path, ending, text_of(ITEMS))
    source = opened(path)
    rows = source.read_plain(0, 1000)
    assert [row[1].decode() for row in rows] == KEYS[:1000]
    assert source.read_plain(rows[9][0], 2) == rows[10:12], "a repetition, from memory"
    source.close()
    for place in (0, 1, 999):
        seq = rows[place][0]
        again = opened(path)
        assert again.source_id == source.source_id
        assert [row.seq for row in again.read(seq - 1, 1)] == [seq], "the row itself"
        assert keys(again, seq) == KEYS[place + 1 :]
        left = len(KEYS) - place - 1
        assert again.records - left in (0, 1), "the one that was read alone may count"
        again.close()


def test_rows_that_are_no_longer_in_memory_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sources.dump_source._KEPT_BYTES", 1000)
    source = opened(dump_of(tmp_path, "zst", text_of(ITEMS)))
    assert keys(source) == KEYS
    assert keys(source) == KEYS
    assert (source.lines, source.records, source.skipped) == (2500, 2500, 0), "counted once"
    source.close()


def test_bad_lines_are_counted_and_kept_whole_once_over_several_runs(tmp_path: Path) -> None:
    parts = [text_of(ITEMS[:5]), BROKEN[0], b"\n", text_of(ITEMS[5:8]), BROKEN[1], b"\n\n", BROKEN[2], b"\n"]
    path = dump_of(tmp_path, "gz", b"".join((*parts, text_of(ITEMS[8:]))))
    for _ in range(2):
        source = opened(path)
        assert keys(source) == KEYS
        assert (source.bad_lines, source.blank, source.skipped) == (3, 1, 0)
        source.close()
        kept = source.bad.path.read_bytes()
        assert kept == b"".join(line + b"\n" for line in BROKEN)
    with source.bad.path.open("ab") as file:
        file.write(b"a part that a killed run left")
    source = opened(path)
    keys(source)
    source.close()
    assert source.bad.path.read_bytes() == kept


def test_a_line_of_many_megabytes_is_kept_and_passed(tmp_path: Path) -> None:
    long = b"x" * (20 * 1024**2)
    source = opened(dump_of(tmp_path, "zst", text_of(ITEMS[:3]) + long + b"\n" + text_of(ITEMS[3:6])))
    assert keys(source) == KEYS[:6]
    assert (source.bad_lines, source.failure) == (1, None)
    source.close()
    assert source.bad.path.read_bytes() == long + b"\n"


def test_after_a_truncated_end_the_completed_download_continues(tmp_path: Path) -> None:
    noise = [comment(number, body=os.urandom(400).hex()) for number in range(4000)]
    whole = PACK["zst"](text_of(noise))
    path = tmp_path / "RC_2015-01.zst"
    assert len(whole) > 1024**2
    path.write_bytes(whole[: len(whole) - 5000])
    source = opened(path)
    first = keys(source)
    assert isinstance(source.failure, TruncatedDumpError)
    assert 2000 < len(first) < 4000
    assert (source.finished, source.bad_lines) == (True, 0), "the incomplete line is read when it is complete"
    position = source.last_seq()
    source.close()
    path.write_bytes(whole)
    again = opened(path)
    assert again.source_id == source.source_id
    assert first + keys(again, position) == [item["name"] for item in noise]
    again.close()


def test_only_what_is_wanted_and_another_choice_is_another_source(tmp_path: Path) -> None:
    items = [comment(n, subreddit="Ethereum" if n % 50 == 0 else "Bitcoin") for n in range(500)]
    path = dump_of(tmp_path, "ndjson", text_of(items))
    chosen, all_of_them = opened(path, wanted=Wanted(frozenset({"ETHEREUM"}))), opened(path)
    assert keys(chosen) == [f"t1_c{n}" for n in range(0, 500, 50)]
    assert (chosen.lines, chosen.skipped) == (500, 490)
    assert chosen.source_id != all_of_them.source_id
    chosen.close()
    all_of_them.close()


def test_the_kind_comes_from_the_lines_then_from_the_name(tmp_path: Path) -> None:
    assert opened(dump_of(tmp_path, "gz", text_of(ITEMS[:3]), "RS_wrong")).stream == "comments"
    assert opened(dump_of(tmp_path, "gz", b"{}\n", "RS_2015-01")).stream == "submissions"
    with pytest.raises(DumpError, match="--kind comments or --kind submissions"):
        opened(dump_of(tmp_path, "gz", b"{}\n", "dump"))
