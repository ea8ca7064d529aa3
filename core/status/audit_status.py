"""The audit as its files show it: the statement for a time, and what the page, the metrics and `status` show of it.

A file holds up to 200,000 observations, and the monitor takes a sample each second: SQLite adds the rows up, and what
it returned is kept for a minute.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from core.status.audit_bound import AuditReport, Outcomes, StreamObservations, report
from core.status.audit_store import Outcome, audit_path, read_audit_counters
from core.storage.sqlite import connect_readonly
from core.stream_kinds import stream_kinds

#: The status is about items created in this time, seconds.
STATUS_WINDOW_S = 7 * 86_400.0

#: A missing item that was found within this time (seconds) is a warning.
_RECENT_S = 86_400.0

#: What was read is kept for this time, seconds.
_KEPT_S = 60.0

_COUNTS = (
    "sum(outcome = 'found') AS found, sum(outcome = 'missing') AS missing,"
    " sum(outcome = 'missing_in_gap') AS in_gaps, sum(outcome = 'removed_first') AS removed"
)
_CREATED = "FROM observations WHERE created BETWEEN ? AND ?"
_BY_CLUSTER = f"SELECT source, {_COUNTS} {_CREATED} GROUP BY source, cluster"
_OUTCOMES = "source, found, missing, in_gaps, removed"
_CLUSTERS = f"SELECT {_OUTCOMES}, count(*) FROM ({_BY_CLUSTER}) GROUP BY {_OUTCOMES}"  # noqa: S608 (constants)
_SUBREDDITS = f"SELECT min(subreddit), {_COUNTS} {_CREATED} GROUP BY lower(subreddit)"
_TIMES = f"SELECT min(created), max(created) {_CREATED}"


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """The audit at one moment.

    Attributes:
        report: the statement about the last week; streams without a file are not in it.
        counters: by stream: `audit_requests`, `audit_sampled`, `audit_missing`, since the file was created.
        found_missing: by stream: when the first missing item of the last day was found, epoch seconds, and how many.
        unreadable: messages about files that cannot be read now.
    """

    report: AuditReport = field(default_factory=AuditReport)
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    found_missing: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


def audited_streams(enabled: Iterable[str]) -> tuple[str, ...]:
    """Return those of the enabled streams that read a listing: the audit samples these."""
    return tuple(kind.name for kind in stream_kinds() if kind.listing and kind.name in set(enabled))


def read_report(state_dir: Path, streams: Iterable[str], since: float, until: float) -> AuditReport:
    """Return the statement about the items created in this time. Raises sqlite3.Error."""
    names = tuple(streams)
    return report({name: read_stream(state_dir, name, since, until) for name in names}, names)


def read_stream(state_dir: Path, stream: str, since: float, until: float) -> StreamObservations:
    """Return the observations of one stream, added up; nothing where there is no file. Raises sqlite3.Error."""
    path, between = audit_path(state_dir, stream), (since, until)
    if not path.exists():
        return StreamObservations()
    with closing(connect_readonly(path)) as connection:
        if not _has_tables(connection):
            return StreamObservations()
        connection.execute("BEGIN")  # one state of the file for all three
        clusters = {
            (source, Outcomes(*outcomes)): count
            for source, *outcomes, count in connection.execute(_CLUSTERS, between).fetchall()
        }
        subreddits = {name: Outcomes(*outcomes) for name, *outcomes in connection.execute(_SUBREDDITS, between)}
        first, last = connection.execute(_TIMES, between).fetchone()
        return StreamObservations(clusters, subreddits, first, last)


def read_audit(state_dir: Path, enabled: Iterable[str], now: float) -> AuditStatus:
    """Return the audit of the enabled streams; the files are read once a minute."""
    streams = [name for name in audited_streams(enabled) if audit_path(state_dir, name).exists()]
    observed, counters, found, unreadable = {}, {}, {}, []
    for name in streams:
        try:
            part = _kept(state_dir, name, int(now // _KEPT_S))
        except (sqlite3.Error, OSError) as error:
            unreadable.append(f"the audit of {name} cannot be read now: {error}")
            continue
        observed[name], counters[name] = part.observed, part.counters
        if part.found_missing is not None:
            found[name] = part.found_missing
    return AuditStatus(report(observed), counters, found, tuple(unreadable))


@dataclass(frozen=True, slots=True)
class _Part:
    observed: StreamObservations
    counters: Mapping[str, int]
    found_missing: tuple[float, int] | None


@lru_cache(maxsize=16)
def _kept(state_dir: Path, stream: str, turn: int) -> _Part:
    """Read one stream; `turn`: the number of the minute, so that the file is read again in the next one."""
    now = (turn + 1) * _KEPT_S
    observed = read_stream(state_dir, stream, now - STATUS_WINDOW_S, now)
    with closing(connect_readonly(audit_path(state_dir, stream))) as connection:
        first, count = None, 0
        if _has_tables(connection):
            query = "SELECT min(seen_at), count(*) FROM observations WHERE outcome = ? AND seen_at > ?"
            first, count = connection.execute(query, (Outcome.MISSING, now - _RECENT_S)).fetchone()
    counters = read_audit_counters(state_dir, stream)
    return _Part(observed, counters, None if first is None else (first, count))


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'observations'").fetchone() is not None
