"""What goes into a spool and comes out of it."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Row(NamedTuple):
    """A record as the publisher reads it: `seq` ascends, is never reused, and may have holes."""

    seq: int
    key: bytes
    value: bytes
    schema: str


class Record(NamedTuple):
    """A record to append: Kafka key, ready JSON value, schema name."""

    key: bytes
    value: bytes
    schema: str


class Seen(NamedTuple):
    """A name the stream has met.

    `bucket` is the subreddit whose listing may show it again; `created` is Reddit's created_utc (seconds);
    `epoch` 0 means met but not yet proven contiguous, n > 0 proven in the n-th unbroken stretch of coverage.
    """

    name: str
    bucket: str
    created: float
    epoch: int


@dataclass(slots=True)
class Gap:
    """An interval that could not be proven complete.

    `start` and `end` are created_utc seconds, both inclusive; `start` None means "since before we know".
    `found` counts items that a repair brought back; `repaired_at` is set when all of it was proven after all.
    `epoch` is the stretch of coverage that begins after the gap. Of the `subreddits` it concerns, `unproven` are those
    not proven complete since, and `pending` those of them whose own listing is still to be walked.
    """

    stream: str
    subreddits: tuple[str, ...]
    start: float | None
    end: float
    reason: str
    recorded_at: float
    epoch: int
    pending: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    found: int = 0
    repaired_at: float | None = None
    id: int | None = None

    @property
    def repaired(self) -> bool:
        """Whether the whole interval was proven complete later."""
        return self.repaired_at is not None


@dataclass(slots=True)
class Batch:
    """Everything that one transaction changes: records, names, cursor, gaps and counters stand or fall together."""

    records: list[Record] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    #: all names met but unproven become proven in this epoch
    prove_epoch: int | None = None
    #: cursor entries to write: name → JSON-able value
    cursor: dict[str, object] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    #: things that are no record at all: (reason, raw bytes)
    rejects: list[tuple[str, bytes]] = field(default_factory=list)
