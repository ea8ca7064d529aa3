"""From Reddit's item to the record of the topic (docs: the contract's "Kafka records", core/schemas)."""

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from core.spool import Record
from streams.capture.listing import Item, clean

SCHEMAS = {"submissions": "reddit.submission.v1", "comments": "reddit.comment.v1"}

_CONTENT_TYPES = {"submissions": "submission", "comments": "comment"}
DELETED = "[deleted]"

_REDDIT = "https://www.reddit.com"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]*)?")


def make_record(item: Item, stream: str, captured_at: float) -> Record:
    """Return the record of an item, with what it has: a missing or odd field becomes null (texts: empty)."""
    data = item.data
    content: dict[str, Any] = {
        "content_id": _content_id(item),
        "content_type": _CONTENT_TYPES[stream],
        "fullname": item.fullname,
        "subreddit": item.subreddit,
        "author": _text(data.get("author")) or DELETED,
        "text": _text(data.get("selftext" if stream == "submissions" else "body")),
        "score": _whole(data.get("score")),
        "created_utc": None if item.created is None else math.floor(item.created),
        "permalink": _text(data.get("permalink")),
        "timestamp": _iso(captured_at),
        "source": "reddit",
    }
    content.update(_submission(data) if stream == "submissions" else _comment(data))
    return Record(item.name.encode(), _encode(content), SCHEMAS[stream])


@lru_cache(maxsize=8)
def _iso(seconds: float) -> str:
    """Return a moment as text; the items of a page share theirs."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _submission(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": _text(data.get("title")),
        "url": "" if data.get("is_self") is True else _absolute(_text(data.get("url")).strip()),
        "num_comments": _whole(data.get("num_comments")),
        "over_18": _flag(data.get("over_18")),
        "link_flair_text": _text(data.get("link_flair_text")) or None,
    }


def _comment(data: dict[str, Any]) -> dict[str, Any]:
    return {"parent_id": _text(data.get("parent_id")) or None, "link_id": _text(data.get("link_id")) or None}


def _content_id(item: Item) -> str:
    own_id = item.data.get("id")
    return own_id if isinstance(own_id, str) and own_id else item.fullname.partition("_")[2]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _absolute(url: str) -> str:
    """Complete an address that names no server: the one of a crosspost is a path on Reddit."""
    if not url or _SCHEME.match(url):
        return url
    if url.startswith("//"):
        return f"https:{url}"
    if url.startswith("/"):
        return f"{_REDDIT}{url}"
    server = "." in url.partition("/")[0].strip(".")
    return f"https://{url}" if server else f"{_REDDIT}/{url}"


def _whole(value: object) -> int | None:
    """Return a whole number, also one given as text."""
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


def _encode(content: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except TypeError:
        # half a surrogate pair is legal in JSON text and impossible in UTF-8, a score may exceed 64 bits
        return orjson.dumps({key: _mended(value) for key, value in content.items()})


def _mended(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value
