"""The state of a stream: its place in time, the proven times of each subreddit, and the unavailable subreddits.

`StreamState` is the whole state, `StateChange` what one transaction changes. The spool stores it in its table `cursor`,
one row per value and, if a value belongs to a subreddit, one row per subreddit (`proven_until/bitcoin`):
a poll writes the rows of the subreddits that it has read, and no others. Many subreddits that are proven together
share their rows (core.spool.group_rows).

Version 1 of the state kept all subreddits of a value in one row. Its rows are still read.
"""

import enum
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from core.spool.group_rows import is_of_group, ungrouped

#: The version of the state that this program writes; a newer version cannot be read.
STATE_VERSION = 2

#: Values with a row for each subreddit.
_BY_SUBREDDIT = ("proven_at", "proven_until", "held_nothing")

#: Values that describe the spool's names: a spool without those names cannot use them.
OF_NAMES = frozenset({"shards", "released"})

#: In place of a subreddit name: every configured one. Version 0.1 had only this.
EVERY_SUBREDDIT = "*"


class Origin(enum.StrEnum):
    """The knowledge of the time before a spool began (see core.spool.predecessor)."""

    UNKNOWN = "unknown"  #: a first start, or all state files were lost
    LOST = "lost"  #: a spool was lost, and no file records up to when it was proven
    SETTLED = "settled"


class AbsenceNote(NamedTuple):
    """A subreddit that is set aside: reason, start, number of tries, and time of the next one; epoch seconds."""

    reason: str
    since: float
    tries: int
    next_try: float


class ShardNote(NamedTuple):
    """A shard of this machine (see core.cluster.mailbox) as the spool holds it.

    Attributes:
        term: of the adoption.
        seq: the spool's last seq then; what has a higher one was compared with the names of the adoption when captured.
        control: the position up to which the leftovers of the shard are in the spool.
    """

    term: str
    seq: int
    control: int


class ReleasedShard(NamedTuple):
    """The part of the state that left the spool with a shard; it comes back if no other machine has changed it since.

    Attributes:
        control: as in `ShardNote`.
        gaps: the open gaps of its subreddits, as rows of the table `gaps`.
        absent, joining: as in `StreamState`.
    """

    control: int = 0
    gaps: tuple[tuple[Any, ...], ...] = ()
    absent: Mapping[str, AbsenceNote] = MappingProxyType({})
    joining: Mapping[str, float] = MappingProxyType({})


class Shortage(NamedTuple):
    """The quota cannot carry the stream's load: requests per minute needed and allowed, and since when (epoch seconds).

    `slowed` is the number of subreddits that are polled less often than configured, `subreddits` names some of them.
    """

    needed: float
    allowed: float
    since: float
    slowed: int
    subreddits: tuple[str, ...]


@dataclass(slots=True)
class StreamState:
    """The whole state of a stream besides records, names and gaps. Subreddits are in lower case.

    Attributes:
        begun: when the first walk began, epoch seconds; None before it.
        baseline: created_utc after which items are delivered if only new ones are requested.
        epoch: the number of the present unbroken stretch of coverage.
        polled_at: when a walk was last recorded as complete, epoch seconds.
        clock_offset: Reddit's clock minus ours, seconds; None while unknown.
        recovered: a spool was lost before this one, so all listed items are captured, whatever `start` is.
        origin: the knowledge of the time before the spool began.
        proven_at: created_utc of each subreddit's newest proven item.
        proven_until: created_utc up to which each listed item of a subreddit was captured or is in a gap.
        held_nothing: subreddits whose listing was empty when a walk was last complete.
        absent: subreddits that are set aside, as the configuration spells them.
        joining: created_utc from which items of a new subreddit are captured, by its configured name.
        shortage: the quota cannot carry the load; None: it can.
        shards: the shards of this machine, where several share the subreddits.
        released: shards that this machine had before.
    """

    begun: float | None = None
    baseline: float | None = None
    epoch: int = 1
    polled_at: float | None = None
    clock_offset: float | None = None
    recovered: bool = False
    origin: Origin = Origin.SETTLED
    proven_at: dict[str, float] = field(default_factory=dict)
    proven_until: dict[str, float] = field(default_factory=dict)
    held_nothing: set[str] = field(default_factory=set)
    absent: dict[str, AbsenceNote] = field(default_factory=dict)
    joining: dict[str, float] = field(default_factory=dict)
    shortage: Shortage | None = None
    shards: dict[int, ShardNote] = field(default_factory=dict)
    released: dict[int, ReleasedShard] = field(default_factory=dict)

    @classmethod
    def read(cls, entries: Mapping[str, object]) -> "StreamState":
        """Read it from the entries of a cursor, of any version; invalid values count as absent."""
        state = cls()
        state.apply(entries)
        if not state.proven_until:
            # a spool of version 0.1 has only the newest proven items, which are never too late
            state.proven_until = dict(state.proven_at)
        return state

    def apply(self, entries: Mapping[str, object]) -> None:
        """Apply a change that was written."""
        for key in ("begun", "baseline", "polled_at", "clock_offset"):
            if (moment := _number(entries.get(key))) is not None:
                setattr(self, key, moment)
        if (epoch := _number(entries.get("epoch"))) is not None:
            self.epoch = int(epoch)
        if "recovered" in entries:
            self.recovered = entries["recovered"] is True
        if "origin" in entries:
            self.origin = _origin(entries["origin"])
        self._apply_of_subreddits(entries)
        if "shortage" in entries:
            self.shortage = _shortage(entries["shortage"])
        if "shards" in entries:
            self.shards = _shards(entries["shards"])
        if "released" in entries:
            self.released = _released(entries["released"])

    def _apply_of_subreddits(self, entries: Mapping[str, object]) -> None:
        _update(self.proven_at, entries.get("proven_at"))
        _update(self.proven_until, entries.get("proven_until"))
        for name, held in _flags(entries.get("held_nothing")).items():
            (self.held_nothing.add if held else self.held_nothing.discard)(name)
        if "absent" in entries:
            self.absent = _absences(entries["absent"])
        if "joining" in entries:
            self.joining = {}
            _update(self.joining, entries["joining"])


@dataclass(frozen=True, slots=True)
class StateChange:
    """The changes of one transaction to a `StreamState`; None, or a subreddit that is not named: no change.

    None as a subreddit's value removes it. `absent`, `joining`, `shards` and `released` are given completely.
    An empty `shortage` removes it.
    """

    begun: float | None = None
    baseline: float | None = None
    epoch: int | None = None
    polled_at: float | None = None
    clock_offset: float | None = None
    recovered: bool | None = None
    origin: Origin | None = None
    proven_at: Mapping[str, float | None] | None = None
    proven_until: Mapping[str, float | None] | None = None
    held_nothing: Mapping[str, bool | None] | None = None
    absent: Mapping[str, AbsenceNote] | None = None
    joining: Mapping[str, float] | None = None
    shortage: Shortage | tuple[()] | None = None
    shards: Mapping[int, ShardNote] | None = None
    released: Mapping[int, ReleasedShard] | None = None

    def entries(self) -> dict[str, object]:
        """Return it as entries of a `Batch.cursor`."""
        found = {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}
        if self.shards is not None:
            found["shards"] = {str(shard): list(note) for shard, note in self.shards.items()}
        if self.released is not None:
            found["released"] = {
                str(shard): [one.control, one.gaps, dict(one.absent), dict(one.joining)]
                for shard, one in self.released.items()
            }
        return found


def is_of_subreddit(key: str) -> bool:
    """Return whether a row of the table `cursor` belongs to one subreddit, or to a group of them."""
    value, _, name = key.partition("/")
    return (bool(name) and value in _BY_SUBREDDIT) or is_of_group(key)


def rows_of(entries: Mapping[str, object]) -> dict[str, str | None]:
    """Return the rows of the table `cursor` that these entries change; None: the row is deleted."""
    rows: dict[str, str | None] = {}
    for key, value in entries.items():
        if key in _BY_SUBREDDIT and isinstance(value, Mapping):
            for name, one in value.items():
                rows[f"{key}/{name}"] = None if one is None or one is False else _encode(one)
        else:
            rows[key] = _encode(value)
    return rows


def entries_of(rows: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return the entries of the table's rows; rows of subreddits are gathered under their value."""
    entries: dict[str, Any] = {}
    gathered: dict[str, dict[str, object]] = {value: {} for value in _BY_SUBREDDIT}
    for key, text in ungrouped(rows).items():
        value, _, name = key.partition("/")
        if name and value in gathered:
            gathered[value][name] = _decode(text)
        else:
            entries[key] = json.loads(text)
    for key, found in gathered.items():
        if not found:
            continue
        entries[key] = {**entries[key], **found} if isinstance(entries.get(key), dict) else found
    return entries


def upgraded_rows(rows: Mapping[str, str]) -> dict[str, str]:
    """Convert rows of any version to the present version, without groups; invalid rows stay as they are."""
    rows = ungrouped(rows.items())
    upgraded: dict[str, str] = {}
    for key, text in rows.items():
        if key not in _BY_SUBREDDIT:
            upgraded[key] = text
            continue
        try:
            stored = json.loads(text)
        except ValueError:
            upgraded[key] = text
            continue
        found = _flags(stored) if key == "held_nothing" else stored
        if isinstance(found, dict):
            upgraded |= {name: row for name, row in rows_of({key: found}).items() if row is not None}
    return {**upgraded, **{key: text for key, text in rows.items() if "/" in key}}


def _encode(value: object) -> str:
    """Return a value as JSON; there may be thousands of subreddits."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half a surrogate pair, an integer beyond 64 bits
        return json.dumps(value)


def _decode(text: str) -> object:
    """Decode a subreddit's value; there may be thousands of them."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # json also reads NaN and Infinity
        return json.loads(text)


def _number(value: object) -> float | None:
    """Return a finite number as a float, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _origin(value: object) -> Origin:
    try:
        return Origin(str(value))
    except ValueError:
        return Origin.SETTLED


def _update(moments: dict[str, float], changes: object) -> None:
    if not isinstance(changes, Mapping):
        return
    if all(type(value) is float and math.isfinite(value) for value in set(changes.values())):
        moments.update(changes)  # usually many subreddits get the same moment
        return
    for name, value in changes.items():
        moment = value if type(value) is float and math.isfinite(value) else _number(value)  # nearly all are floats
        if moment is not None:
            moments[str(name)] = moment
        elif value is None:
            moments.pop(str(name), None)


def _flags(stored: object) -> dict[str, bool]:
    """Read `held_nothing`: version 1 had a list, version 0.1 one value for all."""
    if isinstance(stored, Mapping):
        return {str(name): value is True for name, value in stored.items()}
    if isinstance(stored, list):
        return dict.fromkeys(map(str, stored), True)
    return {EVERY_SUBREDDIT: True} if stored is True else {}


def _shortage(stored: object) -> Shortage | None:
    if not isinstance(stored, list | tuple) or len(stored) != len(Shortage._fields):
        return None
    needed, allowed, since, slowed, names = stored
    try:
        return Shortage(float(needed), float(allowed), float(since), int(slowed), tuple(map(str, names)))
    except (TypeError, ValueError):
        return None


def _shards(stored: object) -> dict[int, ShardNote]:
    found = {}
    for shard, note in stored.items() if isinstance(stored, Mapping) else ():
        try:
            term, seq, control = note
            found[int(shard)] = ShardNote(str(term), int(seq), int(control))
        except (TypeError, ValueError):
            continue  # the shard is adopted again
    return found


def _released(stored: object) -> dict[int, ReleasedShard]:
    found = {}
    for shard, one in stored.items() if isinstance(stored, Mapping) else ():
        try:
            control, gaps, absent, joining = one
            moments: dict[str, float] = {}
            _update(moments, joining)
            rows = tuple(tuple(row) for row in gaps)
            found[int(shard)] = ReleasedShard(int(control), rows, _absences(absent), moments)
        except (TypeError, ValueError):
            continue
    return found


def _absences(stored: object) -> dict[str, AbsenceNote]:
    found = {}
    for name, note in stored.items() if isinstance(stored, Mapping) else ():
        try:
            reason, since, tries, next_try = note
            found[str(name)] = AbsenceNote(str(reason), float(since), int(tries), float(next_try))
        except (TypeError, ValueError):
            continue  # an unreadable note: the subreddit counts as available until it is refused again
    return found
