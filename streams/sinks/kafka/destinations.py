"""Chooses the destination of a row: the topic of its stream, the compacted topic `latest`, or both. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from core.stream_kinds import kind_of, reads_listing, spool_names

#: Settings of a topic that this publisher creates for the newest state of each item. A tombstone stays readable for a
#: week, so that a consumer that was away sees it. What it deletes is gone from the disks within a day or two: half a
#: day until its segment is closed, and then at most a day until the segment is compacted.
LATEST_SETTINGS: Mapping[str, str] = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(7 * 86_400_000),
    "max.compaction.lag.ms": str(86_400_000),
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": str(43_200_000),
}


class Route(NamedTuple):
    """The destination of a row.

    Attributes:
        topic: the topic that the record goes to; empty: it is settled without being sent.
        partition: -1: it follows from the key.
        copy: the topic that also gets it; empty: none.
        state_only: whether it is only a newest state, or a tombstone, and no record.
    """

    topic: str
    partition: int = -1
    copy: str = ""
    state_only: bool = False

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that gets the row."""
        return tuple(filter(None, (self.topic, self.copy)))


@dataclass(frozen=True, slots=True)
class Destinations:
    """The topics of the records.

    Attributes:
        of_stream: the topic of each stream.
        default: the topic of every other one.
        latest: the compacted topic of the newest state of each item; empty: none.
    """

    of_stream: Mapping[str, str]
    default: str = ""
    latest: str = ""

    def topic_of(self, stream: str) -> str:
        """Return the topic of the records of a stream."""
        return self.of_stream.get(stream, self.default)

    def route(self, stream: str, schema: str, *, resent: bool = False) -> Route:
        """Return where a row of the stream goes.

        A dead letter that is sent again goes to the topic of its stream alone: `latest` may hold a newer state, or the
        item was removed since.
        """
        if self.is_state(stream, schema):
            return Route("" if resent else self.latest, state_only=True)
        copied = reads_listing(stream) and not resent
        return Route(self.topic_of(stream), copy=self.latest if copied else "")

    def differ(self, stream: str) -> bool:
        """Return whether rows of the stream have several topics, or different ones."""
        return bool(self.latest) or not reads_listing(stream)

    @staticmethod
    def is_state(stream: str, schema: str) -> bool:
        """Return whether the row is only an item's newest state, or a tombstone: an item's schema, and no listing."""
        if reads_listing(stream) or stream not in spool_names():
            return False
        return not schema.startswith(kind_of(stream).schema_family)

    def topics(self, streams: Iterable[str], *, resent: bool = False) -> tuple[str, ...]:
        """Return every topic that rows of these streams go to, each once."""
        latest = "" if resent else self.latest
        return tuple(dict.fromkeys(filter(None, [*map(self.topic_of, streams), latest])))
