"""Bytes to objects: whatever the standard parser reads is read, and no more memory is taken than allowed."""

import json
import math
import random

import pytest

from core.reddit.json_body import decode
from core.reddit.request_errors import TooLarge


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "ä"}'.encode("utf-16"), {"a": "ä"}),
        (b'{"a": "\\ud83d"}', {"a": "\ud83d"}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": Infinity}', {"a": math.inf}),
        (b'{"a": "\\u0000"}', {"a": "\x00"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"", ValueError),
        (b"<html>", ValueError),
        (b'{"a": 1', ValueError),
        (b'{"a": 1} x', ValueError),
        (b"[" * 100_000, (ValueError, RecursionError)),
        (b'{"a":' * 100_000, (ValueError, RecursionError)),
    ],
)
def test_what_is_read_and_what_is_not(body: bytes, value: object) -> None:
    if isinstance(value, dict):
        assert decode(body) == value
    else:
        with pytest.raises(value):  # type: ignore[call-overload]
            decode(body)


def test_nan_is_read() -> None:
    answer = decode(b'{"a": NaN}')
    assert isinstance(answer, dict)
    assert math.isnan(answer["a"])


@pytest.mark.parametrize("piece", ["{}", "[]", '{"a":1}', '"ab"', "0.1", "[[]]", '{"ab":{}}'])
def test_many_small_objects_are_refused_before_they_are_made(piece: str) -> None:
    body = f"[{','.join([piece] * 3_000_000)}]".encode()
    with pytest.raises(TooLarge, match="memory"):
        decode(body)


@pytest.mark.parametrize("text", ["a, [b], {c}, ", '\\"', "\\\\", "ä, ", "{", ","])
def test_text_that_looks_like_many_objects_is_none(text: str) -> None:
    """What people write must not keep a page from being read."""
    written = text * (8_000_000 // len(text.encode()))
    body = json.dumps({"data": {"children": [{"data": {"selftext": written}}]}}, ensure_ascii=False).encode()
    assert decode(body) == json.loads(body)


def test_an_ordinary_page_of_many_fields_is_read() -> None:
    draw = random.Random(1)
    child = {
        "kind": "t1",
        "data": {f"field_{n}": draw.choice([None, True, 1.5, "text" * 5, [], {}]) for n in range(90)},
    }
    body = json.dumps({"data": {"children": [child] * 500}}).encode()
    assert decode(body) == json.loads(body)


@pytest.mark.parametrize(
    "number",
    [
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "9" * 40,
        "-" + "9" * 400,
    ],
)
@pytest.mark.parametrize("place", ["%s", "[%s]", '{"a":%s}', '{"a": %s }', "[1,%s,2]", "[\n%s\n]", '["a", %s]'])
def test_an_integer_keeps_its_digits(number: str, place: str) -> None:
    body = (place % number).encode()
    assert repr(decode(body)) == repr(json.loads(body))


@pytest.mark.parametrize(
    "text", ["1234567890123456789", "12345678901234567890", ": 12345678901234567890,", "1e30", "-"]
)
def test_digits_in_a_text_stay_a_text(text: str) -> None:
    body = json.dumps({"url": f"https://x.example/status/{text}", "text": text, "n": [12.5, -3]}).encode()
    assert decode(body) == json.loads(body)


def test_a_number_of_more_digits_than_python_reads_costs_no_page() -> None:
    assert decode(b'{"a": %b, "b": -%b}' % (b"9" * 4301, b"9" * 5000)) == {"a": math.inf, "b": -math.inf}
