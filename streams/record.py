"""Converts Reddit's items to the records of the topic (docs: the contract's "Kafka records", core/schemas)."""

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from operator import itemgetter
from typing import Any

import orjson

from core.record_value import REDDIT
from core.reddit.json_text import clean, to_json
from core.spool import Record
from core.stream_kinds import kind_of, listing_of
from streams.reddit.listing_page import Item

#: Takes an item and the ISO 8601 time of its capture; returns the content of its record.
RecordMaker = Callable[[Item, str], dict[str, Any]]

DELETED = "[deleted]"

_COMMENT_FIELDS = ("id", "author", "body", "score", "permalink", "parent_id", "link_id")
_COMMENT = itemgetter(*_COMMENT_FIELDS)

#: The ending of the names of fields that hold a text again, as HTML; the common ones.
_HTML = "_html"
_COMMON_HTML = ("body_html", "selftext_html")

_REDDIT = "https://www.reddit.com"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]*)?")


def make_record(item: Item, stream: str, captured_at: float, *, full: bool = False) -> Record:
    """Return the record of an item; a missing or invalid field becomes null (texts: empty).

    Args:
        item: the item.
        stream: the name of its stream.
        captured_at: epoch seconds.
        full: whether the record also has `reddit`, the object that Reddit served (see `served`).
    """
    return make_records([item], stream, captured_at, full=full)[0]


def make_records(items: Iterable[Item], stream: str, captured_at: float, *, full: bool = False) -> list[Record]:
    """Return the records of several items captured at the same time."""
    make_content, schema, timestamp = record_maker(stream), kind_of(stream).schema, iso_time(captured_at)
    new, dumps = tuple.__new__, orjson.dumps
    records = []
    for item in items:
        content = make_content(item, timestamp)
        if full:
            content[REDDIT] = served(item.data)  # last: see core.record_value
        try:
            value = dumps(content)
        except TypeError:
            value = _carefully(content)
        records.append(new(Record, (item.name.encode(), value, schema)))
    return records


def to_value(content: dict[str, Any], data: dict[str, Any] | None) -> bytes:
    """Return the bytes of a record from its content, and from the object that Reddit served, if it is to have it."""
    if data is not None:
        content[REDDIT] = served(data)
    try:
        return orjson.dumps(content)
    except TypeError:
        return _carefully(content)


def served(data: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the object without its own `*_html` fields; objects inside it stay whole.

    It runs once per item: most have no such field but the common two, and a search in all names at once shows that.
    """
    kept = data.copy()
    for name in _COMMON_HTML:
        kept.pop(name, None)
    names = "\n".join(kept)
    if _HTML in names and ("_html\n" in names or names.endswith(_HTML)):
        for name in [name for name in kept if name.endswith(_HTML)]:
            del kept[name]
    return kept


def _carefully(content: dict[str, Any]) -> bytes:
    """Write what orjson refuses.

    Half a surrogate pair is legal in JSON text and invalid in UTF-8, a number may exceed 64 bits, and objects may be
    nested more deeply than orjson writes them.
    """
    reddit = content.pop(REDDIT, None)
    own = orjson.dumps({key: _repaired(value) for key, value in content.items()})
    return own if reddit is None else b'%b,"%b":%b}' % (own[:-1], REDDIT.encode(), to_json(reddit))


def record_maker(stream: str) -> RecordMaker:
    """Return the function that makes the content of a stream's records.

    Raises:
        PermanentError: no kind has this name, or it does not read a listing.
    """
    return _load(listing_of(stream).record)


@cache
def _load(reference: str) -> RecordMaker:
    module, _, name = reference.partition(":")
    function: RecordMaker = getattr(import_module(module), name)
    return function


def iso_time(seconds: float) -> str:
    """Return a time as it stands in records: ISO 8601, UTC, with three fraction digits."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


# Both run once per item, so a field of the right type is used without a call.


def comment(item: Item, timestamp: str) -> dict[str, Any]:
    """Return the content of a comment's record."""
    try:
        own_id, author, text, score, permalink, parent_id, link_id = _COMMENT(item.data)
    except KeyError:
        own_id, author, text, score, permalink, parent_id, link_id = map(item.data.get, _COMMENT_FIELDS)
    fullname, created = item.fullname, item.created
    return {
        "content_id": own_id if type(own_id) is str and own_id else fullname.partition("_")[2],
        "content_type": "comment",
        "fullname": fullname,
        "subreddit": item.subreddit,
        "author": author if type(author) is str and author else DELETED,
        "text": text if type(text) is str else "",
        "score": score if type(score) is int else _whole(score),
        "created_utc": None if created is None else int(created),
        "permalink": permalink if type(permalink) is str else "",
        "timestamp": timestamp,
        "source": "reddit",
        "parent_id": parent_id if type(parent_id) is str and parent_id else None,
        "link_id": link_id if type(link_id) is str and link_id else None,
    }


def submission(item: Item, timestamp: str) -> dict[str, Any]:
    """Return the content of a submission's record."""
    get = item.data.get
    own_id, author, text, score = get("id"), get("author"), get("selftext"), get("score")
    permalink, title, comments, flair = get("permalink"), get("title"), get("num_comments"), get("link_flair_text")
    return {
        "content_id": own_id if type(own_id) is str and own_id else item.fullname.partition("_")[2],
        "content_type": "submission",
        "fullname": item.fullname,
        "subreddit": item.subreddit,
        "author": author if type(author) is str and author else DELETED,
        "text": text if type(text) is str else "",
        "score": score if type(score) is int else _whole(score),
        "created_utc": None if item.created is None else int(item.created),
        "permalink": permalink if type(permalink) is str else "",
        "timestamp": timestamp,
        "source": "reddit",
        "title": title if type(title) is str else "",
        "url": "" if get("is_self") is True else absolute_url(_text(get("url")).strip()),
        "num_comments": comments if type(comments) is int else _whole(comments),
        "over_18": _flag(get("over_18")),
        "link_flair_text": flair if type(flair) is str and flair else None,
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def absolute_url(url: str) -> str:
    """Complete a URL without a host: that of a crosspost is a path on Reddit."""
    if not url or _SCHEME.match(url):
        return url
    if url.startswith("//"):
        return f"https:{url}"
    if url.startswith("/"):
        return f"{_REDDIT}{url}"
    server = "." in url.partition("/")[0].strip(".")
    return f"https://{url}" if server else f"{_REDDIT}/{url}"


def _whole(value: object) -> int | None:
    """Return an integer, also one given as text."""
    if type(value) is int:
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _repaired(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value
