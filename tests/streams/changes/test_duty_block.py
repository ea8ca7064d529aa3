"""The packed form of items."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.changes.duty_block import BrokenBlockError, Duty, pack, unpack
from streams.changes.look import Known, Visibility

KNOWN = st.builds(
    Known,
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(Visibility),
    st.booleans(),
    st.booleans(),
)
DUTY = st.builds(
    Duty,
    st.text(max_size=60, alphabet=st.characters(codec="utf-8")),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**40),
    KNOWN,
)


@given(first=st.lists(DUTY, max_size=20), second=st.lists(DUTY, max_size=5))
def test_what_is_packed_is_unpacked_also_when_appended(first: list[Duty], second: list[Duty]) -> None:
    assert unpack(pack(first) + pack(second)) == (*first, *second)


@given(duties=st.lists(DUTY, min_size=1, max_size=3), cut=st.integers(1, 12))
def test_a_cut_block_is_recognized(duties: list[Duty], cut: int) -> None:
    blob = pack(duties)
    if cut >= len(pack(duties[-1:])):
        return
    with pytest.raises(BrokenBlockError):
        unpack(blob[:-cut])


def test_an_item_takes_at_most_40_bytes() -> None:
    known = Known(2**64 - 1, 2**32 - 1, 8000, Visibility.REMOVED, absent=True)
    assert len(pack([Duty("1a2b3c4d", 1_700_000_000, 16_000, known)])) <= 40


def test_an_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 255 bytes"):
        pack([Duty("x" * 256, 0, 0, Known(None))])
