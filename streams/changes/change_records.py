"""Converts the changes of an item to rows of the spool: an event for each, and the newest record for `latest`. Pure."""

from datetime import UTC, datetime

from core.reddit.json_text import to_json
from core.spool import Record
from core.stream_kinds import StreamKind
from streams.changes.look import Look, Shown
from streams.record import make_record
from streams.reddit.listing_page import Item

#: The schema of an event.
SCHEMA = "reddit.change.v1"

_CONTENT_TYPES = {"t3": "submission", "t1": "comment"}


def event_records(
    look: Look, kind: StreamKind, *, fullname: str, subreddit: str, created: int, shown: Shown | None, now: float
) -> list[Record]:
    """Return an event for each change of an item; `shown` is None if Reddit does not show it."""
    score = shown.score if shown is not None else look.known.score
    checked_at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    records = []
    for change in look.changes:
        event = {
            "fullname": fullname,
            "content_type": _CONTENT_TYPES[kind.prefix],
            "subreddit": subreddit,
            "op": change.op.value,
            "category": change.category,
            "text": change.text,
            "score": score,
            "num_comments": shown.num_comments if shown is not None else None,
            "checked_at": checked_at,
            "age_s": round(max(0.0, now - created), 3),
        }
        records.append(Record(fullname.encode(), to_json(event), SCHEMA))
    return records


def latest_record(
    look: Look, kind: StreamKind, item: Item | None, *, fullname: str, now: float, full: bool
) -> Record | None:
    """Return the row for the topic of the newest states; None: it stays as it is. No value: a tombstone.

    `full`: the record has the object that Reddit served, too.
    """
    if look.tombstone:
        return Record(fullname.encode(), b"", kind.schema)
    if item is not None and look.renews_record:
        return make_record(item, kind.name, now, full=full)
    return None
