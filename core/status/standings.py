"""The standing of each configured subreddit over all streams: proven until when, gaps, availability. Pure.

With thousands of subreddits no output lists all of them: it shows counts, the worst ones, and those that are searched.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

from core.spool.model import Gap, GapState
from core.status.completeness import StreamProof

_GAP_RANK = {GapState.OPEN: 0, GapState.LOST: 0, GapState.FILLED: 1, GapState.REPAIRED: 2}


def gap_rank(gap: Gap) -> tuple[int, bool, int, float]:
    """Sorts the worst gaps first: those that are not repaired, of many subreddits, new.

    A gap without an end follows the others: its subreddit is unavailable, which is reported as such.
    """
    return _GAP_RANK[gap.state], gap.end is None, -len(gap.unproven or gap.subreddits), -gap.recorded_at


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """What determines a standing: the proof of a stream, and the subreddits that it cannot read, with the reason."""

    proof: StreamProof
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """One subreddit, over all streams. The age is by Reddit's clock."""

    name: str  #: as the configuration spells it
    proven_until: float | None  #: created_utc, of the stream with the earliest; None: never proven in one of them
    age_s: float | None  #: of `proven_until`
    behind: bool  #: the age is above the limit, and the subreddit can be read
    open_gaps: int  #: that may still be read; without those of an unavailable subreddit
    lost_gaps: int
    unavailable: str  #: why it cannot be read; empty: it can

    @property
    def trouble(self) -> bool:
        """Whether there is anything to report."""
        return self.behind or bool(self.unavailable) or self.open_gaps > 0 or self.lost_gaps > 0

    @property
    def rank(self) -> tuple[object, ...]:
        """Sorts the worst first: behind, the oldest first; unavailable; with open gaps; with lost ones."""
        moment = float("-inf") if self.proven_until is None else self.proven_until
        return (
            not self.behind,
            moment if self.behind else 0.0,
            not self.unavailable,
            -self.open_gaps,
            -self.lost_gaps,
            moment,
            self.name.lower(),
        )


@dataclass(frozen=True)
class Standings:
    """All configured subreddits."""

    all: tuple[Standing, ...]

    @classmethod
    def of(cls, streams: Mapping[str, StreamStanding], now: float, max_age: float) -> "Standings":
        """Combine the streams at `now` (our clock); a proven time older than `max_age` seconds is behind."""
        parts = [_Part.of(stream, now) for stream in streams.values()]
        names = dict.fromkeys(name for stream in streams.values() for name in stream.proof.subreddits)
        return cls(tuple(_combined(name, parts, max_age) for name in names))

    @property
    def counts(self) -> dict[str, int]:
        """Return the numbers of subreddits: all, and those with each kind of trouble."""
        return {
            "all": len(self.all),
            "behind": sum(one.behind for one in self.all),
            "unavailable": sum(bool(one.unavailable) for one in self.all),
            "open": sum(one.open_gaps > 0 for one in self.all),
            "lost": sum(one.lost_gaps > 0 for one in self.all),
        }

    def worst(self, most: int, *, all_of_them: bool = False) -> list[Standing]:
        """Return those with trouble (or any), the worst first."""
        return nsmallest(most, (one for one in self.all if all_of_them or one.trouble), key=lambda one: one.rank)

    def search(self, text: str) -> list[Standing]:
        """Return those whose name contains the text: an equal name first, then names that begin with it."""
        wanted = text.lower().strip().removeprefix("/").removeprefix("r/")
        found = [(one.name.lower(), one) for one in self.all if wanted in one.name.lower()]
        found.sort(key=lambda pair: (pair[0] != wanted, not pair[0].startswith(wanted), pair[1].rank))
        return [one for _, one in found]


@dataclass(frozen=True, slots=True)
class _Part:
    """A stream's values by lower-case name."""

    keys: frozenset[str]
    moments: Mapping[str, float]
    now: float
    open_gaps: Mapping[str, int]
    lost_gaps: Mapping[str, int]
    absent: Mapping[str, str]

    @classmethod
    def of(cls, stream: StreamStanding, now: float) -> "_Part":
        proof = stream.proof
        absent = dict.fromkeys(proof.without_end, "a gap without end")
        absent |= {name.lower(): why for name, why in stream.absent.items()}
        return cls(
            frozenset(proof.keys),
            proof.moments,
            proof.reddit_now(now),
            _count(gap for gap in proof.gaps if gap.state is GapState.OPEN and gap.end is not None),
            _count(gap for gap in proof.gaps if gap.state is GapState.LOST),
            absent,
        )


def _count(gaps: Iterable[Gap]) -> Counter[str]:
    return Counter(name.lower() for gap in gaps for name in gap.unproven or gap.subreddits)


def _combined(name: str, parts: Sequence[_Part], max_age: float) -> Standing:
    key = name.lower()
    parts = [part for part in parts if key in part.keys]  # a stream may capture other subreddits
    moments = [part.moments.get(key) for part in parts]
    known = [moment for moment in moments if moment is not None]
    whole = len(known) == len(moments) and bool(known)
    ages = [max(0.0, part.now - part.moments[key]) for part in parts if key in part.moments]
    late = any(
        key not in part.absent and (key not in part.moments or part.now - part.moments[key] > max_age) for part in parts
    )
    return Standing(
        name=name,
        proven_until=min(known) if whole else None,
        age_s=max(ages) if whole else None,
        behind=late,
        open_gaps=sum(part.open_gaps.get(key, 0) for part in parts),
        lost_gaps=sum(part.lost_gaps.get(key, 0) for part in parts),
        unavailable=next((part.absent[key] for part in parts if key in part.absent), ""),
    )
