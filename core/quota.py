"""The arithmetic of Reddit's request quota: fixed windows, shared by all who use one client id. Pure."""

import enum
import math
from dataclasses import dataclass, replace

#: Reddit averages over fixed windows of ten minutes.
WINDOW = 600.0

#: Waits after a 429 that names no time: one step further for each refusal in a row (seconds).
LADDER = (60.0, 120.0, 240.0, 480.0, 600.0)

#: A request that was granted and never answered (its process was killed) counts as spent after so long, seconds.
GRANT_LIFETIME = 60.0

#: A refusal that says "at once" still means a moment: without it, a storm of them would be answered with a storm.
SHORTEST_BLOCK = 1.0

#: Two readings of the reset this close, beyond the time their answers took, speak of the same window, seconds.
_SAME_RESET = 5.0

#: The streams' pace is the average over about so long, seconds.
_PACE_MEMORY = 120.0

#: Until their pace is known: the share of the quota that may be theirs.
_FIRST_SHARE = 0.5


class Priority(enum.IntEnum):
    """Who may take the next request: streams first, then the streams' deeper looks, then the scraper."""

    STREAM = 0
    SWEEP = 1
    SCRAPER = 2


@dataclass(frozen=True, slots=True)
class Quota:
    """What is known of the current window; times are epoch seconds.

    `used` is the server's count where it gave one, else ours; `outstanding` are grants not yet answered;
    `stream_pace` is how many requests a second the streams took lately, as of `stream_at`.
    """

    limit: float
    used: float = 0.0
    outstanding: int = 0
    stream_pace: float = 0.0
    stream_at: float = 0.0
    window_start: float = 0.0
    reset_at: float = 0.0
    blocked_until: float = 0.0
    refusals: int = 0
    refused_at: float = 0.0

    def remaining(self) -> float:
        """Return how many requests may still be sent in this window."""
        return max(0.0, self.limit - self.used - self.outstanding)

    def spare(self, now: float) -> float:
        """How far the window is ahead of an even pace: 1 on pace, above 1 there is room, 0 nothing left."""
        share_left = max(0.0, self.reset_at - now) / WINDOW
        return self.remaining() / self.limit / share_left if share_left > 0 else float(self.remaining() > 0)


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Reddit's X-Ratelimit-* of one answer: requests used and remaining, seconds to the reset."""

    used: float
    remaining: float
    reset: float

    @property
    def credible(self) -> bool:
        """Whether these are numbers one can count with."""
        return all(math.isfinite(number) and number >= 0.0 for number in (self.used, self.remaining, self.reset))


def roll(quota: Quota, now: float, per_minute: float) -> Quota:
    """Begin a new window when the old one is over."""
    if now < quota.window_start - _SAME_RESET:
        return _turned_back(quota, quota.window_start - now)
    if now < quota.reset_at:
        return quota
    limit = per_minute * WINDOW / 60.0
    if quota.window_start == 0.0:
        quota = replace(quota, stream_pace=_FIRST_SHARE * limit / WINDOW, stream_at=now)
    return replace(quota, limit=limit, used=0.0, window_start=now, reset_at=now + WINDOW)


def _turned_back(quota: Quota, seconds: float) -> Quota:
    """Move all times with a clock that was set back: nothing may stay blocked until the old time comes again."""
    return replace(
        quota,
        window_start=quota.window_start - seconds,
        reset_at=quota.reset_at - seconds,
        blocked_until=quota.blocked_until - seconds,
        refused_at=quota.refused_at - seconds,
        stream_at=quota.stream_at - seconds,
    )


def wait_for(quota: Quota, priority: Priority, now: float) -> float:
    """Return how many seconds this priority has to wait for its next request, 0 when it may go now."""
    if now < quota.blocked_until:
        return quota.blocked_until - now
    spare_after = quota.remaining() - _reserve(quota, priority, now)
    if spare_after >= 1.0:
        return 0.0
    if quota.remaining() < 1.0:
        return max(0.1, quota.reset_at - now)
    # the reserve shrinks as the window goes by: look again soon
    return min(5.0, max(0.5, quota.reset_at - now))


def _reserve(quota: Quota, priority: Priority, now: float) -> float:
    """Keep for the streams what they will need until the reset at the pace they had lately."""
    if priority is Priority.STREAM:
        return 0.0
    need = _pace(quota, now) * max(0.0, quota.reset_at - now)
    if priority is Priority.SCRAPER:
        return need + 0.1 * quota.limit
    # deeper looks are the streams' own: they may not starve altogether while the polls could use up everything
    return min(need + 0.02 * quota.limit, 0.8 * quota.limit)


def _pace(quota: Quota, now: float) -> float:
    """Return the streams' requests a second; it fades when they ask for nothing, whatever window that is in."""
    return quota.stream_pace * math.exp(-max(0.0, now - quota.stream_at) / _PACE_MEMORY)


def granted(quota: Quota, priority: Priority, now: float) -> Quota:
    """Count a request that is about to be sent."""
    quota = replace(quota, outstanding=quota.outstanding + 1)
    if priority is not Priority.STREAM:
        return quota
    return replace(quota, stream_pace=_pace(quota, now) + 1.0 / _PACE_MEMORY, stream_at=now)


def answered(
    quota: Quota,
    headers: RateHeaders | None,
    sent_at: float,
    now: float,
    per_minute: float,
    *,
    success: bool = True,
) -> Quota:
    """Take in an answer that was no 429: its headers are the truth, without them we count ourselves.

    `success`: Reddit served the request. One that was sent before a refusal says nothing about what came after.
    """
    refusals = 0 if success and sent_at > quota.refused_at else quota.refusals
    quota = replace(quota, outstanding=max(0, quota.outstanding - 1), refusals=refusals)
    if headers is None or not headers.credible or _is_of_former_window(quota, headers, sent_at, now):
        return replace(quota, used=quota.used + 1)
    # the answer was on its way for some of that time: the reset lies between these two
    earliest, reset_at = sent_at + headers.reset, now + max(1.0, headers.reset)
    same_window = earliest - _SAME_RESET < quota.reset_at < reset_at + _SAME_RESET
    # answers overtake each other: within one window the count only grows
    used = max(quota.used, headers.used) if same_window else headers.used
    limit = max(1.0, min(headers.used + headers.remaining, per_minute * WINDOW / 60.0))
    return replace(
        quota,
        limit=limit,
        # the pace that was first guessed is a share of the limit; of one that was too high it would keep others away
        stream_pace=quota.stream_pace * min(1.0, limit / quota.limit),
        used=used,
        reset_at=reset_at,
        window_start=quota.window_start if same_window else min(now, reset_at - WINDOW),
    )


def _is_of_former_window(quota: Quota, headers: RateHeaders, sent_at: float, now: float) -> bool:
    """Tell whether a late answer speaks of the window before this one: its count must not replace ours."""
    return sent_at < quota.window_start and now + headers.reset + _SAME_RESET < quota.reset_at


def refused(quota: Quota, sent_at: float, retry_after: float | None, now: float) -> Quota:
    """Take in a 429: wait as told, else one step up the ladder; refusals of one moment count as one."""
    quota = replace(quota, outstanding=max(0, quota.outstanding - 1), used=quota.used + 1)
    same_moment = sent_at <= quota.refused_at
    refusals = quota.refusals if same_moment else quota.refusals + 1
    step = LADDER[min(max(refusals, 1), len(LADDER)) - 1]
    begins = sent_at if same_moment and retry_after is None else now
    blocked_until = begins + max(SHORTEST_BLOCK, retry_after if retry_after is not None else step)
    return replace(
        quota,
        refusals=refusals,
        refused_at=max(now, quota.refused_at),
        blocked_until=max(quota.blocked_until, blocked_until),  # a block announced is never cut short
    )


def failed(quota: Quota) -> Quota:
    """Take in a request without an answer: Reddit may have counted it, so we do."""
    return replace(quota, outstanding=max(0, quota.outstanding - 1), used=quota.used + 1)


def stricter(known: Quota, ours: Quota) -> Quota:
    """Return what holds where a file knows `known` and this process remembers `ours`: the file is new, or older.

    Our grants are not in that file any more, so they count as used.
    """
    ours = replace(ours, used=ours.used + ours.outstanding, outstanding=known.outstanding)
    base = ours if ours.window_start >= known.window_start else known
    same = abs(known.reset_at - ours.reset_at) <= _SAME_RESET
    return replace(
        base,
        used=max(known.used, ours.used) if same else base.used,
        blocked_until=max(known.blocked_until, ours.blocked_until),
        refused_at=max(known.refused_at, ours.refused_at),
        refusals=max(known.refusals, ours.refusals),
    )
