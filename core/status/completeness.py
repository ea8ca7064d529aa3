"""Completeness of a stream: proven until when, and which share of time and subreddits. Pure.

All moments are created_utc seconds, by Reddit's clock. Time that has not been read yet is not complete.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from core.spool.model import Gap, GapState
from core.spool.stream_state import Origin, StreamState

#: Completeness is a share of this much time before now, seconds.
WINDOW = 86_400.0

#: A quiet stream records its last complete poll every 15 s, and a poll may take a while, seconds.
_POLL_PATIENCE = 45.0

#: Where gaps overlap, the time counts for the first of these states.
_ORDER = (GapState.OPEN, GapState.LOST, GapState.FILLED)

_Interval = tuple[float, float]


def longest_silence(max_poll_interval: float) -> float:
    """Return how long a healthy stream may read nothing, seconds: a proven time that is older is overdue."""
    return 2.0 * max_poll_interval + _POLL_PATIENCE


@dataclass(frozen=True, slots=True)
class Shares:
    """The division of the time from `start` to `end`, for each configured subreddit; the shares add up to 1."""

    start: float
    end: float
    proven: float = 0.0  #: every listed item was captured
    gaps: Mapping[GapState, float] = field(default_factory=dict)  #: in a gap that is not repaired, by its state
    unread: float = 1.0  #: not read yet

    @property
    def completeness(self) -> float:
        """The proven share, rounded down: 1 only if everything is proven."""
        return 1.0 if self.proven >= 1.0 else math.floor(self.proven * 1e6) / 1e6

    @property
    def percent(self) -> float:
        """The proven share in percent; 100 only if everything is proven."""
        return min(99.999, 100.0 * self.proven) if self.proven < 1.0 else 100.0


@dataclass(frozen=True)
class StreamProof:
    """The proof of a stream for the configured subreddits, from its cursor and ledger."""

    subreddits: tuple[str, ...]  #: as the configuration spells them
    moments: Mapping[str, float] = field(default_factory=dict)  #: lower-case name → proven until
    gaps: tuple[Gap, ...] = ()
    begun: float | None = None  #: when the stream first requested its listing, by our clock; None: never
    clock_offset: float = 0.0  #: Reddit's clock minus ours, seconds
    unsettled: bool = False  #: unknown yet whether this spool has a predecessor (see core.spool.predecessor)

    @classmethod
    def read(cls, subreddits: Sequence[str], state: StreamState, gaps: Iterable[Gap]) -> "StreamProof":
        """Read it from a spool: the state before the gaps, so that a gap in between hides time, and claims none."""
        return cls(
            subreddits=tuple(subreddits),
            moments={name.lower(): moment for name, moment in state.proven_until.items()},
            gaps=tuple(gaps),
            begun=state.begun,
            clock_offset=state.clock_offset or 0.0,
            unsettled=state.origin is Origin.UNKNOWN,
        )

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The configured subreddits in lower case, in the same order."""
        return tuple(name.lower() for name in self.subreddits)

    @cached_property
    def spelling(self) -> Mapping[str, str]:
        """The configured spelling of each lower-case name."""
        return dict(zip(self.keys, self.subreddits, strict=True))

    def by_subreddit(self) -> dict[str, float | None]:
        """Return for each configured subreddit up to when it is proven, or in a gap; None: never."""
        return {name: self.moments.get(key) for name, key in zip(self.subreddits, self.keys, strict=True)}

    @cached_property
    def without_end(self) -> frozenset[str]:
        """The lower-case names in a gap without end: they are unavailable now."""
        endless = [gap for gap in self.gaps if gap.end is None and not gap.repaired]
        return frozenset(name for gap in endless for name in _concerned(gap))

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """The subreddits that determine up to when the stream is proven: all but those in a gap without end."""
        endless = self.without_end
        pairs = zip(self.subreddits, self.keys, strict=True)
        return tuple(name for name, key in pairs if key not in endless) or self.subreddits

    @cached_property
    def proven_until(self) -> float | None:
        """The time up to which all counted subreddits are proven; None while one of them never was."""
        moments = [self.moments.get(name.lower()) for name in self.counted]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None

    def reddit_now(self, now: float) -> float:
        """Convert our time to Reddit's."""
        return now + self.clock_offset

    def unread_s(self, now: float) -> float | None:
        """Return the age of `proven_until` in seconds at `now` (our clock); None without one."""
        until = self.proven_until
        return None if until is None else max(0.0, self.reddit_now(now) - until)

    def shares(self, now: float) -> Shares:
        """Divide the last day, or the time since the stream began. A subreddit that was never proven counts 0.

        A gap from before the beginning, such as one of a lost spool, counts too, for its subreddits.
        """
        if now not in self._known_shares:
            self._known_shares.clear()
            self._known_shares[now] = self._divide(now)
        return self._known_shares[now]

    @cached_property
    def _known_shares(self) -> dict[float, Shares]:
        """The last division: one sample needs it several times."""
        return {}

    def _divide(self, now: float) -> Shares:
        end = self.reddit_now(now)
        begun = end if self.begun is None else self.reddit_now(self.begun)
        start = max(_beginning(begun, [gap for gap in self.gaps if gap.start is not None]), end - WINDOW)
        if end <= start or not self.subreddits:
            return Shares(end, end)
        proven, whole, in_gaps = 0.0, 0.0, dict.fromkeys(_ORDER, 0.0)
        for numbers, moments in self._alike(start, end).items():
            gaps = [self.gaps[number] for number in numbers]
            # nothing is known of the time before a subreddit's own beginning: it is not part of the total
            own = max(start, _beginning(begun, gaps))
            count = moments.total()
            whole += count * (end - own)
            for state, seconds in _in_gaps(gaps, own, end).items():
                in_gaps[state] += count * seconds
            proven += _proven_within(gaps, own, moments)
        if whole <= 0.0:
            return Shares(end, end)
        shares = {state: seconds / whole for state, seconds in in_gaps.items()}
        share = min(1.0, proven / whole)
        return Shares(start, end, share, shares, max(0.0, 1.0 - share - sum(shares.values())))

    def _alike(self, start: float, end: float) -> dict[tuple[int, ...], Counter[float]]:
        """Return the combinations of gaps (indexes into `gaps`) that subreddits have, with their proven times, counted.

        Hundreds of subreddits have the same gaps, and many of these the same proven time.
        """
        concerned: dict[str, list[int]] = {name: [] for name in self.keys}
        for number, gap in enumerate(self.gaps):
            if not gap.repaired and (gap.end is None or gap.end >= start):
                for name in _concerned(gap) & concerned.keys():
                    concerned[name].append(number)
        alike: defaultdict[tuple[int, ...], Counter[float]] = defaultdict(Counter)
        for name, numbers in concerned.items():
            moment = min(end, max(start, self.moments.get(name, start)))
            alike[tuple(numbers)][moment] += 1
        return alike

    def unread_steps(self, limit: int) -> list[tuple[float, float]]:
        """Return times, each with the share of subreddits not read from then on: at most `limit` steps, ascending.

        Subreddits in a gap without end are left out. Of too many steps the last ones are merged, at the earliest time.
        """
        names, endless = self.keys, self.without_end
        moments = sorted(self.moments.get(name, float("-inf")) for name in names if name not in endless)
        counts = {moment: count for count, moment in enumerate(moments, 1)}
        steps = list(counts.items())
        if len(steps) > limit:
            steps = [*steps[: limit - 1], (steps[limit - 1][0], steps[-1][1])]
        return [(moment, count / len(names)) for moment, count in steps]


def _in_gaps(gaps: Sequence[Gap], start: float, end: float) -> dict[GapState, float]:
    """Return the seconds from `start` to `end` that lie in gaps, for each state."""
    found, covered = {}, 0.0
    for place, state in enumerate(_ORDER, 1):
        reached = _covered(_within(gap, start, end) for gap in gaps if gap.state in _ORDER[:place]) if gaps else 0.0
        found[state], covered = reached - covered, reached
    return found


def _proven_within(gaps: Sequence[Gap], start: float, moments: Mapping[float, int]) -> float:
    """Return the seconds from `start` to each moment, times the number of its subreddits, that lie in no gap."""
    proven = 0.0
    last = max((_within(gap, start, float("inf"))[1] for gap in gaps), default=float("-inf"))
    whole = _covered(_within(gap, start, last) for gap in gaps) if math.isfinite(last) else 0.0
    for moment, count in moments.items():
        reach = max(start, moment)
        in_gaps = whole if last <= reach else _covered(_within(gap, start, reach) for gap in gaps)
        proven += count * (reach - start - in_gaps)
    return proven


def _beginning(begun: float, gaps: Iterable[Gap]) -> float:
    """Return the start of the time that these gaps cover, at most `begun`; minus infinity for a gap without a start."""
    starts = [float("-inf") if gap.start is None else gap.start for gap in gaps if not gap.repaired]
    return min([begun, *starts])


def _concerned(gap: Gap) -> frozenset[str]:
    return frozenset(name.lower() for name in gap.unproven or gap.subreddits)


def _within(gap: Gap, start: float, end: float) -> _Interval:
    """Clip a gap; both its ends are whole seconds inside it, so it lasts at least one second."""
    first = start if gap.start is None else gap.start
    last = end if gap.end is None else max(gap.end, first + 1.0)
    return max(start, first), min(end, last)


def _covered(intervals: Iterable[_Interval]) -> float:
    """Return the total time that the intervals cover, seconds."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > max(start, reached):
            covered += end - max(start, reached)
            reached = end
    return covered
