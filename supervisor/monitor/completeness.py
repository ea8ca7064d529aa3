"""How much of the recent past is proven complete, from the loss ledger. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.spool import Gap

#: What is looked at, seconds.
WINDOW = 86_400.0


@dataclass(frozen=True, slots=True)
class Completeness:
    """The share of time, by subreddit, in which nothing can be missing."""

    start: float
    end: float
    share: float  #: 1: everything is proven

    @property
    def percent(self) -> float:
        """The share in percent; only what is complete altogether is 100."""
        return min(99.999, 100.0 * self.share) if self.share < 1.0 else 100.0


def completeness(gaps: Iterable[Gap], subreddits: Sequence[str], begun: float | None, now: float) -> Completeness:
    """Weigh the open gaps of the last day, or of the time since the stream `begun`; a gap counts for its subreddits.

    What a gap holds is not known to be lost: it is only not proven to be there.
    """
    start = max(begun if begun is not None else now, now - WINDOW)
    if now <= start:
        return Completeness(now, now, 1.0)
    open_gaps = [gap for gap in gaps if not gap.repaired]
    known = {name.lower() for name in subreddits} | {name.lower() for gap in open_gaps for name in gap.unproven}
    missing = sum(
        _covered(_clipped(gap, start, now) for gap in open_gaps if name in map(str.lower, gap.unproven))
        for name in known
    )
    return Completeness(start, now, 1.0 - missing / (len(known) * (now - start)) if known else 1.0)


def _clipped(gap: Gap, start: float, end: float) -> tuple[float, float]:
    return max(start, gap.start if gap.start is not None else start), min(end, end if gap.end is None else gap.end)


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how much time the intervals cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > max(start, reached):
            covered += end - max(start, reached)
            reached = end
    return covered
