"""What the newest records of the topic say of the streams that wrote them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.kinds import kind_of, stream_names
from core.spool.origin import Span, TopicEnds

#: New items that a page of a listing brings at most. A page that is full of them may be the upper part of a walk that
#: was never finished; walks take less than this time, seconds.
_FULL_PAGE = 100
_LONGEST_WALK = 60.0


class Item(NamedTuple):
    """A record as far as it matters here: its stream, its subreddit, when it was created and captured (seconds)."""

    stream: str
    subreddit: str
    created: float | None
    captured: float


def read_item(headers: Iterable[Any], value: bytes | None) -> Item | None:
    """Read a record; None for one that no stream of ours has captured: foreign ones, and those from an archive."""
    named = {str(name): content.decode(errors="replace") for name, content in headers if isinstance(content, bytes)}
    stream = named.get("stream", "")
    if stream not in stream_names() or not named.get("schema", "").startswith(kind_of(stream).schema_family):
        return None
    try:
        record = orjson.loads(value or b"")
        captured = datetime.fromisoformat(record["timestamp"]).timestamp()
        subreddit, created, source = record["subreddit"], record["created_utc"], record.get("source", "reddit")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    if source != "reddit" or not isinstance(subreddit, str):
        return None
    known = isinstance(created, int | float) and not isinstance(created, bool)
    return Item(stream, subreddit.lower(), float(created) if known else None, captured)


def ends(items: Iterable[Item], now: float) -> dict[str, TopicEnds]:
    """Return for each stream what is known of the subreddits among these items; `now`: epoch seconds.

    A date later than now says nothing. The newest date of a subreddit is taken from walks that were surely finished.
    """
    streams: dict[str, list[Item]] = {stream: [] for stream in stream_names()}
    for item in items:
        streams[item.stream].append(item)
    return {stream: TopicEnds(dict(_spans(found, now))) for stream, found in streams.items()}


def _spans(items: list[Item], now: float) -> Iterator[tuple[str, Span]]:
    until = _finished_before(items)
    dates: dict[str, list[float]] = defaultdict(list)
    sure: dict[str, list[float]] = defaultdict(list)
    for item in items:
        dates.setdefault(item.subreddit, [])
        if item.created is not None and item.created <= now:
            dates[item.subreddit].append(item.created)
            if item.captured < until:
                sure[item.subreddit].append(item.created)
    for subreddit, created in dates.items():
        yield subreddit, Span(max(sure[subreddit], default=None), min(created, default=None))


def _finished_before(items: Iterable[Item]) -> float:
    """Return the moment of capture before which each walk was surely finished.

    A walk goes down from the newest page. All items of a page are captured at one moment.
    """
    pages: dict[float, int] = defaultdict(int)
    for item in items:
        pages[item.captured] += 1
    last = max(pages, default=0.0)
    unsure = [at for at, count in pages.items() if count >= _FULL_PAGE and last - at <= _LONGEST_WALK]
    return min(unsure, default=float("inf"))
