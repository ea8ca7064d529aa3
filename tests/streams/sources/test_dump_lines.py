"""Blocks hold whole lines with their offsets; a line that is too long comes in parts."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.sources.dump_files import DumpError
from streams.sources.dump_lines import Block, LineCutter

LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20)


def chunks_of(text: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(text), size):
        yield start, text[start : start + size]


def cut(text: bytes, size: int, max_kept: int = 1000) -> tuple[list[Block], dict[int, bytes], list[int]]:
    long: dict[int, bytes] = {}
    ended = []

    def take(offset: int, part: bytes, /, *, last: bool) -> None:
        long[offset] = long.get(offset, b"") + part
        if last:
            ended.append(offset)

    blocks = list(LineCutter(take, max_line=16, max_kept=max_kept).blocks(chunks_of(text, size)))
    return blocks, long, ended


@given(LINES, st.integers(1, 12), st.booleans())
def test_every_line_comes_once_at_its_offset(lines: list[bytes], size: int, ended: bool) -> None:
    text = b"\n".join(lines) + (b"\n" if ended else b"")
    blocks, long, complete = cut(text, size)
    found = dict(long)
    for block in blocks:
        offset = block.start
        for line in block.data[:-1].split(b"\n"):
            found[offset] = line
            offset += len(line) + 1
        assert offset == block.end
    expected, offset = {}, 0
    for line in text.split(b"\n"):
        if line or offset < len(text):
            expected[offset] = line
        offset += len(line) + 1
    assert found == expected
    assert complete == sorted(long)


def test_a_line_without_an_end_stops_the_reading() -> None:
    with pytest.raises(DumpError, match="the line at byte 2 of the text has more than 100 bytes"):
        cut(b"a\n" + b"x" * 500, 10, max_kept=100)
