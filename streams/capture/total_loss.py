"""Records the gap of a stream whose files were all lost, once the publisher has found what the topic holds.

Until then nothing is claimed about the time before this spool began.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from core.cluster.shards import is_collective
from core.logging.shown_names import shown_subreddits
from core.periodic import Timer
from core.spool import Batch, Gap, GapState
from core.spool.loss import group_by_moment
from core.spool.model import RECORDS_LOST, SPOOL_LOST
from core.spool.predecessor import TopicEnds, read_ends
from core.spool.stream_state import Origin, StateChange
from streams.capture.coverage import LATE_MARGIN, Coverage

#: Seconds between checks for the publisher's answer.
_CHECK_EVERY_S = 0.5

_REASON = (
    f"{SPOOL_LOST}: no file of the state was left, and the topic holds records of this stream; some {RECORDS_LOST} may"
    " not have been delivered"
)


class TotalLossWatch:
    """Checks for the publisher's answer, and records the gap.

    Args:
        coverage: the stream's coverage, which stores the gap.
        state_dir: the directory of publisher.db.
        spool_id: of the stream's spool.
        subreddits: the configured ones.
        start: "backlog" or "now", as configured.
        log: the logger of the loss.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        coverage: Coverage,
        state_dir: Path,
        spool_id: str,
        *,
        subreddits: Sequence[str],
        start: str,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._coverage = coverage
        self._state_dir = state_dir
        self._spool_id = spool_id
        self._subreddits = tuple(subreddits)
        self._start = start
        self._log = log
        self._clock = clock
        self._origin = coverage.state.origin
        self._checks = Timer(_CHECK_EVERY_S)

    @property
    def settled(self) -> bool:
        """Whether it is known what came before this spool."""
        return self._origin is Origin.SETTLED

    def check(self) -> None:
        """Process the answer if it has arrived. Raises SpoolError if the spool cannot store the gap now."""
        if self.settled or not self._checks.elapsed(self._clock()):
            return
        try:
            found = read_ends(self._state_dir, self._spool_id)
        except sqlite3.Error:
            return  # the next check may succeed
        if found is not None:
            self._settle(found)

    def _settle(self, found: TopicEnds) -> None:
        coverage = self._coverage
        begun = coverage.begun_at()
        gaps = lost_gaps(
            coverage.stream,
            found.starts({name: is_collective(name) for name in self._subreddits}),
            coverage.gaps.values(),
            end=coverage.reddit_now() if begun is None else begun,
            now=coverage.now(),
            # after a start = "now" has read the listing, its items are remembered, and never delivered
            repairable=self._start != "now" or coverage.state.recovered or begun is None,
        )
        # otherwise start = "now" would skip the listing's items
        recovered = True if gaps and begun is None else None
        coverage.apply(Batch(cursor=StateChange(origin=Origin.SETTLED, recovered=recovered).entries(), gaps=gaps))
        self._origin = Origin.SETTLED
        for gap in gaps:
            self._log.error(
                "spool_lost",
                reason=gap.reason,
                lost_from=gap.start,
                **shown_subreddits(gap.subreddits),
                hint="the interval is recorded as a gap; what Reddit still lists is captured again",
            )


def lost_gaps(
    stream: str,
    starts: Mapping[str, float | None],
    ledger: Iterable[Gap],
    *,
    end: float,
    now: float,
    repairable: bool,
) -> list[Gap]:
    """Return the gaps of a stream whose spool was lost. Pure.

    Args:
        stream: its name.
        starts: subreddit → created_utc from which items may be missing; None: not known.
        ledger: its gaps so far; a gap of the loss without a start is replaced.
        end: created_utc at which this spool began.
        now: epoch seconds.
        repairable: whether the listings may still contain the missing items.
    """
    if not starts:
        return []
    known = {name: moment for name, moment in starts.items() if moment is not None}
    parts: list[tuple[list[str], float | None]] = [*group_by_moment(known)]
    if unknown := [name for name in starts if name not in known]:
        parts.append((unknown, None))
    gaps = [
        Gap(
            stream=stream,
            subreddits=tuple(names),
            start=start,
            end=end if start is None else max(start, end),
            reason=_REASON,
            recorded_at=now,
            epoch=1,  # nothing of this spool was proven before it
            pending=tuple(names) if repairable else (),
            unproven=tuple(names),
            state=GapState.OPEN if repairable else GapState.LOST,
            closed_at=None if repairable else now,
            late_from=None if start is None else start - LATE_MARGIN,
        )
        for names, start in parts
    ]
    former = next((gap for gap in ledger if _lacks_start(gap)), None)
    return gaps if former is None else _replacing(former, gaps)


def _replacing(former: Gap, gaps: Sequence[Gap]) -> list[Gap]:
    """Return the gaps with what is known from `former`; the first one takes its place in the ledger."""
    known = [replace(gap, reason=former.reason, recorded_at=former.recorded_at) for gap in gaps]
    return [replace(known[0], id=former.id), *known[1:]]


def _lacks_start(gap: Gap) -> bool:
    return gap.start is None and gap.state is GapState.LOST and gap.cause.lost_spool
