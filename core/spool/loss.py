"""Decides what is lost with a spool file, and records it in the ledger of its successor.

Known of the lost file are the note beside its lock (`SpoolNote`), and the copy of the stream's state that the
publisher took when everything was delivered (`SpoolState`). The gap begins at the moment that this copy proves.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.spool.model import RECORDS_LOST, SPOOL_LOST, GapState
from core.spool.spool_state import SpoolState, read_last_seq, write_commits
from core.spool.stream_state import OF_NAMES, StreamState, entries_of, is_of_subreddit
from core.spool.writer_lock import SpoolNote

#: Late items appear minutes after their creation, seconds.
_LATE_MARGIN = 300.0

#: Subreddits whose proven moments are this close together (seconds) share a gap, which begins at the earliest.
_TOGETHER = 60.0


@dataclass(frozen=True, slots=True)
class FoundSpool:
    """The spool that a writer finds at its start; `fresh`: the writer created it, since there was none."""

    spool_id: str
    commits: int
    last_seq: int
    records: int = 0
    fresh: bool = False
    predecessor: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss: its reason, and what is known of the lost file."""

    #: the text in the ledger
    reason: str
    #: the newest copy of the stream's state, None without one
    state: SpoolState | None = None
    #: if the same spool continues: its last assigned seq; 0 for another spool
    last_seq: int = 0
    #: if the same spool continues: the number of its last commit, so that it distinguishes copies
    commits: int = 0
    #: whether every record that it still holds is delivered
    all_sent: bool = False


def _reason(what: str, unsent: int | None) -> str:
    """Format a loss; `unsent`: captured records that are neither in Kafka nor in any file (None: unknown)."""
    if unsent == 0:
        return f"{SPOOL_LOST}: {what}"
    return f"{SPOOL_LOST}: {what}; {'some' if unsent is None else unsent} {RECORDS_LOST} were not delivered"


def assess(
    found: FoundSpool,
    note: SpoolNote | None,
    states: Mapping[str, SpoolState],
    positions: Mapping[str, int],
    *,
    known_before: bool = False,
) -> Loss | None:
    """Return the loss, None when the spool is the one that its last writer left (or the first one).

    Args:
        found: the present spool.
        note: the note of its last writer, None without one.
        states: spool_id → the publisher's copy of the state, the newest last.
        positions: spool_id → last seq that is delivered.
        known_before: the publisher has delivered from any spool of this stream.
    """
    family = {found.spool_id, found.predecessor}
    newest = list(states.values())[-1] if states else None
    certain = note is not None
    if note is None and newest is not None:
        note = SpoolNote(newest.spool_id, newest.commits, newest.last_seq)  # it may have stored more since
    position = positions.get(found.spool_id, 0)
    if note is None:
        return _assess_by_position(found, position, known_before=known_before)
    copy = states.get(note.spool_id)
    if note.spool_id not in family:
        delivered = positions.get(note.spool_id)
        unsent = max(0, note.last_seq - delivered) if certain and delivered is not None else None
        return Loss(_reason(_GONE if found.fresh else _ANOTHER, unsent), copy)
    reached = max(note.commits, copy.commits if copy else 0)
    # an old file beside a new WAL: the newest pages are right, older ones may be outdated
    mixed = found.commits == note.commits and note.records is not None and found.records != note.records
    older = found.commits < reached or position > found.last_seq
    if note.spool_id != found.spool_id or not (older or mixed):
        return None
    if mixed:
        return Loss(_reason(_OLDER, None), copy, note.last_seq, commits=reached)
    last_seq = max(note.last_seq, copy.last_seq if copy else 0, position)
    unsent = max(0, last_seq - max(position, found.last_seq)) if certain else None
    newer = copy if copy is not None and copy.commits > found.commits else None
    all_sent = position >= found.last_seq
    return Loss(_reason(_OLDER, unsent), newer, last_seq, commits=reached, all_sent=all_sent)


def _assess_by_position(found: FoundSpool, position: int, *, known_before: bool) -> Loss | None:
    """Return the loss where only the publisher's delivered position is known."""
    if found.fresh:
        return Loss(_reason(_GONE, None)) if known_before else None
    if position > found.last_seq:
        return Loss(_reason(_OLDER, None), None, position, all_sent=True)
    return None


_GONE = "its file was deleted or moved"
_OLDER = "an older copy was put in its place"
_ANOTHER = "another file was put in its place"


def record_loss(target: sqlite3.Connection, loss: Loss, subreddits: Sequence[str], now: float) -> float | None:
    """Restore the copy of the lost file's state and record the gap, inside the caller's transaction.

    Args:
        target: the spool that continues.
        loss: the loss.
        subreddits: as configured; those that were never proven have lost nothing here.
        now: epoch seconds, the end of the gap.

    Returns:
        The earliest start of the gaps, None when it is unknown.
    """
    if loss.state is not None:
        _restore_state(target, loss.state)
    if loss.last_seq > 0:
        _raise_last_seq(target, loss.last_seq, all_sent=loss.all_sent)
    if loss.commits > 0:
        write_commits(target, loss.commits + 1)
    names = {name.lower(): name for name in subreddits}
    proven = {names.get(name, name): moment for name, moment in proven_moments(target).items()}
    if not proven:
        # an empty cursor would mean a first start, and `start = "now"` would then skip the listing's content
        target.execute("INSERT OR REPLACE INTO cursor VALUES ('recovered', 'true')")
        record_lost(target, subreddits or ["*"], loss.reason, now)
        return None
    for members, start in group_by_moment(proven):
        pending = tuple(name for name in members if not names or name.lower() in names)
        _store(target, members, (min(start, now), now), loss.reason, pending)
    return min(proven.values())


def proven_moments(connection: sqlite3.Connection) -> dict[str, float]:
    """Return subreddit (lower case) → created_utc up to which the cursor records it as proven."""
    state = StreamState.read(entries_of(connection.execute("SELECT key, value FROM cursor")))
    return state.proven_at | state.proven_until


def group_by_moment(proven: Mapping[str, float]) -> list[tuple[list[str], float]]:
    """Group subreddits with about the same moment; return each group with its earliest one."""
    groups: list[tuple[list[str], float]] = []
    for name, moment in sorted(proven.items(), key=lambda item: (item[1], item[0])):
        if groups and moment - groups[-1][1] <= _TOGETHER:
            groups[-1][0].append(name)
        else:
            groups.append(([name], moment))
    return groups


def _restore_state(target: sqlite3.Connection, state: SpoolState) -> None:
    if any(is_of_subreddit(key) for key in state.cursor):
        kept = target.execute("SELECT key FROM cursor").fetchall()
        target.executemany("DELETE FROM cursor WHERE key = ?", [key for key in kept if is_of_subreddit(key[0])])
    # the notes of shards mean that the names are there, and those are lost
    restored = [(key, text) for key, text in state.cursor.items() if key not in OF_NAMES]
    target.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", restored)
    present = {_identity(row) for row in target.execute("SELECT * FROM gaps")}
    for row in state.gaps:
        if _identity(row) not in present:
            _insert(target, (None, *row[1:]))


def _identity(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return the identity of an entry of the ledger: subreddits, reason, when it was recorded, epoch."""
    return row[1], row[4], row[5], row[6]


def _raise_last_seq(target: sqlite3.Connection, last_seq: int, *, all_sent: bool) -> None:
    if read_last_seq(target) < last_seq:
        if all_sent:  # else the skipped numbers count as waiting until the next one is delivered
            target.execute("INSERT OR REPLACE INTO meta VALUES ('base_seq', ?)", (str(last_seq),))
        target.execute("DELETE FROM sqlite_sequence WHERE name = 'records'")
        target.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (last_seq,))


def record_lost(target: sqlite3.Connection, subreddits: Sequence[str], reason: str, now: float) -> None:
    """Record a gap with an unknown start: no listing can be compared with it."""
    named = json.dumps(list(subreddits))
    state = GapState.LOST.value
    _insert(target, (None, named, None, now, reason, now, _next_epoch(target), "[]", named, 0, state, now, None))


def _store(
    target: sqlite3.Connection,
    subreddits: Sequence[str],
    interval: tuple[float, float],
    reason: str,
    pending: tuple[str, ...],
) -> None:
    """Record one gap. The listings may still contain it: it is repaired like any other."""
    start, now = interval
    named = json.dumps(list(subreddits))
    state, closed_at = (GapState.OPEN.value, None) if pending else (GapState.LOST.value, now)
    epoch, late_from = _next_epoch(target), start - _LATE_MARGIN
    _insert(
        target,
        (None, named, start, now, reason, now, epoch, json.dumps(pending), named, 0, state, closed_at, late_from),
    )


def record_rescue(target: sqlite3.Connection, what: str, now: float) -> None:
    """Record that a file was lost while it was in use, and that its whole content was saved: nothing is missing."""
    proven = proven_moments(target)
    start = min(proven.values(), default=None)
    start = None if start is None else min(start, now)
    named = json.dumps(sorted(proven) or ["*"])
    reason = f"{SPOOL_LOST}: {what} while it was in use; all of it was saved from the open file"
    epoch = max(1, _next_epoch(target) - 1)
    row = (None, named, start, now, reason, now, epoch, "[]", "[]", 0, GapState.REPAIRED.value, now, None)
    _insert(target, row)


def _next_epoch(target: sqlite3.Connection) -> int:
    stored = target.execute("SELECT value FROM cursor WHERE key = 'epoch'").fetchone()
    highest = target.execute("SELECT max(epoch) FROM gaps").fetchone()[0] or 0
    return max(int(json.loads(stored[0])) if stored else 1, highest) + 1


def _insert(target: sqlite3.Connection, row: Sequence[Any]) -> None:
    target.execute(f"INSERT INTO gaps VALUES ({', '.join('?' for _ in row)})", tuple(row))  # noqa: S608 (marks only)
