"""The forms in which a secret can appear in text: plain, encoded, escaped, or as a part of `id:secret`. Pure.

All forms are in lower case for comparison: hexadecimal digits and host names can change their case.
"""

import base64
import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

#: Shorter texts are masked only together with their user name: otherwise ordinary words would be masked everywhere.
SHORTEST = 4

#: Lines of a secret that has several, such as a key in PEM, count separately from this length on.
_SHORTEST_LINE = 12

#: A secret of more characters than this, which no person writes, has no hexadecimal form.
_LONGEST_IN_HEX = 512

#: Characters of base64 beside a stable part that hold some of its bits.
_BESIDE = 2

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})

#: The two letters whose lower case has another length, or depends on the adjacent letters.
_LONE = str.maketrans({"\u0130": "i", "\u03a3": "\u03c3"})


class Form(NamedTuple):
    """One form; `pad` characters on both sides of it are masked as well."""

    text: str
    pad: int = 0


def lower(text: str) -> str:
    """Return the text in lower case, character by character; its length stays."""
    return text.lower() if text.isascii() else text.translate(_LONE).lower()


def forms(secret: str) -> set[Form]:
    """Return the forms of a secret; none for a text that is too short."""
    found = {Form(lower(text)) for text in _plain(secret)} | {Form(lower(text), _BESIDE) for text in _base64(secret)}
    return {form for form in found if len(form.text) >= SHORTEST}


def pair_forms(user: str, secret: str) -> set[Form]:
    """Return the forms of `user:secret`, such as in the header Authorization."""
    if not secret:
        return set()
    pair = f"{user}:{secret}"
    found = {Form(lower(text), _BESIDE) for text in _base64(pair)}
    found |= {Form(lower(base64.b64encode(raw).decode().rstrip("="))) for raw in _bytes(pair)}
    if len(secret) < SHORTEST:
        found |= {Form(lower(text)) for text in (pair, quote(pair, safe=""), f"{user}%3a{secret}")}
    return {form for form in found if len(form.text) >= SHORTEST}


def _plain(secret: str) -> Iterator[str]:
    yield from _escaped(secret)
    if "%" in secret:
        yield from _escaped(unquote(secret))
    if "\n" in secret:
        lines = (line.strip() for line in secret.splitlines())
        yield from (line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----"))


def _escaped(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="", errors="replace")
    yield quote(secret, safe="/", errors="replace")
    yield quote_plus(secret, errors="replace")
    for ascii_only in (True, False):
        inner = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield inner
        yield inner.replace("/", "\\/")
    yield repr(secret)[1:-1]
    yield secret.translate(_HTML)
    for raw in _bytes(secret):
        yield repr(raw)[2:-1]
        yield raw.decode("latin-1")
        if len(raw) <= _LONGEST_IN_HEX:
            yield raw.hex()


def _bytes(text: str) -> Iterator[bytes]:
    """Yield the text as bytes: in UTF-8, and in Latin-1 for text beyond ASCII."""
    yield text.encode("utf-8", "replace")
    if not text.isascii():
        yield text.encode("latin-1", "replace")


def _base64(text: str) -> Iterator[str]:
    """Yield the parts of base64 that do not depend on the text around: one for each alignment."""
    for raw in _bytes(text):
        for before in range(3):
            encoded = base64.b64encode(b"\0" * before + raw).decode()
            stable = encoded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
            yield stable
            yield stable.replace("+", "-").replace("/", "_")
