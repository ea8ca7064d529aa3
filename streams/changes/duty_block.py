"""Packs the state of up to a hundred items of one stream into one value of the database. Pure.

An item takes about 27 bytes: its id (length and text), created_utc, the number of its subreddit, one byte of flags,
the hash of its text, its score, and the time of its last edit if there was one. Packed items can be appended to others.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from streams.changes.look import Known, Visibility

#: Most items of a block: one request asks for as many names.
MOST = 100

#: Longest id, bytes.
LONGEST_ID = 255

_UINT32 = struct.Struct("<I")
_UINT64 = struct.Struct("<Q")
_MOST_UINT32 = 2**32 - 1

_VISIBILITY = 0b11
_ACCOUNT, _ABSENT, _EDIT_KNOWN, _EDITED, _SCORED, _HASHED = (1 << bit for bit in range(2, 8))


@dataclass(frozen=True, slots=True)
class Duty:
    """An item to look at again.

    Attributes:
        id: its id without prefix.
        created: created_utc, whole seconds.
        subreddit: the number of its subreddit (see streams.changes.duties).
        known: its state after the last look.
    """

    id: str
    created: int
    subreddit: int
    known: Known


class BrokenBlockError(ValueError):
    """Bytes that are no packed items."""


def pack(duties: Iterable[Duty]) -> bytes:
    """Return the items as bytes."""
    out = bytearray()
    for duty in duties:
        text, known = duty.id.encode(), duty.known
        if len(text) > LONGEST_ID:
            raise ValueError(f"the id {duty.id[:40]!r} is longer than {LONGEST_ID} bytes")
        out.append(len(text))
        out += text
        out += _UINT32.pack(min(max(duty.created, 0), _MOST_UINT32))
        _put_number(out, duty.subreddit)
        out.append(_flags(known))
        if known.text_hash is not None:
            out += _UINT64.pack(known.text_hash)
        if known.score is not None:
            _put_number(out, known.score * 2 if known.score >= 0 else -known.score * 2 - 1)
        if known.edited:
            out += _UINT32.pack(min(known.edited, _MOST_UINT32))
    return bytes(out)


def unpack(blob: bytes) -> tuple[Duty, ...]:
    """Return the items of a block. Raises BrokenBlockError."""
    duties, at = [], 0
    try:
        while at < len(blob):
            duty, at = _unpack_one(blob, at)
            duties.append(duty)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise BrokenBlockError(f"the bytes end or change inside item {len(duties) + 1} ({error})") from error
    return tuple(duties)


def _unpack_one(blob: bytes, at: int) -> tuple[Duty, int]:
    end = at + 1 + blob[at]
    if end > len(blob):
        raise IndexError("an id is cut")
    text = blob[at + 1 : end].decode()
    created = _UINT32.unpack_from(blob, end)[0]
    subreddit, at = _take_number(blob, end + 4)
    flags = blob[at]
    at += 1
    text_hash = score = edited = None
    if flags & _HASHED:
        text_hash = _UINT64.unpack_from(blob, at)[0]
        at += 8
    if flags & _SCORED:
        zigzag, at = _take_number(blob, at)
        score = zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
    if flags & _EDITED:
        edited = _UINT32.unpack_from(blob, at)[0]
        at += 4
    elif flags & _EDIT_KNOWN:
        edited = 0
    known = Known(
        text_hash, edited, score, Visibility(flags & _VISIBILITY), bool(flags & _ACCOUNT), bool(flags & _ABSENT)
    )
    return Duty(text, created, subreddit, known), at


def _flags(known: Known) -> int:
    flags = int(known.visibility)
    flags |= _ACCOUNT if known.account_deleted else 0
    flags |= _ABSENT if known.absent else 0
    flags |= _EDIT_KNOWN if known.edited is not None else 0
    flags |= _EDITED if known.edited else 0
    flags |= _SCORED if known.score is not None else 0
    return flags | (_HASHED if known.text_hash is not None else 0)


def _put_number(out: bytearray, number: int) -> None:
    """Append a number of any size, seven bits a byte."""
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _take_number(blob: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = blob[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
