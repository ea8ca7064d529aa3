"""The data model of a spool: records, names, gaps and batches."""

import enum
from dataclasses import dataclass, field, replace
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

    `bucket` is the subreddit whose listing may contain it again; `created` is Reddit's created_utc (seconds);
    `epoch` 0 means met but not yet proven contiguous, n > 0 proven in the n-th unbroken stretch of coverage.
    """

    name: str
    bucket: str
    created: float
    epoch: int


#: Prefix of the reasons of gaps that are about the spool itself; a broken one has its own prefix.
SPOOL_LOST = "the spool was lost"
SPOOL_BROKEN = "the spool was broken"

#: Part of such a reason when captured records are lost that no listing may contain again.
RECORDS_LOST = "captured records"

#: The reason of an entry about items that the audit found, and no listing had shown.
AUDIT_FOUND = "the audit found items that no listing showed"


class GapCause(enum.Enum):
    """The cause of an unproven interval, for decisions in code."""

    LISTING = enum.auto()  #: the listing was too short, unreadable or unavailable
    SPOOL_LOST = enum.auto()  #: the file was lost; every captured record was delivered or saved
    SPOOL_LOST_WITH_RECORDS = enum.auto()  #: … with captured records that no listing may contain again
    SPOOL_BROKEN = enum.auto()  #: the file was broken; only the stream's state is lost
    SPOOL_BROKEN_WITH_RECORDS = enum.auto()  #: … and captured records are lost

    @classmethod
    def of(cls, reason: str) -> "GapCause":
        """Return the cause of an entry of the ledger from its stored text: the only place that parses it."""
        records = RECORDS_LOST in reason
        if reason.startswith(SPOOL_LOST):
            return cls.SPOOL_LOST_WITH_RECORDS if records else cls.SPOOL_LOST
        if reason.startswith(SPOOL_BROKEN):
            return cls.SPOOL_BROKEN_WITH_RECORDS if records or reason == SPOOL_BROKEN else cls.SPOOL_BROKEN
        return cls.LISTING

    @property
    def lost_records(self) -> bool:
        """Whether captured records were lost."""
        return self in {GapCause.SPOOL_LOST_WITH_RECORDS, GapCause.SPOOL_BROKEN_WITH_RECORDS}

    @property
    def lost_spool(self) -> bool:
        """Whether the file itself was lost."""
        return self in {GapCause.SPOOL_LOST, GapCause.SPOOL_LOST_WITH_RECORDS}


class GapState(enum.StrEnum):
    """The state of a gap, as in `gaps --json`."""

    OPEN = "open"  #: its items may still be read
    REPAIRED = "repaired"  #: proven complete later
    FILLED = "filled"  #: items came from an archive; nothing proves that they are complete
    LOST = "lost"  #: the listing that would contain it was read to its end: Reddit no longer lists it


@dataclass(slots=True)
class Gap:
    """An interval that could not be proven complete.

    `start` and `end` are created_utc seconds, both inclusive. `start` is the moment up to which the subreddits were
    proven; None: they never were. `end` None: the subreddit is unavailable, the gap still grows. `late_from`
    (created_utc seconds): late items may also be missing from there to `start`; None: none may.
    `found` counts items that a repair recovered; `closed_at` (epoch seconds) is set when `state` left `OPEN`.
    `epoch` is the stretch of coverage that begins after the gap. Of the `subreddits` it concerns, `unproven` are those
    not proven complete since, and `pending` those of them whose own listing is still to be walked.
    """

    stream: str
    subreddits: tuple[str, ...]
    start: float | None
    end: float | None
    reason: str
    recorded_at: float
    epoch: int
    pending: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    found: int = 0
    state: GapState = GapState.OPEN
    closed_at: float | None = None
    late_from: float | None = None
    id: int | None = None

    @property
    def repaired(self) -> bool:
        """Whether the whole interval was proven complete later."""
        return self.state is GapState.REPAIRED

    @property
    def is_of_late_items(self) -> bool:
        """Whether only late items may be missing: the entry itself has no length."""
        return self.late_from is not None and self.start is not None and self.start == self.end

    @property
    def cause(self) -> GapCause:
        """Return the cause of the gap."""
        return GapCause.of(self.reason)

    @property
    def concerns_spool(self) -> bool:
        """Whether a spool file was lost or broken, instead of a listing being too short."""
        return self.cause is not GapCause.LISTING

    @property
    def after_walk(self) -> GapState:
        """The state after a walk through the whole interval.

        A listing contains what is listed now. If captured records were lost, it cannot prove that all were recovered.
        """
        return GapState.LOST if self.cause.lost_records else GapState.REPAIRED

    def walked(self, at: float) -> "Gap":
        """Return the gap closed at epoch seconds `at`, after the whole interval was walked for all its subreddits."""
        if self.after_walk is GapState.REPAIRED:
            return self.closed(GapState.REPAIRED, at)
        return replace(self, unproven=self.subreddits).closed(self.after_walk, at)

    def admits(self, created: float) -> bool:
        """Return whether an item of this creation time may be missing."""
        after_start = self.start is None or self.start <= created
        return not self.repaired and after_start and (self.end is None or created <= self.end)

    def closed(self, state: GapState, at: float) -> "Gap":
        """Return the gap in its last state, reached at epoch seconds `at`."""
        return replace(self, state=state, closed_at=at)


@dataclass(slots=True)
class Batch:
    """The changes of one transaction: records, names, cursor, gaps and counters are all stored, or none."""

    records: list[Record] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    #: all names met but unproven become proven in this epoch …
    prove_epoch: int | None = None
    #: … of these buckets only; None: of all …
    prove_buckets: tuple[str, ...] | None = None
    #: … and not these names: they are above the walked part
    prove_except: tuple[str, ...] = ()
    #: names to forget, each given once
    forget: tuple[str, ...] = ()
    #: all names of these buckets become unproven before `seen` is added: another machine's proof replaces theirs
    unprove_buckets: tuple[str, ...] = ()
    #: cursor entries to write: name → JSON-able value
    cursor: dict[str, object] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    #: ids of entries of the ledger to delete: other machines keep them now
    dropped_gaps: tuple[int, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    #: entries that are not records: (reason, raw bytes)
    rejects: list[tuple[str, bytes]] = field(default_factory=list)
