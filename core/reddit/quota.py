"""The state of Reddit's request quota, and the decision when a request may go. Pure.

The quota counts fixed windows, shared by all users of one client id. Our own count, which no header can lower, keeps
the user's limit. While a header or a 429 stops all requests, a single request at a time tests whether that is still
true. The changes that an answer makes are in core.reddit.quota_answers.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from core.reddit import bounds
from core.reddit.bounds import FIRST_PROBE, PROBE_INTERVAL

#: Reddit averages over fixed windows of ten minutes.
WINDOW = bounds.WINDOW

#: Seconds after which a granted request without an answer (its process was killed) counts as spent.
GRANT_LIFETIME = 60.0

#: Upper limit of counts in a row.
MOST_IN_A_ROW = 100

#: While a test request is in progress, its result is checked at this interval, seconds.
_TEST_CHECK_INTERVAL = 1.0

#: Two readings of the reset this close, beyond the time their answers took, are of the same window, seconds.
SAME_RESET = 5.0

#: Our own count follows the windows in the headers, unless one would be shorter than others by this, seconds.
_SHORTER = 60.0

#: The streams' pace is the average over about this time, seconds.
_PACE_MEMORY = 120.0

#: Until the streams' pace is known: the share of the quota that may be theirs.
_FIRST_SHARE = 0.5

#: The least part of the client's quota that a machine has.
_LEAST_PART = 0.001


class Priority(enum.IntEnum):
    """The priority of a request: streams first, then the streams' scans for late items, then the scraper."""

    STREAM = 0
    LATE_SCAN = 1
    SCRAPER = 2


@dataclass(frozen=True, slots=True)
class Quota:
    """The known state of the current window; times are epoch seconds.

    `limit` and `used` are the server's if it sent them, else ours. `outstanding` are grants not yet answered.
    `stream_pace` is the streams' recent rate, requests per second, as of `stream_at`. `allowed` is the user's limit of
    requests per window; `sent` are our own since `sent_since`, which follows Reddit's windows once `aligned`.
    `read_at` is when rate headers last arrived; `probe_at` the earliest time of the next test request while all wait.
    `contradicted` are served test requests in a row whose answers do not correct the claim that nothing remains.
    `part` is this machine's part of the client's quota, 0 to 1: 1 unless several machines share it. `limit`, `used` and
    `allowed` are those of the whole client; `sent`, `outstanding` and `stream_pace` those of this machine.
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
    sent: float = 0.0
    sent_since: float = 0.0
    aligned: bool = False
    read_at: float = 0.0
    probe_at: float = 0.0
    contradicted: int = 0
    part: float = 1.0
    allowed: float = math.inf

    def remaining(self) -> float:
        """Return the number of requests that this machine may still send in this window.

        Of what the headers leave to the client it uses its part only: the other machines read the same headers.
        """
        client = self.limit - self.used
        return max(0.0, min(client * self.part, self.allowed * self.part - self.sent) - self.outstanding)

    def own_remaining(self) -> float:
        """Return the number of requests that our own count leaves, ignoring the headers."""
        return self.allowed * self.part - self.sent - self.outstanding

    def own_limit(self) -> float:
        """Return the number of requests that this machine may send in a whole window."""
        return self.limit * self.part

    def spare(self, now: float, ahead: float = 0.0) -> float:
        """Return the rest of the window relative to an even pace: 1 on pace, above 1 there is room, 0 nothing left.

        `ahead`: the shortest time that counts, seconds; after the reset, an even pace is possible.
        """
        left = max(0.0, self.reset_at - now)
        share_ahead = max(0.0, ahead - left) / WINDOW
        share = left / WINDOW + share_ahead
        return (self.remaining() / self.own_limit() + share_ahead) / share if share > 0 else float(self.remaining() > 0)


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Reddit's X-Ratelimit-* of one answer, unchecked: requests used and remaining, seconds to the reset.

    None means absent or not a number. Their ranges are applied where they are used.
    """

    used: float | None
    remaining: float | None
    reset: float | None


#: Fields of Quota and their new values: copying a Quota is the slow part here, so it is done once.
Changes = dict[str, Any]

#: Fields stored in a quota file: a grant has its own row, and the user's limit is in the configuration.
STORED = tuple(field.name for field in fields(Quota) if field.name not in {"outstanding", "allowed"})


def restored(stored: Mapping[str, Any], outstanding: int, allowed: float = math.inf) -> Quota:
    """Return the quota that a file holds; values that are not finite numbers count as unknown."""
    known = dict(stored) if _all_finite(stored) else {name: bounds.number(stored.get(name)) or 0.0 for name in STORED}
    for name in ("refusals", "contradicted"):
        known[name] = int(min(max(known[name], 0.0), MOST_IN_A_ROW))
    known["aligned"] = known["aligned"] == 1.0
    if not _LEAST_PART <= known["part"] <= 1.0:
        known["part"] = 1.0
    return Quota(**known, outstanding=outstanding, allowed=allowed)


def _all_finite(stored: Mapping[str, Any]) -> bool:
    """Return quickly whether all values are present and finite, as in every file that this version wrote."""
    try:
        return len(stored) == len(STORED) and math.isfinite(sum(stored.values()))
    except TypeError:
        return False


def allowance(per_minute: float) -> float:
    """Return the number of requests that the user allows in a window."""
    return max(1.0, per_minute * WINDOW / 60.0)


def own_count_restarts(quota: Quota, now: float) -> bool:
    """Return whether our own count follows a window of the headers that begins now."""
    return not quota.aligned or now - quota.sent_since >= WINDOW - _SHORTER


def part_of(share: float | None, per_minute: float) -> float:
    """Return the part of the client's quota that a share in requests per minute is; None: all of it."""
    if share is None or share >= per_minute:
        return 1.0
    return max(_LEAST_PART, share / per_minute)


def advance(quota: Quota, now: float, per_minute: float, part: float | None = None) -> Quota:
    """Advance to this moment: clip what is stored, and begin a new window when the old one is over.

    `part` is this machine's part of the quota from now on; None: it stays.
    """
    allowed = allowance(per_minute)
    quota = _bounded(quota, now, allowed)
    if now - quota.sent_since >= WINDOW:
        quota = replace(quota, sent=0.0, sent_since=now, aligned=False)
    if part is not None and part != quota.part:
        quota = _with_part(quota, now, part)
    if now < quota.reset_at:
        return quota
    if quota.window_start == 0.0:
        quota = replace(quota, stream_pace=_FIRST_SHARE * quota.part * allowed / WINDOW, stream_at=now)
    changes: Changes = {"limit": allowed, "used": 0.0, "window_start": now, "reset_at": now + WINDOW}
    if own_count_restarts(quota, now):
        # when headers named the reset, our own count restarts at Reddit's moment
        known = quota.read_at >= quota.window_start and now - quota.reset_at < WINDOW
        changes |= {"sent": 0.0, "sent_since": quota.reset_at if known else now, "aligned": known}
    return replace(quota, **changes)


def _with_part(quota: Quota, now: float, part: float) -> Quota:
    """Change this machine's part for the rest of the window.

    Our own count changes by what the difference would have allowed until now: a larger part adds only requests that are
    left, a smaller one takes only those. The time that has passed shows what is left, or the headers, if they leave
    less: after a burst, a machine that joins gets a part of the rest, and the others keep theirs.
    """
    passed = min(max(0.0, now - quota.sent_since), WINDOW) / WINDOW
    gone = quota.allowed * passed
    if quota.window_start <= quota.read_at and now < quota.reset_at:
        gone = max(gone, quota.allowed - max(0.0, quota.limit - quota.used))
    return replace(quota, part=part, sent=max(0.0, quota.sent + (part - quota.part) * gone))


def _bounded(quota: Quota, now: float, allowed: float) -> Quota:
    """Clip times and counts to their ranges: clocks jump, and an older version stored values unchecked."""
    newest = max(quota.window_start, quota.refused_at, quota.read_at, quota.stream_at, quota.sent_since)
    if now < newest - SAME_RESET:
        quota = _turned_back(quota, newest - now)
    fastest = allowed / _PACE_MEMORY
    if (
        quota.allowed == allowed
        and 1.0 <= quota.limit <= allowed
        and 0.0 <= quota.used <= bounds.REQUEST_COUNT.highest
        and 0.0 <= quota.sent <= bounds.REQUEST_COUNT.highest
        and 0.0 <= quota.stream_pace <= fastest
        and quota.sent_since <= now
        and quota.reset_at <= now + WINDOW
        and quota.blocked_until <= now + WINDOW
        and quota.probe_at <= now + PROBE_INTERVAL
    ):
        return quota
    return replace(
        quota,
        allowed=allowed,
        limit=min(quota.limit, allowed) if quota.limit >= 1.0 else allowed,
        used=bounds.REQUEST_COUNT.clip(quota.used),
        sent=bounds.REQUEST_COUNT.clip(quota.sent),
        sent_since=min(quota.sent_since, now),
        stream_pace=min(max(quota.stream_pace, 0.0), fastest),
        reset_at=min(quota.reset_at, now + WINDOW),
        blocked_until=min(quota.blocked_until, now + WINDOW),
        probe_at=min(quota.probe_at, now + PROBE_INTERVAL),
    )


def _turned_back(quota: Quota, seconds: float) -> Quota:
    """Move all times with a clock that was set back: nothing may stay blocked until the old time is reached again."""

    def earlier(moment: float) -> float:
        return max(0.0, moment - seconds)  # 0.0 is an unset time, and stays one

    return replace(
        quota,
        window_start=earlier(quota.window_start),
        reset_at=earlier(quota.reset_at),
        blocked_until=earlier(quota.blocked_until),
        refused_at=earlier(quota.refused_at),
        stream_at=earlier(quota.stream_at),
        sent_since=earlier(quota.sent_since),
        read_at=earlier(quota.read_at),
        probe_at=earlier(quota.probe_at),
    )


def wait_for(quota: Quota, priority: Priority, now: float) -> float:
    """Return the seconds that this priority waits for its next request, 0 when it may go now.

    While a refusal or a claim by Reddit stops all requests, a test request may go at `probe_at`.
    """
    if _is_open(quota, priority, now):
        return 0.0
    if quota.own_remaining() < 1.0:
        return max(0.1, min(quota.reset_at, quota.sent_since + WINDOW) - now)
    if quota.refusals or now < quota.blocked_until:
        wait = max(0.0, quota.probe_at - now)
        return min(wait, _TEST_CHECK_INTERVAL) if quota.outstanding and now >= quota.blocked_until else wait
    if quota.remaining() < 1.0:
        return max(0.0, min(quota.reset_at, quota.probe_at) - now)
    if _is_stale(quota, now) and quota.own_remaining() - _reserve(quota, priority, now) >= 1.0:
        return 0.0
    # the reserve shrinks as the window passes: check again soon
    return min(5.0, max(0.5, quota.reset_at - now))


def _is_open(quota: Quota, priority: Priority, now: float) -> bool:
    """Return whether nothing blocks a request."""
    if quota.refusals or now < quota.blocked_until:
        return False
    return quota.remaining() - _reserve(quota, priority, now) >= 1.0


def _is_stale(quota: Quota, now: float) -> bool:
    """Return whether the headers of this window are so old that a single request may test them."""
    return quota.read_at >= quota.window_start and now >= max(quota.read_at + PROBE_INTERVAL, quota.probe_at)


def _reserve(quota: Quota, priority: Priority, now: float) -> float:
    """Return the requests that the streams will need until the reset at their recent pace."""
    if priority is Priority.STREAM:
        return 0.0
    need = _pace(quota, now) * max(0.0, quota.reset_at - now)
    if priority is Priority.SCRAPER:
        return need + 0.1 * quota.own_limit()
    # scans for late items belong to the streams: they must not starve completely while polls could use everything
    return min(need + 0.02 * quota.own_limit(), 0.8 * quota.own_limit())


def _pace(quota: Quota, now: float) -> float:
    """Return the streams' requests per second; it decays when they request nothing, in any window."""
    return quota.stream_pace * math.exp(-max(0.0, now - quota.stream_at) / _PACE_MEMORY)


def granted(quota: Quota, priority: Priority, now: float) -> Quota:
    """Count a request that is about to be sent."""
    probe_at = quota.probe_at
    if not _is_open(quota, priority, now):
        probe_at = now + PROBE_INTERVAL  # this one is a test: the next one is later
    elif quota.remaining() < 2.0:
        probe_at = max(probe_at, now + FIRST_PROBE)  # this one is the last
    pace, at = quota.stream_pace, quota.stream_at
    if priority is Priority.STREAM:
        pace, at = _pace(quota, now) + 1.0 / _PACE_MEMORY, now
    return replace(quota, outstanding=quota.outstanding + 1, probe_at=probe_at, stream_pace=pace, stream_at=at)


def expired(quota: Quota, count: int) -> Quota:
    """Count grants without an answer as sent requests."""
    return replace(quota, used=quota.used + count, sent=quota.sent + count) if count else quota


def counted_late(quota: Quota) -> Quota:
    """Subtract one that `expired` counted: its answer came after all, and is counted now."""
    return replace(quota, used=max(0.0, quota.used - 1.0), sent=max(0.0, quota.sent - 1.0))


def stricter(known: Quota, ours: Quota) -> Quota:
    """Return the stricter of `known` (from a file that is new, or older) and `ours` (of this process).

    Our grants are not in that file any more, so they count as used. Another process may have been here before us.
    """
    lost = ours.outstanding
    ours = replace(ours, used=ours.used + lost, sent=ours.sent + lost, outstanding=known.outstanding)
    base = known if known.read_at > ours.read_at or known.sent > ours.sent else ours
    same = abs(known.reset_at - ours.reset_at) <= SAME_RESET
    return replace(
        base,
        used=max(known.used, ours.used) if same else base.used,
        sent=max(known.sent, ours.sent),
        blocked_until=max(known.blocked_until, ours.blocked_until),
        refused_at=max(known.refused_at, ours.refused_at),
        refusals=max(known.refusals, ours.refusals),
    )
