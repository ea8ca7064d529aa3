"""The arithmetic of Reddit's request quota: fixed windows, shared by all who use one client id. Pure."""

import enum
from dataclasses import dataclass, replace

#: Reddit averages over fixed windows of ten minutes.
WINDOW = 600.0

#: Waits after a 429 that names no time: one step further for each refusal in a row (seconds).
LADDER = (60.0, 120.0, 240.0, 480.0, 600.0)

#: A request that was granted and never answered (its process was killed) counts as spent after so long, seconds.
GRANT_LIFETIME = 60.0


class Priority(enum.IntEnum):
    """Who may take the next request: streams first, then the streams' deeper looks, then the scraper."""

    STREAM = 0
    SWEEP = 1
    SCRAPER = 2


@dataclass(frozen=True, slots=True)
class Quota:
    """What is known of the current window; times are epoch seconds.

    `used` is the server's count where it gave one, else ours; `outstanding` are grants not yet answered;
    `stream_used` are the grants of this window with Priority.STREAM.
    """

    limit: float
    used: float = 0.0
    outstanding: int = 0
    stream_used: int = 0
    window_start: float = 0.0
    reset_at: float = 0.0
    blocked_until: float = 0.0
    refusals: int = 0
    refused_at: float = 0.0

    def remaining(self) -> float:
        """Requests that may still be sent in this window."""
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


def roll(quota: Quota, now: float, per_minute: float) -> Quota:
    """Begin a new window when the old one is over."""
    if now < quota.reset_at:
        return quota
    return replace(
        quota,
        limit=per_minute * WINDOW / 60.0,
        used=0.0,
        stream_used=0,
        window_start=now,
        reset_at=now + WINDOW,
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
    """Keep for the streams what they will need until the reset at the pace they had in this window."""
    if priority is Priority.STREAM:
        return 0.0
    elapsed = max(30.0, now - quota.window_start)
    need = quota.stream_used / elapsed * max(0.0, quota.reset_at - now)
    headroom = 0.02 * quota.limit if priority is Priority.SWEEP else 0.1 * quota.limit
    # deeper looks and the scraper may not starve altogether when the streams have burst early in the window
    return min(need + headroom, 0.8 * quota.limit)


def granted(quota: Quota, priority: Priority) -> Quota:
    """Count a request that is about to be sent."""
    return replace(
        quota,
        outstanding=quota.outstanding + 1,
        stream_used=quota.stream_used + (priority is Priority.STREAM),
    )


def answered(quota: Quota, headers: RateHeaders | None, now: float, per_minute: float) -> Quota:
    """Take in an answer that was no 429: its headers are the truth, without them we count ourselves."""
    outstanding = max(0, quota.outstanding - 1)
    quota = replace(quota, outstanding=outstanding, refusals=0)
    if headers is None:
        return replace(quota, used=quota.used + 1)
    reset_at = now + max(1.0, headers.reset)
    limit = min(headers.used + headers.remaining, per_minute * WINDOW / 60.0)
    same_window = abs(reset_at - quota.reset_at) < 5.0
    # answers overtake each other: within one window the count only grows
    used = max(quota.used, headers.used) if same_window else headers.used
    return replace(
        quota,
        limit=max(1.0, limit),
        used=used,
        reset_at=reset_at,
        window_start=quota.window_start if same_window else reset_at - WINDOW,
        stream_used=quota.stream_used if same_window else 0,
    )


def refused(quota: Quota, sent_at: float, retry_after: float | None, now: float) -> Quota:
    """Take in a 429: wait as told, else one step up the ladder; refusals of one moment count as one."""
    outstanding = max(0, quota.outstanding - 1)
    quota = replace(quota, outstanding=outstanding)
    same_moment = sent_at <= quota.refused_at
    refusals = quota.refusals if same_moment else quota.refusals + 1
    step = LADDER[min(max(refusals, 1), len(LADDER)) - 1]
    wait = retry_after if retry_after is not None else step
    blocked_until = now + wait if not same_moment else max(quota.blocked_until, sent_at + wait)
    return replace(quota, refusals=refusals, refused_at=max(now, quota.refused_at), blocked_until=blocked_until)


def failed(quota: Quota) -> Quota:
    """Take in a request without an answer: Reddit may have counted it, so we do."""
    return replace(quota, outstanding=max(0, quota.outstanding - 1), used=quota.used + 1)
