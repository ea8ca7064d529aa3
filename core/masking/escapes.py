r"""Decodes the escapes of a text: percent-encoding, `\u0041`, `&#65;`, numbers, base64, folded lines. Pure.

A server that echoes a secret may escape it unlike any of our forms (see core.masking.secret_forms): each character,
or twice. So a text is also scanned after its escapes are resolved. The time is linear in the length
of the text.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

Span = tuple[int, int]

#: Nesting depth to which escapes within escapes are resolved.
_DEEPEST = 3

_ESCAPE = re.compile(
    r"""%(?:25){0,8}(?P<percent>[0-9a-f]{2})"""
    r"""|\\{1,16}(?:u(?P<long>000[0-9a-f]{5})|[ux]\{0{0,8}(?P<braces>[0-9a-f]{1,6})\}|u(?P<short>[0-9a-f]{4})"""
    r"""|x(?P<hex>[0-9a-f]{2})|(?P<octal>[0-3][0-7]{2})|(?P<itself>["'/]))"""
    r"""|&(?:amp;){0,8}\#(?:x0{0,8}(?P<hexent>[0-9a-f]{1,6})|0{0,8}(?P<decent>[0-9]{1,7}));?"""
    r"""|&(?:amp;){0,8}(?P<named>amp|lt|gt|quot|apos|nbsp);"""
    r"""|=(?P<quoted>[0-9a-f]{2})"""
    # invisible characters, and a line break with the indentation after it
    r"""|=?\r?\n[ \t]{0,16}|[\x00-\x08\x0b-\x1f\x7f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]""",
    re.IGNORECASE,
)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_BASES = {"decent": 10, "octal": 8}

#: Bytes as numbers: `5a:71:38`, `0x5a, 0x71`, `[90 113 56]`.
_HEX_LIST = re.compile(
    r"(?<![0-9a-f])(?:(?:0x)?[0-9a-f]{2}[:, -]{1,2}){5,}(?:0x)?[0-9a-f]{2}(?![0-9a-f])", re.IGNORECASE
)
_DECIMAL_LIST = re.compile(r"(?<![0-9])(?:[0-9]{1,3}[, ]{1,2}){5,}[0-9]{1,3}(?![0-9])")
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{12,}", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_URLSAFE = str.maketrans("-_", "+/")


class View(NamedTuple):
    """A text with its escapes resolved, and for each character (and the end) its place in the original."""

    text: str
    places: list[int]

    def origin(self, span: Span) -> Span:
        """Return the place in the original text."""
        return self.places[span[0]], self.places[span[1]]


def view(text: str) -> View | None:
    """Return the text without escapes, None if it has none."""
    seen: View | None = None
    for _ in range(_DEEPEST):
        inner = _resolved(text if seen is None else seen.text)
        if inner is None:
            break
        seen = inner if seen is None else View(inner.text, [seen.places[at] for at in inner.places])
    return seen


def runs(text: str) -> Iterator[tuple[Span, str]]:
    """Yield each part of a text that may be text encoded as a whole, with its decoded text, once per decoding."""
    for found in _HEX_LIST.finditer(text):
        yield found.span(), _from_hex(re.sub("0x|[:, -]", "", found[0], flags=re.IGNORECASE))
    for found in _DECIMAL_LIST.finditer(text):
        codes = [int(number) for number in re.findall("[0-9]+", found[0])]
        yield found.span(), "".join(map(chr, codes))
    for found in _HEX.finditer(text):
        yield found.span(), _from_hex(found[0])
        yield found.span(), _from_hex(found[0][1:])
    for found in _BASE64.finditer(text):
        digits = found[0].translate(_URLSAFE)
        for start in range(4):
            part = digits[start:]
            try:
                yield found.span(), base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1")
            except binascii.Error:
                continue  # not base64 from this position: nothing to decode


def _from_hex(digits: str) -> str:
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("latin-1")


def _resolved(text: str) -> View | None:
    parts: list[str] = []
    places: list[int] = []
    done = 0
    for found in _ESCAPE.finditer(text):
        start, end = found.span()
        parts.append(text[done:start])
        places += range(done, start)
        character = _character(found)
        if character:
            parts.append(character)
            places.append(start)
        done = end
    if not done:
        return None
    parts.append(text[done:])
    places += range(done, len(text) + 1)
    return View("".join(parts), places)


def _character(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind is None:
        return ""
    value = found[kind]
    if kind == "named":
        return _NAMED[value.lower()]
    if kind == "itself":
        return value
    code = int(value, _BASES.get(kind, 16))
    return chr(code) if 0 < code <= 0x10FFFF else ""
