"""Reads one stream's state from its spool and the publisher's file: captured, waiting, proven."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from core.record_value import own_fields
from core.spool import Gap, SpoolReader, spool_path
from core.spool.model import Row
from core.spool.spool_state import SpoolState
from core.spool.stream_state import Shortage
from core.status.completeness import StreamProof
from core.status.scope import EVERYTHING, Scope
from core.status.stream_stats import Reading
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters

_SUFFIXES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class StreamSample:
    """Details of a stream beyond `status`. Times are epoch seconds; None: it has not happened yet."""

    counters: Mapping[str, int] = field(default_factory=dict)
    inherited: Mapping[str, int] = field(default_factory=dict)  #: of these, taken over from a broken spool
    spool_id: str = ""
    gaps: tuple[Gap, ...] = ()  #: of this machine's subreddits
    recorded_gaps: int | None = None  #: entries of the ledger, of all subreddits; None: as many as `gaps`
    proven: Mapping[str, float] = field(default_factory=dict)  #: lower-case subreddit → created_utc proven up to
    clock_offset: float = 0.0  #: Reddit's clock minus ours, seconds
    begun: float | None = None  #: when it first requested its listing
    polled_at: float | None = None  #: when a walk was last complete
    captured_at: float | None = None  #: of the newest record in the spool
    absent: Mapping[str, str] = field(default_factory=dict)  #: subreddits that cannot be read, and why
    absent_since: float | None = None  #: since when the first of them cannot be read
    shortage: Shortage | None = None  #: the quota cannot carry its load
    waiting_since: float | None = None  #: when the oldest unacknowledged record was captured
    delivered_at: float | None = None  #: when the last acknowledgement was recorded
    delay_s: float | None = None  #: of the newest delivered record, from creation to acknowledgement
    oldest_created: float | None = None  #: of the oldest waiting record, by Reddit's clock
    size_bytes: int = 0
    state: SpoolState | None = None  #: the spool's state besides its records
    delivered_seq: int = 0  #: the position delivered just before
    _proofs: dict[tuple[str, ...], StreamProof] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def progress_at(self) -> float | None:
        """When it last captured something, or learned that there was nothing new."""
        return max((moment for moment in (self.polled_at, self.captured_at) if moment is not None), default=None)

    @property
    def stuck_since(self) -> float | None:
        """Since when records wait without a delivery; None while nothing waits."""
        if self.waiting_since is None:
            return None
        return max(self.waiting_since, self.delivered_at or 0.0)

    def proof(self, subreddits: Sequence[str]) -> StreamProof:
        """Return what is proven of these subreddits."""
        names = tuple(subreddits)
        if names not in self._proofs:
            self._proofs[names] = StreamProof(names, self.proven, self.gaps, self.begun, self.clock_offset)
        return self._proofs[names]

    def monotonic(self, counters: MonotonicCounters, stream: str, name: str) -> int:
        """Return the counter `name` over all its spools, or the number of recorded `gaps`."""
        recorded = len(self.gaps) if self.recorded_gaps is None else self.recorded_gaps
        value = recorded if name == "gaps" else self.counters.get(name, 0)
        return counters.follow((name, stream), value, self.spool_id, self.inherited.get(name, 0))

    def delay(self, now: float) -> float | None:
        """Return the delay from creation to Kafka: of the newest delivered record, or of the longest waiting one."""
        waits = None if self.oldest_created is None else max(0.0, now - self.oldest_created)
        return max((delay for delay in (self.delay_s, waits) if delay is not None), default=None)


def sample_stream(
    state_dir: Path,
    stream: str,
    deliveries: Mapping[str, tuple[int, float]],
    known: Reading | None = None,
    scope: Scope = EVERYTHING,
) -> StreamSample:
    """Read the spool; `deliveries` holds the delivered position of each, and its time.

    What is `known` of the same spool already is not read again: with thousands of subreddits that takes long.
    """
    reader = SpoolReader.open(state_dir, stream)
    if reader is None:
        return StreamSample()
    with contextlib.closing(reader):
        seq, delivered_at = deliveries.get(reader.spool_id, (0, None))
        if known is None or known.spool_id != reader.spool_id:
            stream_state = reader.stream_state()  # before the gaps: see StreamProof.read
            gaps = scope.gaps(recorded := reader.gaps())
            proof = StreamProof.read((), stream_state, gaps)
            known = Reading(reader.spool_id, scope.state(stream_state), proof, len(recorded))
        stream_state, proof = known.state, known.proof
        delivered = [row for row in reader.read(seq - 1, 1) if row.seq == seq] if seq else []
        waiting = reader.read(seq, 1)
        newest = reader.read(reader.last_seq() - 1, 1)
        created = _created(delivered)
        sample = StreamSample(
            counters=reader.counters(),
            inherited=reader.inherited(),
            spool_id=reader.spool_id,
            gaps=proof.gaps,
            recorded_gaps=known.recorded_gaps,
            proven=proof.moments,
            clock_offset=proof.clock_offset,
            begun=proof.begun,
            polled_at=stream_state.polled_at,
            captured_at=_captured(newest),
            absent={name: note.reason for name, note in stream_state.absent.items()},
            absent_since=min((note.since for note in stream_state.absent.values()), default=None),
            shortage=stream_state.shortage,
            waiting_since=_captured(waiting),
            delivered_at=delivered_at,
            delay_s=max(0.0, delivered_at - created) if created is not None and delivered_at is not None else None,
            oldest_created=_created(waiting),
            size_bytes=spool_bytes(state_dir, stream),
            state=reader.state(),
            delivered_seq=seq,
        )
        sample._proofs[proof.subreddits] = proof  # noqa: SLF001
        return sample


def spool_bytes(state_dir: Path, stream: str) -> int:
    """Return the spool's size on disk, bytes, with its write-ahead log."""
    path, total = spool_path(state_dir, stream), 0
    for suffix in _SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            total += path.with_name(path.name + suffix).stat().st_size
    return total


def _captured(rows: Iterable[Row]) -> float | None:
    """Return the record's own capture time."""
    for row in rows:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return datetime.fromisoformat(own_fields(row.value)["timestamp"]).timestamp()
    return None


def _created(rows: Iterable[Row]) -> float | None:
    for row in rows:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return float(own_fields(row.value)["created_utc"])
    return None
