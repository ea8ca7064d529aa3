"""Parses a page of a listing tolerantly: a thing without a name or with invalid fields is still an item."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from core.masking.external import outside, scrub
from core.reddit.json_text import clean, to_json
from core.reddit.request_errors import BadAnswer
from core.stream_kinds import listing_of

#: Most items of a page (Reddit's limit).
PAGE_SIZE = 100

#: The accepted dates, epoch seconds: from the year of Reddit's first item to the end of this century.
EARLIEST = 1_104_537_600.0  # 2005-01-01
LATEST = 4_102_444_800.0  # 2100-01-01

#: The form of an anchor: a fullname whose number fits in 64 bits. Nothing else is put into a request.
_ANCHOR = re.compile(r"t[13]_[0-9a-z]{1,13}")

#: The prefix of a fullname, which is the kind of the thing.
_PREFIX = re.compile(r"(t[0-9])_")

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]*)?")


@dataclass(slots=True)  # not frozen: a page creates a hundred, and a frozen one takes four times as long to create
class Item:
    """One item of a listing: `data` as Reddit returned it.

    `name` identifies it among the items seen: the fullname, or a digest of the content if Reddit gave no id. `created`
    is created_utc in seconds, None if it is missing, no date, or outside of `EARLIEST` to `LATEST`.
    """

    name: str
    fullname: str
    subreddit: str
    created: float | None
    data: dict[str, Any]


class Reject(NamedTuple):
    """An entry that is not an item of the stream: the reason, and the whole entry as JSON."""

    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its items newest first, the anchor of the next page (None at the end), and the other entries."""

    items: tuple[Item, ...]
    after: str | None
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A page to request: the items that follow `after` (None: the top), or those directly above `before`."""

    after: str | None
    limit: int
    before: str | None = None


def listing_path(subreddits: tuple[str, ...] | list[str], stream: str) -> str:
    """Return the path of a listing of one or several subreddits."""
    return f"/r/{'+'.join(subreddits)}/{listing_of(stream).listing}"


def parse_page(answer: object, stream: str) -> Page:
    """Parse a decoded answer. Raises BadAnswer if it is not a listing."""
    listing = answer if isinstance(answer, dict) and answer.get("kind") == "Listing" else {}
    data = listing.get("data")
    children = data.get("children") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(children, list):
        raise BadAnswer(f"no listing in the answer: {_describe(answer)}")
    items: list[Item] = []
    rejects: list[Reject] = []
    kind = listing_of(stream).prefix
    for child in children:
        item = _parse_plain(child, kind)
        if item is not None:
            items.append(item)
            continue
        body = child.get("data") if isinstance(child, dict) else None
        if not isinstance(body, dict) or not body:
            rejects.append(_reject("not an object", child))
        elif foreign := _foreign(child.get("kind"), body, kind):
            rejects.append(_reject(f"{foreign}, which does not belong to {stream}", child))
        else:
            items.append(item_of(body, kind))
    return Page(tuple(items), _anchor(data.get("after"), items), tuple(rejects))


def _describe(answer: object) -> str:
    """Describe the answer that is not a listing; it may be megabytes, so its content is not included."""
    if not isinstance(answer, dict):
        return type(answer).__name__
    kind = answer.get("kind")
    if isinstance(kind, str):
        return f"an object of kind {outside(kind, 20)!r}"
    return f"an object with {', '.join(outside(name, 20) for name in sorted(answer)[:5]) or 'no fields'}"


def _parse_plain(child: object, kind: str) -> Item | None:
    """Parse an entry with Reddit's usual fields, fast; None: it needs the full check."""
    if type(child) is not dict or child.get("kind") != kind:
        return None
    data = child.get("data")
    if type(data) is not dict:
        return None
    name, subreddit, created = data.get("name"), data.get("subreddit"), data.get("created_utc")
    if type(name) is not str or type(subreddit) is not str or type(created) is not float:
        return None
    # ASCII contains no half of a surrogate pair
    plain = name.startswith(kind) and name.isascii() and subreddit.isascii()
    return Item(name, name, subreddit, created, data) if plain and EARLIEST <= created < LATEST else None


def _foreign(stated: object, data: dict[str, Any], kind: str) -> str:
    """Describe an entry that is not of `kind`; empty if it is, or if nothing contradicts it."""
    if stated is not None and stated != kind:
        return f"kind {outside(clean(str(stated)), 20)!r}"
    name = data.get("name")
    if not isinstance(name, str) or name.startswith(kind):
        return ""
    prefix = _PREFIX.match(name)
    return f"name {outside(clean(name), 20)!r}" if prefix and prefix[1] != kind else ""


def _reject(reason: str, child: object) -> Reject:
    try:
        return Reject(reason, scrub(child))
    except RecursionError:  # nested too deeply for the standard writer: kept as a text
        return Reject(reason, scrub(to_json(child).decode()))


def _anchor(after: object, items: Iterable[Item]) -> str | None:
    """Return the anchor of the next page; an invalid one is replaced by the last item name that is an anchor."""
    if after is None or after == "":
        return None
    if isinstance(after, str) and _ANCHOR.fullmatch(after):
        return after
    return next((item.fullname for item in reversed(list(items)) if _ANCHOR.fullmatch(item.fullname)), None)


def item_of(data: dict[str, Any], kind: str) -> Item:
    """Return the item of an object of this kind (`t1`, `t3`); what is missing or invalid is empty or None."""
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


def _seconds(value: object) -> float | None:
    """Return a date in epoch seconds: from a number, or from a text with a number or an ISO 8601 time."""
    if isinstance(value, float):
        return value if EARLIEST <= value < LATEST else None  # every comparison with nan is false
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        seconds = _from_text(value.strip()) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):  # no date; or an integer of hundreds of digits
        return None
    return seconds if EARLIEST <= seconds < LATEST else None


def _from_text(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _digest(data: dict[str, Any]) -> str:
    """Return a name for an item without one, from the fields that do not change while it is in a listing."""
    stable = {key: value for key, value in data.items() if key not in {"score", "ups", "downs", "num_comments"}}
    try:
        text = json.dumps(stable, sort_keys=True).encode()
    except RecursionError:
        text = to_json(stable)
    return "#" + hashlib.sha256(text).hexdigest()[:32]
