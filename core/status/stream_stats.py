"""Statistics of the streams, read from the durable files: they survive kills and need no running process."""

import contextlib
import math
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

from core.record_value import own_fields
from core.reddit.limiter import read_quota
from core.reddit.quota import WINDOW, Quota, advance
from core.spool import GapState, SpoolReader, spool_path
from core.spool.committed_positions import read_dead_letters, read_positions, read_publisher_counters
from core.spool.stream_state import Shortage, StreamState
from core.status.completeness import StreamProof
from core.status.scope import EVERYTHING, Scope
from core.status.standings import Standings, StreamStanding
from core.stream_kinds import stream_names

_NEWEST = 20  # rows for the median lag: one late item among them does not affect it


@dataclass(frozen=True, slots=True)
class StreamFlow:
    """The statistics of one stream, since its spool file was created."""

    captured: int = 0
    published: int = 0  #: acknowledged by Kafka
    spooled: int = 0  #: captured and not yet acknowledged
    gaps: int = 0  #: entries in the loss ledger
    open_gaps: int = 0  #: those of them that may still be read
    lag_s: float | None = None  #: from creation to capture, median of the newest items; None: no items
    lost_gaps: int = 0  #: those of them that Reddit no longer lists
    proven_until: float | None = None  #: created_utc up to which all is proven or in a gap; None: never proven
    #: proven share of the last day, 0 to 1; time that is not read yet is not complete; None: it has no subreddits here
    completeness: float | None = 0.0
    unread_s: float | None = None  #: age of `proven_until`, by Reddit's clock


@dataclass(frozen=True, slots=True)
class QuotaFlow:
    """The quota's current window."""

    used: int
    remaining: int
    reset_s: float  #: until the window ends; 0 when none has begun
    blocked_s: float = 0.0  #: time that all processes still wait after a 429


@dataclass(frozen=True, slots=True)
class Reading:
    """What a spool contained at one moment besides records: who needs more than `StreamFlow` does not read it again."""

    spool_id: str
    state: StreamState
    proof: StreamProof  #: for the configured subreddits, of this machine
    recorded_gaps: int = 0  #: entries of the ledger, of all subreddits

    @property
    def standing(self) -> StreamStanding:
        """Return its part of the subreddits' standings."""
        return StreamStanding(self.proof, {name: note.reason for name, note in self.state.absent.items()})


@dataclass(slots=True)
class Flow:
    """All statistics. `unreadable`: messages about files that cannot be read now; their numbers are zeros."""

    quota: QuotaFlow
    streams: dict[str, StreamFlow] = field(default_factory=dict)
    published: int = 0
    errors: int = 0
    dead_letters: int = 0  #: refused permanently, all that ever were
    resent: int = 0  #: those of them that were delivered later
    dropped: int = 0  #: those of them that were dropped on request
    latest: dict[str, int] = field(default_factory=dict)  #: delivered to the topic `latest`: `record`, `tombstone`
    payloads_dropped: int = 0  #: published without `reddit`, with which they were too large
    unreadable: list[str] = field(default_factory=list)
    unreadable_streams: set[str] = field(default_factory=set)  #: those of them that are spools, by stream
    readings: dict[str, Reading] = field(default_factory=dict)  #: by stream; a stream without a spool has none

    @property
    def dead_letters_kept(self) -> int:
        """Return the present number of dead letters."""
        return max(0, self.dead_letters - self.resent - self.dropped)

    def standings(self, now: float, max_age: float) -> Standings:
        """Return the standing of each configured subreddit at `now` (our clock)."""
        return Standings.of({stream: reading.standing for stream, reading in self.readings.items()}, now, max_age)

    def shortages(self) -> dict[str, Shortage]:
        """Return the streams whose load the quota cannot carry."""
        states = {stream: reading.state.shortage for stream, reading in self.readings.items()}
        return {stream: shortage for stream, shortage in states.items() if shortage is not None}


def read_flow(
    state_dir: Path,
    enabled: Iterable[str],
    requests_per_minute: int,
    now: float,
    subreddits: Sequence[str] = (),
    *,
    scope: Scope = EVERYTHING,
    lists: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Flow:
    """Read the files; `enabled` are the configured streams, others are included while they have a spool.

    Completeness is computed for those of the configured `subreddits` that are in the `scope`; `lists` holds the streams
    that capture other subreddits.
    """
    flow = Flow(_current_window(None, requests_per_minute, now))

    def attempt(what: str, read: Callable[[], None]) -> bool:
        try:
            read()
        except (sqlite3.Error, OSError) as error:
            flow.unreadable.append(f"{what} cannot be read now: {error}")
            return False
        return True

    def read_publisher() -> None:
        counters = read_publisher_counters(state_dir)
        flow.published, flow.errors = counters.get("published", 0), counters.get("errors", 0)
        flow.latest = {kind: counters.get(f"latest_{kind}", 0) for kind in ("record", "tombstone")}
        flow.dead_letters = counters.get("dead_letters", 0)
        flow.payloads_dropped = counters.get("payloads_dropped", 0)
        flow.resent, flow.dropped = counters.get("dead_letters_resent", 0), counters.get("dead_letters_dropped", 0)

    def read_quota_window() -> None:
        flow.quota = _current_window(read_quota(state_dir), requests_per_minute, now)

    def sample_stream(stream: str) -> None:
        names = scope.names(lists.get(stream, subreddits))
        flow.streams[stream], reading = _read_stream(state_dir, stream, names, now, scope)
        if reading is not None:
            flow.readings[stream] = reading

    for stream in stream_names():
        if stream in enabled or spool_path(state_dir, stream).exists():
            flow.streams[stream] = StreamFlow()
            if not attempt(f"the spool of {stream}", partial(sample_stream, stream)):
                flow.unreadable_streams.add(stream)
    attempt("the publisher's file", read_publisher)
    attempt("the quota's file", read_quota_window)
    return flow


def _read_stream(
    state_dir: Path, stream: str, subreddits: Sequence[str], now: float, scope: Scope
) -> tuple[StreamFlow, Reading | None]:
    idle = scope.shards is not None and not subreddits
    reader = SpoolReader.open(state_dir, stream)
    if reader is None:
        return StreamFlow(completeness=None if idle else 0.0), None
    with contextlib.closing(reader):
        captured = reader.counters().get("captured", 0)
        spooled = reader.waiting_after(read_positions(state_dir).get(reader.spool_id, 0))
        refused = read_dead_letters(state_dir).get(reader.spool_id, 0)
        state = scope.state(reader.stream_state())  # before the gaps: see StreamProof.read
        recorded = reader.gaps()
        gaps = scope.gaps(recorded)
        proof = StreamProof.read(subreddits, state, gaps)
        flow = StreamFlow(
            captured=captured,
            published=max(0, captured - spooled - refused),
            spooled=spooled,
            gaps=len(gaps),
            open_gaps=sum(gap.state is GapState.OPEN for gap in gaps),
            lag_s=_lag(row[2] for row in reader.read_plain(reader.last_seq() - _NEWEST, _NEWEST)),
            lost_gaps=sum(gap.state is GapState.LOST for gap in gaps),
            proven_until=proof.proven_until,
            completeness=None if idle else proof.shares(now).completeness,
            unread_s=proof.unread_s(now),
        )
        return flow, Reading(reader.spool_id, state, proof, len(recorded))


def _lag(values: Iterable[bytes]) -> float | None:
    """Return the delay from the records themselves: each contains both moments."""
    delays = [delay for delay in map(_delay, values) if delay is not None]
    return round(max(0.0, statistics.median(delays)), 2) if delays else None


def _delay(value: bytes) -> float | None:
    try:
        record = own_fields(value)
        return datetime.fromisoformat(record["timestamp"]).timestamp() - float(record["created_utc"])
    except (ValueError, TypeError, KeyError):
        return None  # skip an invalid item


def _current_window(quota: Quota | None, requests_per_minute: int, now: float) -> QuotaFlow:
    limit = round(requests_per_minute * WINDOW / 60.0)
    if quota is None or now >= quota.reset_at:
        return QuotaFlow(0, limit, 0.0, max(0.0, quota.blocked_until - now) if quota else 0.0)
    quota = advance(quota, now, requests_per_minute)
    # a small part of what remains for all machines is not nothing
    remaining = int(quota.remaining()) if quota.part == 1.0 else math.ceil(quota.remaining())
    used = round(quota.used) + quota.outstanding
    return QuotaFlow(used, remaining, round(quota.reset_at - now, 1), max(0.0, quota.blocked_until - now))
