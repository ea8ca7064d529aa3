"""What the newest records of the topic say of the streams that wrote them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.spool.files import STREAMS
from core.spool.origin import Span, TopicEnds

#: What the names of our schemas begin with.
_SCHEMAS = {"submissions": "reddit.submission.", "comments": "reddit.comment."}

#: Any page may be the upper part of a walk that was never finished: pages may be as small as one item, and a walk may
#: be slow. Walks take less than this time, seconds, in which pages are captured: a thousand pages of one item.
_LONGEST_WALK = 3600.0

#: A time without any capture counts this much at most, seconds: in an outage a walk waits.
_LONGEST_PAUSE = 60.0


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
    if stream not in STREAMS or not named.get("schema", "").startswith(_SCHEMAS[stream]):
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
    streams: dict[str, list[Item]] = {stream: [] for stream in STREAMS}
    moments: set[float] = set()
    for item in items:
        streams[item.stream].append(item)
        moments.add(item.captured)
    return {stream: TopicEnds(dict(_spans(found, moments, now))) for stream, found in streams.items()}


def _spans(items: list[Item], moments: set[float], now: float) -> Iterator[tuple[str, Span]]:
    until = _finished_before(max((item.captured for item in items), default=0.0), moments)
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


def _finished_before(last: float, moments: set[float]) -> float:
    """Return the moment of capture before which each walk was surely finished; `last`: of the stream's last capture.

    `moments`: when any stream captured something. Where they do not reach back far enough, nothing is sure.
    """
    later, active = last, 0.0
    for moment in sorted((moment for moment in moments if moment < last), reverse=True):
        active += min(later - moment, _LONGEST_PAUSE)
        later = moment
        if active >= _LONGEST_WALK:
            return moment
    return float("-inf")
