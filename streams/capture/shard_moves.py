"""The changes to a spool when this machine gains or loses shards: what moves, and what stays. Pure.

A shard moves with its whole state: the moments up to which its subreddits are proven, its gaps, and its unavailable
subreddits. Nothing of this machine's older proof is used for it. The open gaps of a shard that moves away leave the
ledger, since its new owner repairs them; they are kept aside, in case it returns before anybody has changed them. The
names of its waiting records are forgotten: the publisher gives those records to the new owner, so a name that is known
is always delivered, or waits in this spool.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from core.cluster.mailbox import Adoption, Name, ShardState
from core.cluster.shards import is_collective, shard_of
from core.spool import Batch, Gap, GapState, Seen
from core.spool.batch_tables import row_of_gap
from core.spool.spool_reader import gap_of_row
from core.spool.stream_state import AbsenceNote, Origin, ReleasedShard, ShardNote, StateChange, StreamState
from streams.capture.coverage import LATE_MARGIN
from streams.capture.seen_names import FOREIGN

_Value = TypeVar("_Value")


class ShardMoves:
    """Collects the changes of one commit.

    Args:
        stream: its name.
        state: the spool's state before.
        gaps: the ledger before.
        subreddits: as configured, of all machines.
        count: the number of shards.
        now: this machine's clock, epoch seconds.
        last_seq: the spool's highest seq.
    """

    def __init__(
        self,
        stream: str,
        state: StreamState,
        gaps: Iterable[Gap],
        subreddits: Sequence[str],
        count: int,
        *,
        now: float,
        last_seq: int,
    ) -> None:
        self._stream = stream
        self._state = state
        self._count = count
        self._now = now
        self._last_seq = last_seq
        self._spelling = {name.lower(): name for name in subreddits}
        self.notes = dict(state.shards)
        self._released = dict(state.released)
        self._absent = dict(state.absent)
        self._joining = dict(state.joining)
        self._gaps = {gap.id: gap for gap in gaps}
        self._changed: dict[int | None, Gap] = {}
        self._new: list[Gap] = []
        self._dropped: set[int] = set()
        self._proven_at: dict[str, float | None] = {}
        self._proven_until: dict[str, float | None] = {}
        self._held_nothing: dict[str, bool | None] = {}
        self._begun = state.begun
        self._baseline = state.baseline
        self._epoch: int | None = None
        self._seen: list[Seen] = []
        self._forget: dict[str, None] = {}
        self._buckets: set[str] = set()
        self._shards: dict[str, int] = {}
        #: whether there is anything to write
        self.changed = state.origin is not Origin.SETTLED

    # -- shards that leave -------------------------------------------------------------------------------------------

    def named_shards(self) -> set[int]:
        """Return the shards with a note, and those that are named in the ledger."""
        named = {name for gap in self._gaps.values() for name in gap.subreddits if name != FOREIGN}
        return {*self.notes, *(shard_of(name, self._count) for name in named)}

    def release(self, shard: int, waiting: Iterable[str]) -> None:
        """Remove the note of a shard that another machine owns, and put its open gaps aside.

        `waiting`: the names of its records that are not delivered.
        """
        note = self.notes.pop(shard, None)
        former = self._released.get(shard, ReleasedShard())
        own = [gap for gap in self._gaps.values() if gap.state is GapState.OPEN and self._names(gap, shard)]
        absent = {name: note for name, note in self._absent.items() if self._is_in(name, shard)}
        joining = {name: moment for name, moment in self._joining.items() if self._is_in(name, shard)}
        if note is None and not own:
            return
        self.changed = True
        self._forget.update(dict.fromkeys(waiting))
        self._released[shard] = ReleasedShard(
            former.control if note is None else note.control,
            (*former.gaps, *(row_of_gap(self._part(gap, shard)) for gap in own)),
            {**former.absent, **absent},
            {**former.joining, **joining},
        )
        for name in absent:
            del self._absent[name]
        for name in joining:
            del self._joining[name]
        for gap in own:
            self._strip(gap, shard)

    def drop_losses(self, shard: int, since: float) -> None:
        """Remove a shard from the closed gaps of a spool lost since this moment: another machine owns it."""
        for gap in list(self._gaps.values()):
            lost = gap.concerns_spool and gap.recorded_at >= since and gap.state is not GapState.OPEN
            if lost and self._names(gap, shard):
                self._strip(gap, shard)

    def _strip(self, gap: Gap, shard: int) -> None:
        """Remove the names of a shard from an entry of the ledger; without names, the entry goes."""
        self.changed = True
        gap = self._without(gap, shard)
        if not gap.subreddits:
            self._changed.pop(gap.id, None)
            del self._gaps[gap.id]
            self._dropped.add(gap.id or 0)
            return
        if gap.state is GapState.OPEN and not gap.unproven:
            gap = gap.walked(self._now)
        elif gap.state is GapState.OPEN and not gap.pending and gap.end is not None:
            gap = gap.closed(GapState.LOST, self._now)
        self._gaps[gap.id] = self._changed[gap.id] = gap

    # -- shards that come --------------------------------------------------------------------------------------------

    def keep(self, adoption: Adoption, names: Iterable[Seen]) -> None:
        """Note a shard whose state no other machine has changed: the spool holds it already.

        `names`: of waiting records, not known.
        """
        shard, note = adoption.shard, self.notes.get(adoption.shard)
        released = self._released.pop(shard, ReleasedShard())
        self.changed = True
        control = released.control if note is None else note.control
        self.notes[shard] = ShardNote(adoption.term, self._last_seq, control)
        self._new += [dataclasses.replace(gap_of_row(row, self._stream), id=None) for row in released.gaps]
        self._absent |= released.absent
        self._joining |= released.joining
        self._seen += names

    def adopt(
        self, adoption: Adoption, state: ShardState, names: Iterable[Seen], delivered: Iterable[Name] = ()
    ) -> None:
        """Replace everything known of a shard by its last owner's state.

        `names`: delivered or waiting, not known; `delivered`: all delivered ones, known or not. Those that are older
        than what their subreddit is proven up to are proven: the next walk ends where it meets them.
        """
        shard = adoption.shard
        self.changed = True
        self._released.pop(shard, None)
        self.notes[shard] = ShardNote(adoption.term, self._last_seq, state.control)
        subreddits = self._subreddits(shard)
        self._buckets |= subreddits
        if any(map(is_collective, subreddits)):
            self._buckets.add(FOREIGN)
        for name in subreddits:
            self._take_moments(name, state)
        self._take_beginning(state, subreddits)
        self._absent = self._replaced(self._absent, shard, _absences(state.absent))
        self._joining = self._replaced(self._joining, shard, state.joining)
        for gap in [gap for gap in self._gaps.values() if self._names(gap, shard)]:
            self._strip(gap, shard)
        if self._epoch is None:
            highest = max((gap.epoch for gap in self._gaps.values()), default=0)
            self._epoch = max(self._state.epoch, highest, *(gap.epoch for gap in self._new), 0) + 1
        self._new += [self._adopted(gap_of_row(row, self._stream), self._epoch) for row in state.gaps]
        proven = {
            one.name: Seen(one.name, one.subreddit, one.created, self._epoch)
            for one in delivered
            if 0.0 < one.created < state.proven_until.get(one.subreddit, 0.0)
        }
        self._seen += [one for one in names if one.name not in proven]
        self._seen += proven.values()

    def _subreddits(self, shard: int) -> set[str]:
        """Return the shard's subreddits in lower case: the configured ones, and those of which something is stored."""
        state = self._state
        known = {*self._spelling, *state.proven_at, *state.proven_until, *state.held_nothing}
        return {name for name in known if self._is_in(name, shard)}

    def _take_moments(self, name: str, state: ShardState) -> None:
        until = state.proven_until.get(name) if name in self._spelling else None
        at = state.proven_at.get(name) if name in self._spelling else None
        self._proven_until[name] = until
        # no adopted name is proven, so the next walk ends by dates: those of quiet subreddits may be days old
        self._proven_at[name] = at if until is None else self._raised(at, until)
        holds = name in state.held_nothing and name in self._spelling
        if holds or name in self._state.held_nothing:
            self._held_nothing[name] = holds

    def _raised(self, at: float | None, until: float) -> float:
        """Return a date below which a walk meets nothing new: everything until then is captured."""
        until = min(until, self._now + (self._state.clock_offset or 0.0))
        return until if at is None else max(at, until)

    def _take_beginning(self, state: ShardState, subreddits: Iterable[str]) -> None:
        unproven = any(name in self._spelling and name not in state.proven_until for name in subreddits)
        if unproven or self._begun is None:
            self._begun = _earlier(self._begun, state.begun)
        # what an earlier machine did not want at its first start, nobody wants
        self._baseline = _earlier(self._baseline, state.baseline)

    def _replaced(self, ours: Mapping[str, _Value], shard: int, theirs: Mapping[str, _Value]) -> dict[str, _Value]:
        kept = {name: value for name, value in ours.items() if not self._is_in(name, shard)}
        found = {self._spelling.get(name.lower(), ""): value for name, value in theirs.items()}
        return kept | {name: value for name, value in found.items() if name and self._is_in(name, shard)}

    def _adopted(self, gap: Gap, epoch: int) -> Gap:
        """Return a gap of the last owner as an entry of this ledger."""
        late_from = gap.late_from
        if late_from is None and gap.start is not None and gap.pending:
            late_from = gap.start - LATE_MARGIN  # the repair meets no proven name: only dates can end it
        return dataclasses.replace(
            gap,
            id=None,
            epoch=epoch,
            late_from=late_from,
            subreddits=self._spelled(gap.subreddits),
            pending=self._spelled(gap.pending),
            unproven=self._spelled(gap.unproven),
        )

    def _spelled(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(self._spelling.get(name.lower(), name) for name in names)

    def leave_cluster(self, names: Iterable[Seen]) -> None:
        """Bring back what was put aside of released shards, and drop all notes: this machine captures everything.

        `names`: of waiting records, not known.
        """
        self.changed = self.changed or bool(self.notes or self._released)
        for released in self._released.values():
            self._new += [dataclasses.replace(gap_of_row(row, self._stream), id=None) for row in released.gaps]
            self._absent |= released.absent
            self._joining |= released.joining
        self.notes.clear()
        self._released.clear()
        self._seen += names

    # -- the result --------------------------------------------------------------------------------------------------

    def batch(self) -> Batch:
        """Return the changes as one transaction."""
        self._raise_neighbours()
        state = self._state
        change = StateChange(
            begun=None if self._begun == state.begun else self._begun,
            baseline=None if self._baseline == state.baseline else self._baseline,
            epoch=self._epoch,
            origin=Origin.SETTLED,
            proven_at=self._proven_at or None,
            proven_until=self._proven_until or None,
            held_nothing=self._held_nothing or None,
            absent=self._absent,
            joining=self._joining,
            shards=self.notes,
            released=self._released,
        )
        return Batch(
            seen=self._seen,
            forget=tuple(self._forget),
            unprove_buckets=tuple(sorted(self._buckets)),
            cursor=change.entries(),
            gaps=[*self._changed.values(), *self._new],
            dropped_gaps=tuple(sorted(self._dropped)),
        )

    def _raise_neighbours(self) -> None:
        """Raise the dates of the other subreddits too: a walk of a mixed group ends at the oldest one."""
        if self._epoch is None:
            return
        for name, until in self._state.proven_until.items():
            if name in self._spelling and name not in self._proven_until:
                at = self._state.proven_at.get(name)
                if (raised := self._raised(at, until)) != at:
                    self._proven_at[name] = raised

    def _is_in(self, name: str, shard: int) -> bool:
        found = self._shards.get(name)
        if found is None:
            found = self._shards[name] = shard_of(name, self._count)
        return found == shard

    def _names(self, gap: Gap, shard: int) -> bool:
        return any(name != FOREIGN and self._is_in(name, shard) for name in gap.subreddits)

    def _part(self, gap: Gap, shard: int) -> Gap:
        return self._restricted(gap, shard, inside=True)

    def _without(self, gap: Gap, shard: int) -> Gap:
        return self._restricted(gap, shard, inside=False)

    def _restricted(self, gap: Gap, shard: int, *, inside: bool) -> Gap:
        def chosen(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(name for name in names if (name != FOREIGN and self._is_in(name, shard)) is inside)

        return dataclasses.replace(
            gap, subreddits=chosen(gap.subreddits), pending=chosen(gap.pending), unproven=chosen(gap.unproven)
        )


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _absences(stored: Mapping[str, Sequence[object]]) -> dict[str, AbsenceNote]:
    """Read the notes of another machine; of one that is not understood, the subreddit counts as available."""
    return StreamState.read({"absent": stored}).absent
