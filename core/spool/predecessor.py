"""A new spool whose predecessor is unknown from files: the topic shows whether there was one.

The writer marks such a spool. The publisher reads the ends of the topic's partitions before it sends a record from the
spool, and stores the result in publisher.db. The stream then records the gap, if there is one, and removes the mark.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.spool.committed_positions import read_topic_ends
from core.spool.stream_state import Origin, StateChange, rows_of


def mark(target: sqlite3.Connection, *, lost: bool) -> None:
    """Mark a new spool, inside the caller's transaction; `lost`: it certainly has a predecessor."""
    origin = Origin.LOST if lost else Origin.UNKNOWN
    rows = rows_of(StateChange(origin=origin).entries())
    target.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", rows.items())


@dataclass(frozen=True, slots=True)
class DeliveredSpan:
    """The creation times of delivered items, created_utc seconds; None: no record had a usable date."""

    newest: float | None = None  #: up to this time the listing was certainly read to its end
    oldest: float | None = None


@dataclass(frozen=True, slots=True)
class TopicEnds:
    """The records of one stream at the ends of the topic's partitions."""

    subreddits: Mapping[str, DeliveredSpan] = field(default_factory=dict)  #: by lower-case subreddit name
    #: why the topic could not be read, empty if it was read
    unread: str = ""

    def to_json(self) -> str:
        """Return it as the stored text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "TopicEnds":
        """Parse the stored text. Raises ValueError, TypeError, KeyError or AttributeError for any other."""
        stored = json.loads(text)
        spans = {
            str(name): DeliveredSpan(span["newest"], span["oldest"]) for name, span in stored["subreddits"].items()
        }
        return cls(spans, str(stored["unread"]))

    def starts(self, subreddits: Mapping[str, bool]) -> dict[str, float | None]:
        """Return the times from which items of these subreddits may be missing; empty if the topic holds none of them.

        A subreddit without a record starts at the oldest record of the others: nothing newer of it was delivered.
        None: no date is known.

        Args:
            subreddits: name as configured → whether it lists items of other subreddits (r/all).
        """
        everything = _joined(self.subreddits.values())
        spans = {
            name: everything if collective else self.subreddits.get(name.lower(), DeliveredSpan())
            for name, collective in subreddits.items()
        }
        known = self.subreddits
        listed = [name for name, collective in subreddits.items() if (known if collective else name.lower() in known)]
        if not listed:
            return {}
        oldest = _joined(spans[name] for name in listed).oldest
        return {name: oldest if span.newest is None else span.newest for name, span in spans.items()}


def _joined(spans: Iterable[DeliveredSpan]) -> DeliveredSpan:
    known = list(spans)
    newest = [span.newest for span in known if span.newest is not None]
    oldest = [span.oldest for span in known if span.oldest is not None]
    return DeliveredSpan(max(newest, default=None), min(oldest, default=None))


def read_ends(state_dir: Path, spool_id: str) -> TopicEnds | None:
    """Return what the publisher found for this spool, or None; same errors as core.spool.committed_positions."""
    text = read_topic_ends(state_dir, spool_id)
    try:
        return None if text is None else TopicEnds.from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError):
        return TopicEnds(unread="the stored result is invalid")
