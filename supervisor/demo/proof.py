"""Compares the topic with the simulator's items: the streams' proof. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.spool.model import Gap

#: One line of the simulator's truth.
Truth = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record of a topic; without a value it is a tombstone."""

    key: str
    value: bytes | None
    at: float  #: when it was written, epoch seconds

    @property
    def content(self) -> dict[str, Any]:
        """Return the value's object; empty for a tombstone."""
        content: dict[str, Any] = {} if self.value is None else json.loads(self.value)
        return content


@dataclass(frozen=True, slots=True)
class Proof:
    """The result in numbers."""

    shown: int  #: items in completely sent answers
    delivered: int  #: of these, in the topic
    lost: int  #: shown and not in the topic, or never shown and outside every recorded gap
    unseen: int  #: never shown, but inside a recorded gap: missing, and admitted
    duplicated: int  #: further records of an item
    unknown: int  #: records of items that the simulator never had
    gaps: int  #: recorded and not repaired
    missing: tuple[Truth, ...] = ()  #: the lost items, as the simulator describes them

    @property
    def holds(self) -> bool:
        """Whether nothing is lost or invented."""
        return self.lost == 0 and self.unknown == 0


def prove(truth: Sequence[Truth], keys: Iterable[str], gaps: Sequence[Gap]) -> Proof:
    """Compare all items with the keys of all records in the topic."""
    copies = Counter(keys)
    shown = [item for item in truth if item["shown_at"] is not None]
    unseen = [item for item in truth if item["shown_at"] is None and _was_to_be_seen(item)]
    lost = [item for item in shown if item["fullname"] not in copies]
    admitted = [item for item in unseen if any(_covers(gap, item) for gap in gaps)]
    lost += [item for item in unseen if item not in admitted]
    known = {item["fullname"] for item in truth}
    return Proof(
        shown=len(shown),
        delivered=sum(item["fullname"] in copies for item in shown),
        lost=len(lost),
        unseen=len(admitted),
        duplicated=sum(count - 1 for count in copies.values()),
        unknown=sum(count for key, count in copies.items() if key not in known),
        gaps=sum(not gap.repaired for gap in gaps),
        missing=tuple(lost),
    )


def is_complete(truth: Sequence[Truth]) -> bool:
    """Return whether every item that will ever surface has surfaced and been shown; hidden ones need not be."""
    expected = (item for item in truth if item["shown_at"] is None and not item.get("hidden"))
    return not any(_is_to_come(item) or _was_to_be_seen(item) for item in expected)


def _is_to_come(item: Truth) -> bool:
    return item["surfaced_at"] is None and item["removed_at"] is None


def _was_to_be_seen(item: Truth) -> bool:
    """Return whether it was listed and not removed."""
    return item["surfaced_at"] is not None and item["removed_at"] is None


def _covers(gap: Gap, item: Truth) -> bool:
    stream, created = item["kind"], int(item["created"])
    names = {name.lower() for name in gap.subreddits}
    start = gap.start if gap.late_from is None else gap.late_from  # late items may be missing from there on
    return (
        stream == gap.stream
        and item["subreddit"].lower() in names
        and not gap.repaired
        and (start or 0.0) <= item["created"]
        and (gap.end is None or created <= gap.end)
    )
