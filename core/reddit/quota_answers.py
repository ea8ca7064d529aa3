"""The changes that Reddit's answers make to the request quota. Pure.

Reddit's headers are believed within their ranges (core.reddit.bounds) and only until the next answer.
"""

from dataclasses import replace

from core.reddit import bounds
from core.reddit.bounds import FIRST_PROBE, PROBE_INTERVAL
from core.reddit.quota import (
    MOST_IN_A_ROW,
    SAME_RESET,
    WINDOW,
    Changes,
    Quota,
    RateHeaders,
    allowance,
    own_count_restarts,
)

#: Waits after a 429 that names no time: one step further per refusal in a row (seconds).
LADDER = (60.0, 120.0, 240.0, 480.0, 600.0)

#: Shortest wait after a refusal that names 0 seconds: without it, repeated refusals would cause a storm of requests.
SHORTEST_BLOCK = bounds.RETRY_AFTER.lowest

#: After a 429 that names the reset, all wait until the reset and this much longer, seconds.
_AFTER_RESET = 1.0

#: Refusals in a row that wait as long as they name; then the wait doubles with each one, up to PROBE_INTERVAL.
_BELIEVED_REFUSALS = 2

#: Served test requests in a row, all without a correction of "nothing remains", after which our own count is used.
_CONTRADICTIONS = 2

#: After the end of a block, a test request without an answer is repeated after this time, seconds.
_TEST_AGAIN = 5.0


def answered(
    quota: Quota,
    headers: RateHeaders | None,
    sent_at: float,
    now: float,
    per_minute: float,
    *,
    success: bool = True,
) -> Quota:
    """Record an answer other than 429: its headers are the truth; without them we count ourselves.

    `success`: Reddit served the request, which ends a block. A request sent before a refusal shows nothing about
    the time after it.
    """
    sent_at = min(sent_at, now)  # the clock may have been set back meanwhile
    changes = _spent(quota)
    if not success:
        changes |= _after_failed_test(quota, sent_at, now)
    elif sent_at > quota.refused_at and (quota.refusals or now < quota.blocked_until):
        changes |= {"refusals": 0, "blocked_until": min(quota.blocked_until, now)}
    changes |= _from_headers(quota, headers, sent_at, now, per_minute)
    changes |= _checked_claim(quota, changes, sent_at, per_minute, success=success)
    return replace(quota, **changes)


def _spent(quota: Quota) -> Changes:
    """Turn a grant into a request that was sent."""
    return {"outstanding": max(0, quota.outstanding - 1), "sent": quota.sent + 1}


def _after_failed_test(quota: Quota, sent_at: float, now: float) -> Changes:
    """Schedule the next test request soon when one after the end of a block got no answer."""
    if not quota.refusals or sent_at <= quota.refused_at or now < quota.blocked_until:
        return {}
    return {"probe_at": min(quota.probe_at, now + _TEST_AGAIN)}


def _from_headers(quota: Quota, headers: RateHeaders | None, sent_at: float, now: float, per_minute: float) -> Changes:
    """Record the rate headers of an answer, within their ranges; values that they lack we count ourselves."""
    if headers is None:
        return {"used": quota.used + 1}
    named_used, named_remaining = bounds.used_count(headers.used), bounds.remaining_count(headers.remaining)
    seconds = bounds.reset_seconds(headers.reset, now)
    no_values = seconds is None and named_used is None and named_remaining is None
    if no_values or _is_of_former_window(quota, seconds, sent_at, now):
        return {"used": quota.used + 1}
    limit, used = _count(quota, named_used, named_remaining, allowance(per_minute))
    same_window, window_start, reset_at = _window(quota, seconds, sent_at, now)
    # answers overtake each other: within one window the count only grows, unless an answer was requested after all
    # that is known; then the known values were wrong
    if same_window and sent_at <= quota.read_at:
        used = max(quota.used, used)
    changes: Changes = {
        "limit": limit,
        "used": used,
        "reset_at": reset_at,
        "window_start": window_start,
        "read_at": now,
    }
    if not same_window and reset_at > quota.reset_at + SAME_RESET and own_count_restarts(quota, window_start):
        # an answer of the next window came before our clock reached the end of this one
        changes |= {"sent": 1.0, "sent_since": window_start, "aligned": True}
    if quota.read_at == 0.0 and limit < quota.limit:
        # the first estimate of the pace is a share of the limit; with too high a limit it would block the others
        changes["stream_pace"] = quota.stream_pace * limit / quota.limit
    if (limit - used) * quota.part < max(1, quota.outstanding):
        changes["probe_at"] = max(quota.probe_at, now + FIRST_PROBE)
    return changes


def _checked_claim(quota: Quota, changes: Changes, sent_at: float, per_minute: float, *, success: bool) -> Changes:
    """Compare a claim that nothing remains with the facts: a request that was sent anyway was served.

    Our own count replaces such a claim after some served test requests, whether their answers repeat it or have
    no rate headers, until a 429 or until something remains.
    """
    is_claimed_anew = "limit" in changes
    if changes.get("limit", quota.limit) - changes["used"] >= 1.0:
        return {"contradicted": 0} if quota.contradicted and is_claimed_anew else {}
    contradicted = quota.contradicted
    if success and contradicted < _CONTRADICTIONS and quota.limit - quota.used < 1.0 and sent_at > quota.read_at:
        contradicted += 1
    if contradicted < _CONTRADICTIONS:
        return {"contradicted": contradicted}
    return {"contradicted": contradicted, "limit": allowance(per_minute), "used": quota.sent + 1}


def _is_of_former_window(quota: Quota, seconds: float | None, sent_at: float, now: float) -> bool:
    """Return whether a late answer is about the window before this one: its count must not replace ours."""
    return seconds is not None and sent_at < quota.window_start and now + seconds + SAME_RESET < quota.reset_at


def _count(quota: Quota, used: float | None, remaining: float | None, allowed: float) -> tuple[float, float]:
    """Return limit and use of the window, as far as the headers give them."""
    if used is not None and remaining is not None:
        return min(max(used + remaining, 1.0), allowed), used
    if used is not None:
        return allowed, used
    if remaining is not None:
        return allowed, allowed - min(remaining, allowed)
    return quota.limit, quota.used + 1


def _window(quota: Quota, seconds: float | None, sent_at: float, now: float) -> tuple[bool, float, float]:
    """Return whether the reset is that of the known window, and that window's start and end."""
    if seconds is None:
        return True, quota.window_start, quota.reset_at
    # the answer was in transit for a part of that time: the reset is between these two
    earliest, reset_at = sent_at + seconds, now + seconds
    same_window = earliest - SAME_RESET < quota.reset_at < reset_at + SAME_RESET
    return same_window, quota.window_start if same_window else min(now, reset_at - WINDOW), reset_at


def refused(
    quota: Quota, sent_at: float, retry_after: float | None, now: float, headers: RateHeaders | None = None
) -> Quota:
    """Record a 429: wait as long as it names, else one step longer; refusals of one moment count as one."""
    sent_at = min(sent_at, now)
    same_moment = sent_at <= quota.refused_at
    if same_moment and not quota.refusals:
        # a later request was served meanwhile: this refusal is outdated
        return replace(quota, used=quota.used + 1, **_spent(quota))
    refusals = quota.refusals if same_moment else quota.refusals + 1
    named = named_wait(retry_after, headers, now)
    if named is None:
        begins, seconds = sent_at if same_moment else now, LADDER[min(refusals, len(LADDER)) - 1]
    else:
        begins, seconds = now, max(named, _growth(refusals))
    # a named block is never shortened, and none is longer than a window
    blocked_until = min(max(quota.blocked_until, begins + seconds), now + WINDOW)
    probe_at = min(blocked_until, now + PROBE_INTERVAL)
    return replace(
        quota,
        used=quota.used + 1,
        refusals=min(refusals, MOST_IN_A_ROW),
        contradicted=0,
        # a late refusal of the same moment shows nothing about a test request that was sent since
        refused_at=quota.refused_at if same_moment else now,
        blocked_until=blocked_until,
        probe_at=max(probe_at, quota.probe_at) if same_moment else probe_at,
        **_spent(quota),
    )


def named_wait(retry_after: float | None, headers: RateHeaders | None, now: float) -> float | None:
    """Return the seconds to wait that a 429 names: Retry-After, else the reset if nothing remains."""
    seconds = bounds.retry_seconds(retry_after, now)
    if seconds is not None or headers is None:
        return seconds
    remaining, reset = bounds.remaining_count(headers.remaining), bounds.reset_seconds(headers.reset, now)
    if reset is None or (remaining is not None and remaining >= 1.0):
        return None
    return min(reset + _AFTER_RESET, WINDOW)


def _growth(refusals: int) -> float:
    """Return the shortest wait after this many refusals in a row: repeated wrong times must not cause a storm."""
    return min(2.0 ** min(refusals - _BELIEVED_REFUSALS, 10), PROBE_INTERVAL)


def failed(quota: Quota, sent_at: float, now: float) -> Quota:
    """Record a request without an answer: Reddit may have counted it, so we count it."""
    retest = _after_failed_test(quota, min(sent_at, now), now)
    return replace(quota, used=quota.used + 1, **_spent(quota), **retest)
