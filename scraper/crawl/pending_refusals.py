"""Unexplained refusals: decides when one is confirmed, and when to request it again. Pure.

A refused proxy, account or network looks the same as a subreddit or a user that cannot be read. So a lasting state is
stored only after the same refusal came again later, through another proxy if there is one, to a process that gets other
answers meanwhile (scraper.crawl.answer_rate). Until then the refusal is stored in the frontier.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from scraper.reddit.question import Question
from scraper.reddit.refusal import Unexplained
from scraper.reddit.rows import SubredditState

#: The shortest time between the first refusal and its confirmation, seconds. The shorter one is for answers that Reddit
#: gives for this very state: a redirect to another name, an age gate, 404, an empty listing.
INTERVAL: Final = 150.0
SHORT_INTERVAL: Final = 20.0

#: If other proxies exist but none of them requested it, one process confirms alone after these intervals and refusals.
_ALONE_INTERVALS = 3
_ALONE_REFUSALS = 3

#: A refusal that repeats without being confirmed is requested every half hour at most.
_LONGEST_PAUSE = 1800.0

_MOST_STORED = 200

#: The key of the state that was stored last: the state, and how many checks in a row had this result.
CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class PendingRefusal:
    """A refusal and how often it came; moments are seconds since 1970."""

    state: str  #: the state that it would mean, a SubredditState
    text: str
    target: str | None
    telling: bool
    first_at: float
    count: int
    seen_by: tuple[str, ...]  #: the processes that received it

    @property
    def interval(self) -> float:
        """Seconds from the first refusal to the earliest confirmation."""
        return SHORT_INTERVAL if self.telling else INTERVAL

    def is_confirmed(self, now: datetime, *, has_others: bool) -> bool:
        """Return whether it came often enough, late enough, and to enough processes."""
        age = now.timestamp() - self.first_at
        if has_others and len(self.seen_by) < 2:
            return self.count >= _ALONE_REFUSALS and age >= _ALONE_INTERVALS * self.interval
        return self.count >= 2 and age >= self.interval


PendingRefusals = Mapping[str, PendingRefusal]


def key_of(question: Question) -> str:
    """Return the key of a question's refusal among those of its subreddit."""
    return f"{question.kind}:{question.name.lower()}" if question.of_user else str(question.kind)


def record_refusal(known: PendingRefusal | None, refusal: Unexplained, seen_by: str, now: datetime) -> PendingRefusal:
    """Record a refusal; one that means another state than before starts from the beginning."""
    same = known if known is not None and known.state == refusal.state and known.target == refusal.target else None
    return PendingRefusal(
        state=str(refusal.state),
        text=str(refusal),
        target=refusal.target,
        telling=refusal.telling,
        first_at=same.first_at if same else now.timestamp(),
        count=same.count + 1 if same else 1,
        seen_by=tuple(sorted({*(same.seen_by if same else ()), seen_by})),
    )


def explained(state: SubredditState, reason: str, now: datetime) -> PendingRefusal:
    """Build the record of an explained refusal: there is nothing to confirm."""
    return PendingRefusal(str(state), reason, None, True, now.timestamp(), 1, ())  # noqa: FBT003 (one of many fields)


def count_closed(known: PendingRefusals, why: PendingRefusal) -> PendingRefusal:
    """Count the checks in a row with this result."""
    before = known.get(CLOSED)
    is_same = before is not None and (before.state, before.target) == (why.state, why.target)
    return replace(why, count=before.count + 1 if before is not None and is_same else 1)


def next_check(doubts: PendingRefusals, now: datetime, *, has_others: bool) -> tuple[datetime, datetime | None]:
    """Return when to request these again, and until when the processes that received them leave that to others.

    A refusal that came to only one process, once, may be requested by another at once: most often it is simply
    answered.
    """
    dues = [_due(doubt, now, has_others=has_others) for doubt in doubts.values()]
    first = min(doubts.values(), key=lambda doubt: doubt.first_at)
    alone = has_others and any(doubt.count == 1 for doubt in doubts.values())
    until = first.first_at + _ALONE_INTERVALS * first.interval
    avoid = _moment(max(until, now.timestamp())) if alone else None
    return min(dues), avoid


def _due(doubt: PendingRefusal, now: datetime, *, has_others: bool) -> datetime:
    if has_others and doubt.count == 1:
        return now
    pause = 0.0 if doubt.count == 1 else min(_LONGEST_PAUSE, doubt.interval / 2.0 * 2.0 ** min(doubt.count - 2, 20))
    return max(_moment(doubt.first_at + doubt.interval), now + timedelta(seconds=pause))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def dump(doubts: PendingRefusals) -> str | None:
    """Return them as the text that the frontier stores; None if there are none."""
    kept = dict(sorted(doubts.items())[:_MOST_STORED])
    return orjson.dumps({key: asdict(doubt) for key, doubt in kept.items()}).decode() if kept else None


def load(text: str | None) -> dict[str, PendingRefusal]:
    """Parse the output of `dump`; entries of another form are left out: those start from the beginning."""
    try:
        value = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(value, dict):
        return {}
    read = {key: _read(fields) for key, fields in value.items()}
    return {key: doubt for key, doubt in read.items() if doubt is not None}


def _read(fields: Any) -> PendingRefusal | None:  # noqa: ANN401 (whatever stands in the database)
    try:
        return PendingRefusal(
            state=str(SubredditState(fields["state"])),
            text=str(fields["text"]),
            target=None if fields["target"] is None else str(fields["target"]),
            telling=bool(fields["telling"]),
            first_at=_moment(float(fields["first_at"])).timestamp(),
            count=int(fields["count"]),
            seen_by=tuple(map(str, fields["seen_by"])),
        )
    except (TypeError, ValueError, KeyError, OverflowError, OSError):
        return None
