"""A dump is read in bounded chunks, whatever its format; what cannot be read ends with a clear error."""

import os
import tracemalloc
from pathlib import Path

import pytest

from streams.sources.dump_files import CHUNK, STDIN, DumpError, DumpFile, TruncatedDumpError, window_size
from tests.streams.sources.dumps import MIB, PACK, comment, packed_with_window, text_of

TEXT = text_of([comment(number) for number in range(5000)])


def text_in(dump: DumpFile, start: int = 0) -> bytes:
    return b"".join(chunk for _, chunk in dump.chunks(start))


@pytest.mark.parametrize("ending", PACK)
def test_the_content_decides_the_format_and_parts_may_follow_each_other(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "dump"
    path.write_bytes(PACK[ending](TEXT) + PACK[ending](TEXT))
    dump = DumpFile(path, 64 * MIB)
    assert text_in(dump) == TEXT + TEXT
    assert dump.consumed == dump.size
    assert dump.peek().startswith(TEXT[:100])
    assert text_in(dump) == TEXT + TEXT, "again, from the beginning"
    dump.close()


@pytest.mark.parametrize("ending", ["zst", "gz", "bz2", "xz"])
def test_a_truncated_end_is_an_error_after_everything_before_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "dump"
    path.write_bytes(PACK[ending](os.urandom(MIB // 4).hex().encode())[:-200])
    dump, found = DumpFile(path, 64 * MIB), b""
    with pytest.raises(TruncatedDumpError, match=r"ends early.*incomplete"):  # noqa: PT012
        for _, chunk in dump.chunks():
            found += chunk
    assert len(found) > MIB / 8
    dump.close()


@pytest.mark.parametrize("ending", ["zst", "gz", "bz2", "xz"])
def test_a_bomb_comes_in_small_chunks(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "dump"
    path.write_bytes(PACK[ending](bytes(50 * MIB)))
    dump = DumpFile(path, 64 * MIB)
    tracemalloc.start()
    try:
        total = 0
        for _, chunk in dump.chunks():
            assert len(chunk) <= CHUNK
            total += len(chunk)
        assert total == 50 * MIB
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
        dump.close()


def test_a_window_larger_than_the_memory_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "RC_2023-01.zst"
    path.write_bytes(packed_with_window(TEXT, 27))
    assert window_size(path.read_bytes()) == 128 * MIB
    dump = DumpFile(path, 64 * MIB)
    with pytest.raises(DumpError, match="needs a window of 128 MiB, --memory allows 64 MiB"):
        text_in(dump)
    dump.close()
    dump = DumpFile(path, 128 * MIB)
    assert text_in(dump) == TEXT
    dump.close()


def test_what_is_no_dump_is_an_error_that_names_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(TEXT.decode().encode("utf-16"))
    with pytest.raises(DumpError, match="UTF-16"):
        DumpFile(path, MIB)
    path.write_bytes(b"PK\3\4\0\0" + TEXT)
    with pytest.raises(DumpError, match="neither JSON lines nor compressed"):
        DumpFile(path, MIB)
    broken = bytearray(PACK["gz"](os.urandom(MIB // 4).hex().encode()))
    broken[5000:5100] = bytes(100)
    path.write_bytes(broken)
    dump = DumpFile(path, 64 * MIB)
    with pytest.raises(DumpError, match="corrupt after"):
        text_in(dump)
    dump.close()


def test_a_plain_file_is_continued_at_the_beginning_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(TEXT)
    dump = DumpFile(path, MIB)
    first = TEXT.index(b"\n") + 1
    for start, expected in ((0, 0), (5, 0), (first - 1, 0), (first, first), (first + 1, first)):
        assert next(dump.chunks(start))[0] == expected
        assert text_in(dump, start) == TEXT[expected:]
    dump.close()


def test_standard_input_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dump"
    path.write_bytes(PACK["gz"](TEXT))
    descriptor = os.open(path, os.O_RDONLY)
    monkeypatch.setattr("os.dup", lambda _: descriptor)
    dump = DumpFile(STDIN, MIB)
    assert (dump.size, dump.repeatable) == (None, False)
    assert text_in(dump) == TEXT
    dump.close()
