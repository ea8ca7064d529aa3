"""What others wrote cannot steer a terminal, forge a line, or hide one."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.masking.printable import printable, printable_json, printable_lines

#: Control characters, marks of direction, invisible characters, separators of lines and paragraphs.
STEERING = [
    *range(32),
    *range(127, 160),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    0xE0001,
    0xE0041,
]


@pytest.mark.parametrize("code", STEERING)
def test_what_steers_is_an_escape(code: int) -> None:
    shown = printable(f"a{chr(code)}b")
    assert chr(code) not in shown
    assert shown.isascii()
    assert shown[1] == "\\"


def test_letters_and_pictures_of_every_script_stay() -> None:
    text = "Grüße, привет, 你好, مرحبا 👍 é"
    assert printable(text) == text


def test_no_character_of_any_category_but_visible_ones_gets_through() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
            assert printable(chr(code)).isascii(), hex(code)


def test_lines_stay_where_they_are_wanted() -> None:
    assert printable_lines("a\n\tb\r\x1b[2J\n") == "a\n        b\\r\\x1b[2J\n"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_json_means_the_same_and_is_printable(document: object) -> None:
    text = printable_json(json.dumps(document, indent=2, ensure_ascii=False))
    assert json.loads(text) == document
    assert all(line.isprintable() for line in text.split("\n"))
