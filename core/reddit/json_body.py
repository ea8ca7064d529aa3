"""Parses the bytes of an answer into Python objects, within a limit on memory. Pure.

JSON of a few megabytes can become objects of half a gigabyte: `{},{},{},…` takes 24 bytes of memory for each byte of
text. So their memory is estimated before they are created.
"""

import contextlib
import json
import math
import re

import orjson

from core.reddit.request_errors import TooLarge

#: Most bytes of one answer's body, after decompression.
MAX_BODY = 32 * 1024 * 1024

#: Most bytes read of an error answer: more than any reason needs.
ERROR_BODY = 256 * 1024

#: Most bytes of memory that the objects of one answer may take (estimated). A page of a hundred posts of 40,000
#: characters each takes about 10 MiB, and four times that where it holds emoji.
MAX_OBJECTS = 64 * 1024 * 1024

#: Bodies below this size cannot reach MAX_OBJECTS: JSON takes at most about 32 bytes of memory for a byte of text.
_HARMLESS = MAX_OBJECTS // 32

# Bytes of memory per object, in CPython on 64 bits, with its slot in a list or a dict.
_OBJECT, _ARRAY, _STRING, _VALUE = 240, 64, 60, 32

#: Maps each digit to "0", and every other byte to a space.
_DIGITS = bytes(48 if chr(byte) in "0123456789" else 32 for byte in range(256))
#: An integer of more than 64 bits has 20 digits or more, or 19 and a sign.
_LONG = 19
#: Of 19 digits in a row, at least three are among every sixth byte of the body.
_STRIDE, _THREE = 6, b"000"

_NUMBER = re.compile(rb"[0-9]*+")

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{\[,]', re.DOTALL)


def too_large(limit: int) -> TooLarge:
    """Return the error for a body of more than `limit` bytes."""
    size = f"{limit // 1024**2} MB" if limit >= 1024**2 else f"{limit // 1024} KB"
    return TooLarge(f"an answer of more than {size}, the limit for one answer (after decompression)")


def decode(body: bytes) -> object:
    """Parse JSON. Raises TooLarge, or ValueError and RecursionError for invalid JSON.

    orjson is the fast path. The standard parser accepts what orjson refuses and Reddit may send: halves of surrogate
    pairs, NaN, and UTF-16. It also keeps the digits of integers of more than 64 bits, which orjson rounds (beyond 4,300
    digits they become infinity). Invalid bytes become U+FFFD, so that one bad item does not cost a page.
    """
    check_size(body)
    if not _has_large_integers(body):
        with contextlib.suppress(ValueError):  # the standard parser below decides: it accepts more
            return orjson.loads(body)
    try:
        return json.loads(body, parse_int=_integer)
    except UnicodeDecodeError:
        return json.loads(body.decode("utf-8", "replace"), parse_int=_integer)


def _has_large_integers(body: bytes) -> bool:
    """Return whether the body may hold an integer of more than 64 bits; one inside a text rarely looks like it.

    Every answer is searched, so only every sixth byte is: bodies are full of digits, but not of long numbers.
    """
    samples = body[::_STRIDE].translate(_DIGITS)
    place = samples.find(_THREE)
    while place >= 0:
        at = place * _STRIDE
        if body[at : at + 2 * _STRIDE + 1].isdigit():
            start, end = _number_at(body, at)
            if _is_large_integer(body, start, end):
                return True
            place = end // _STRIDE
        place = samples.find(_THREE, place + 1)
    return False


def _number_at(body: bytes, at: int) -> tuple[int, int]:
    """Return where the digits around a place begin and end; they begin at most one stride before it."""
    before = body[max(0, at - _STRIDE) : at]
    start = at - len(before) + len(before.rstrip(b"0123456789"))
    match = _NUMBER.match(body, at)
    return start, at if match is None else match.end()


def _is_large_integer(body: bytes, start: int, end: int) -> bool:
    """Return whether these digits are a number of JSON, and too large for 64 bits."""
    sign = body[start - 1 : start] == b"-"
    before, after = body[max(0, start - 1 - sign) : start - sign], body[end : end + 1]
    return end - start + sign > _LONG and before in b":[, \t\r\n" and after in b"]}, \t\r\n"


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python reads (sys.set_int_max_str_digits)
        return -math.inf if digits.startswith("-") else math.inf


def check_size(body: bytes) -> None:
    """Raise TooLarge if the objects would take too much memory; count exactly only if a rough estimate is too high."""
    if len(body) <= _HARMLESS:
        return
    wide = 1 if body.isascii() and b"\\u" not in body else 4  # a string of CPython takes up to 4 bytes per character
    text = wide * len(body)
    guess = (
        text
        + _OBJECT * body.count(b"{")
        + _ARRAY * body.count(b"[")
        + _STRING * body.count(b'"') // 2
        + _VALUE * body.count(b",")
    )
    if guess <= MAX_OBJECTS:
        return
    size = text
    weights = {ord("{"): _OBJECT, ord("["): _ARRAY, ord(","): _VALUE, ord('"'): _STRING}
    for token in _TOKEN.finditer(body):
        size += weights[body[token.start()]]
        if size > MAX_OBJECTS:
            raise TooLarge(
                f"an answer of {len(body):,} bytes whose objects would take more than "
                f"{MAX_OBJECTS // 1024**2} MiB of memory"
            )
