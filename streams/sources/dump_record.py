"""Converts the lines of a dump to records. Pure.

A line takes the fast path if its fields have the usual types: only the fields of the record are decoded, and the line
itself becomes the object `reddit`. Everything else (dates as text, broken characters, numbers of odd types) takes the
way of live items (`streams.record`). Both give the same record.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import msgspec
import orjson

from core.record_value import REDDIT
from core.reddit.json_body import decode
from core.reddit.request_errors import TooLarge
from core.stream_kinds import listing_of
from streams.record import DELETED, absolute_url, iso_time, record_maker, to_value
from streams.reddit.listing_page import EARLIEST, LATEST, Item, item_of

#: The value of the field `source`.
ARCHIVE = "archive"

_COMMENTS, _SUBMISSIONS = "comments", "submissions"
_BEFORE_REDDIT = f',"{REDDIT}":'.encode()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HTML = b'_html"'
_NAME = re.compile(rb'"(?:subreddit|author)":\s*"([^"]*)"')
#: Up to this number of names each is searched by itself.
_FEW_NAMES = 6
_REMEMBERED_TIMES = 50_000


class Skipped(Enum):
    """Why a line gives no record, though it is an item."""

    FILTERED = "filtered"  #: another subreddit, author or time
    OTHER_KIND = "other kind"  #: a comment in a dump of submissions, or the reverse


class BadLine(NamedTuple):
    """A line that is no item."""

    reason: str


class DumpRecord(NamedTuple):
    """The key and the value of a record."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is published of a dump; nothing given: everything.

    Args:
        subreddits, authors: names in any case.
        since, until: epoch seconds, of the item's creation; `until` is excluded.
    """

    subreddits: frozenset[str] = frozenset()
    authors: frozenset[str] = frozenset()
    since: float | None = None
    until: float | None = None
    _lower: tuple[frozenset[str], frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = (self.subreddits, self.authors)
        object.__setattr__(self, "_lower", tuple(frozenset(map(str.lower, some)) for some in names))

    def takes(self, subreddit: str, author: str, created: float | None) -> bool:
        """Return whether an item is published; one without a date is not where a time is asked for."""
        subreddits, authors = self._lower
        if subreddits and subreddit.lower() not in subreddits:
            return False
        if authors and author.lower() not in authors:
            return False
        if self.since is None and self.until is None:
            return True
        if created is None or (self.since is not None and created < self.since):
            return False
        return self.until is None or created < self.until

    def needles(self) -> frozenset[bytes]:
        """Return names of which each published line holds one, in lower case; empty: no line can be left out."""
        subreddits, authors = self._lower
        return frozenset(name.encode() for name in (subreddits or authors))

    def key(self) -> str:
        """Return a text that is the same for the same choice."""
        subreddits, authors = self._lower
        return repr((sorted(subreddits), sorted(authors), self.since, self.until))


def candidates(data: bytes, names: frozenset[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that may hold one of the names as a whole text, each with its offset in the block.

    Names are compared in any case. A line that is not yielded holds none of them.
    """
    if len(names) > _FEW_NAMES:
        yield from _by_fields(data, names)
        return
    lower = data.lower()
    begins: set[int] = set()
    for name in names:
        needle = b'"%b"' % name
        place = lower.find(needle)
        while place >= 0:
            begins.add(lower.rfind(b"\n", 0, place) + 1)
            end = lower.find(b"\n", place)
            place = lower.find(needle, end) if end >= 0 else -1
    for begin in sorted(begins):
        yield begin, data[begin : data.index(b"\n", begin)]


def _by_fields(data: bytes, names: frozenset[bytes]) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for line in data.split(b"\n"):
        if any(name.lower() in names for name in _NAME.findall(line)):
            yield offset, line
        offset += len(line) + 1


class _Fields(msgspec.Struct, gc=False):
    """The fields of both kinds; another type than these takes the careful path."""

    id: str
    subreddit: str
    created_utc: int | float
    author: str | None = None
    name: str | None = None
    score: int | None = None
    permalink: str | None = None
    retrieved_on: int | None = None
    retrieved_utc: int | None = None


class _Comment(_Fields, kw_only=True, gc=False):
    body: str
    parent_id: str | None = None
    link_id: str


class _Submission(_Fields, kw_only=True, gc=False):
    title: str
    selftext: str | None = None
    is_self: bool | None = None
    url: str | None = None
    num_comments: int | None = None
    over_18: bool | None = None
    link_flair_text: str | None = None


class DumpParser:
    """Converts the lines of one dump.

    Args:
        stream: the stream that the records belong to: `comments` or `submissions`.
        full: whether records have `reddit`, the object in the dump.
        wanted: what is published.
        now: epoch seconds: the time of capture of items whose dump does not state it.
    """

    def __init__(self, stream: str, *, full: bool, wanted: Wanted, now: float) -> None:
        self._stream = stream
        self._prefix = f"{listing_of(stream).prefix}_"
        self._full = full
        self._wanted = wanted
        self._everything = wanted == Wanted()
        self._now = now
        self._times: dict[float, str] = {}
        self._make_content = record_maker(stream)
        self._content: Callable[[Any, str, str], dict[str, Any]]
        if stream == _COMMENTS:
            self._decode: Callable[[bytes], _Fields] = msgspec.json.Decoder(_Comment).decode
            self._content = _comment
        else:
            self._decode = msgspec.json.Decoder(_Submission).decode
            self._content = _submission

    def parse(self, line: bytes, *, valid_utf8: bool = False) -> DumpRecord | Skipped | BadLine:
        """Convert a line; `valid_utf8`: it is known to be."""
        try:
            fields = self._decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return self.parse_carefully(line)
        created = fields.created_utc
        if not EARLIEST <= created < LATEST:
            return self.parse_carefully(line)
        fullname = fields.name or self._prefix + fields.id
        if not fields.id or not fullname.startswith(self._prefix) or not (valid_utf8 or _is_utf8(line)):
            return self.parse_carefully(line)
        if not self._everything and not self._wanted.takes(fields.subreddit, fields.author or "", created):
            return Skipped.FILTERED
        if self._full:
            if _HTML in line or _has_lone_surrogate(line):
                return self.parse_carefully(line)
            served = line.strip()
        retrieved = fields.retrieved_on or fields.retrieved_utc
        try:
            own = orjson.dumps(self._content(fields, fullname, self._time(retrieved)))
        except TypeError:  # an integer of more than 64 bits
            return self.parse_carefully(line)
        value = b"%b%b%b}" % (own[:-1], _BEFORE_REDDIT, served) if self._full else own
        return DumpRecord(fullname.encode(), value)

    def _time(self, retrieved: float | None) -> str:
        """Return when the archive retrieved the item; where it does not say so, the time of this run."""
        seconds = self._now if retrieved is None or not EARLIEST <= retrieved < LATEST else retrieved
        text = self._times.get(seconds)
        if text is None:
            if len(self._times) >= _REMEMBERED_TIMES:
                self._times.clear()
            text = self._times[seconds] = iso_time(seconds)
        return text

    def parse_carefully(self, line: bytes) -> DumpRecord | Skipped | BadLine:
        """Convert a line of any shape, as live items are converted."""
        try:
            line.decode()
            data = decode(line)
        except UnicodeDecodeError as error:
            return BadLine(f"not UTF-8: {error.reason} at byte {error.start}")
        except (ValueError, RecursionError, TooLarge) as error:
            return BadLine(f"not JSON: {error}")
        if not isinstance(data, dict):
            return BadLine("not an object")
        item = item_of(data, self._prefix[:-1])
        if not item.fullname:
            return BadLine("an object without `id` and `name`")
        if not self._is_of_kind(item):
            return Skipped.OTHER_KIND if _is_item(data) else BadLine("an object that is no post and no comment")
        author = data.get("author")
        if not self._wanted.takes(item.subreddit, author if isinstance(author, str) else "", item.created):
            return Skipped.FILTERED
        retrieved = data.get("retrieved_on") or data.get("retrieved_utc")
        time = self._time(retrieved if type(retrieved) is int else None)
        content = self._make_content(item, time)
        content["source"] = ARCHIVE
        content["permalink"] = content["permalink"] or _permalink(
            item.subreddit, content["content_id"], content.get("link_id")
        )
        return DumpRecord(item.fullname.encode(), to_value(content, data if self._full else None))

    def _is_of_kind(self, item: Item) -> bool:
        data = item.data
        if not item.fullname.startswith(self._prefix):
            return False
        if self._stream == _COMMENTS:
            return "body" in data or "link_id" in data
        return "title" in data or ("link_id" not in data and isinstance(data.get("name"), str))


def _is_item(data: dict[str, Any]) -> bool:
    return any(name in data for name in ("title", "selftext", "body", "link_id"))


def kind_of_line(line: bytes) -> str | None:
    """Return the stream of the item in a line; None: it is not one."""
    for stream in (_COMMENTS, _SUBMISSIONS):
        if isinstance(DumpParser(stream, full=False, wanted=Wanted(), now=EARLIEST).parse(line), DumpRecord):
            return stream
    return None


def _comment(fields: _Comment, fullname: str, timestamp: str) -> dict[str, Any]:
    return {
        "content_id": fields.id,
        "content_type": "comment",
        "fullname": fullname,
        "subreddit": fields.subreddit,
        "author": fields.author or DELETED,
        "text": fields.body,
        "score": fields.score,
        "created_utc": int(fields.created_utc),
        "permalink": fields.permalink or _permalink(fields.subreddit, fields.id, fields.link_id),
        "timestamp": timestamp,
        "source": ARCHIVE,
        "parent_id": fields.parent_id or None,
        "link_id": fields.link_id or None,
    }


def _submission(fields: _Submission, fullname: str, timestamp: str) -> dict[str, Any]:
    return {
        "content_id": fields.id,
        "content_type": "submission",
        "fullname": fullname,
        "subreddit": fields.subreddit,
        "author": fields.author or DELETED,
        "text": fields.selftext or "",
        "score": fields.score,
        "created_utc": int(fields.created_utc),
        "permalink": fields.permalink or _permalink(fields.subreddit, fields.id, None),
        "timestamp": timestamp,
        "source": ARCHIVE,
        "title": fields.title,
        "url": "" if fields.is_self is True else absolute_url((fields.url or "").strip()),
        "num_comments": fields.num_comments,
        "over_18": fields.over_18,
        "link_flair_text": fields.link_flair_text or None,
    }


def _permalink(subreddit: str, own_id: str, link_id: str | None) -> str:
    """Return the path of an item whose dump has none (before 2017)."""
    if not subreddit or not own_id:
        return ""
    if link_id:
        return f"/r/{subreddit}/comments/{link_id.removeprefix('t3_')}/_/{own_id}/"
    return f"/r/{subreddit}/comments/{own_id}/"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_lone_surrogate(line: bytes) -> bool:
    if not _SURROGATE.search(line):
        return False
    try:
        orjson.loads(line)
    except ValueError:
        return True
    return False
