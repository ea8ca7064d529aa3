"""A page of a listing, read with tolerance: what has no name or odd fields is still an item."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from core.reddit.errors import BadAnswer

#: Items a page holds at most (Reddit's limit).
PAGE_SIZE = 100

_KINDS = {"submissions": "t3", "comments": "t1"}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a listing: `data` as Reddit gave it.

    `name` identifies it among what was seen: the fullname, or a digest of the content where Reddit gave no id.
    `created` is created_utc in seconds, None where missing or no number.
    """

    name: str
    fullname: str
    subreddit: str
    created: float | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its items newest first, the anchor of the next page (None at the end), and what is no item at all."""

    items: tuple[Item, ...]
    after: str | None
    rejects: tuple[bytes, ...] = ()


def listing_path(subreddits: tuple[str, ...] | list[str], stream: str) -> str:
    """Return the path of a listing of one or several subreddits."""
    return f"/r/{'+'.join(subreddits)}/{'new' if stream == 'submissions' else 'comments'}"


def parse_page(answer: object, stream: str) -> Page:
    """Read a decoded answer. Raises BadAnswer when it is no listing."""
    data = answer.get("data") if isinstance(answer, dict) else None
    children = data.get("children") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(children, list):
        raise BadAnswer(f"no listing in the answer: {str(answer)[:80]!r}")
    items: list[Item] = []
    rejects: list[bytes] = []
    for child in children:
        body = child.get("data") if isinstance(child, dict) else None
        if isinstance(body, dict) and body:
            items.append(_item(body, _KINDS[stream]))
        else:
            rejects.append(json.dumps(child).encode())
    after = data.get("after")
    return Page(tuple(items), clean(after) if isinstance(after, str) and after else None, tuple(rejects))


def _item(data: dict[str, Any], kind: str) -> Item:
    fullname = data.get("name")
    if not isinstance(fullname, str) or not fullname:
        own_id = data.get("id")
        fullname = f"{kind}_{own_id}" if isinstance(own_id, str) and own_id else ""
    fullname = clean(fullname)
    subreddit = data.get("subreddit")
    return Item(
        name=fullname or _digest(data),
        fullname=fullname,
        subreddit=clean(subreddit) if isinstance(subreddit, str) else "",
        created=_seconds(data.get("created_utc")),
        data=data,
    )


def clean(text: str) -> str:
    """Replace halves of surrogate pairs: legal in JSON's escapes, impossible in UTF-8, in SQLite and in a URL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return seconds if math.isfinite(seconds) else None


def _digest(data: dict[str, Any]) -> str:
    """Tell nameless items apart by what does not change while they stand in a listing."""
    stable = {key: value for key, value in data.items() if key not in {"score", "ups", "downs", "num_comments"}}
    return "#" + hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()[:32]
