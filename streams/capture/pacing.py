"""Keeps a stream within its part of the shared quota: the plan of its polls, and the pace of its background requests.

Background requests are those that no new item waits for: the first walks down the listings, repairs, and checks of
subreddits that join or come back. A few may be sent at once; many are spread over the spare quota.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from core.reddit.limiter import Limiter
from core.reddit.quota import WINDOW, Quota
from streams.capture.request_plan import Plan, plan, requests_per_second, share, wishes

#: Seconds between two plans: the other streams' wishes and the rates change slowly; a burst counts at once anyway.
_PLAN_EVERY_S = 5.0

#: Share of the quota that is planned for polls; the rest is for scans for late items and test requests.
_PLANNED = 0.9

#: A window that was used faster than evenly slows the polls down, but not further than this.
_SLOWEST = 0.5

#: Background requests that may be sent at once, and the least number per second.
_BURST = 30.0
_TRICKLE = 0.1

#: Scans for late items of more groups than this are spread as well.
_FEW_GROUPS = 3

#: While many background requests wait, this share of the stream's part of the quota is for them.
_BACKGROUND = 0.3


class Pacing:
    """The request pace of one stream.

    Args:
        limiter: the shared quota.
        longest: the configured longest poll interval, seconds.
        sharers: streams that share the quota, this one included.
        clock: a monotonic clock, seconds.
        wall: this machine's clock, epoch seconds.
    """

    def __init__(
        self,
        limiter: Limiter,
        longest: float,
        *,
        sharers: int,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._limiter = limiter
        self._longest = longest
        self._sharers = sharers
        self._clock = clock
        self._wall = wall
        self.plan = Plan(longest)
        self._plan_due = clock()
        self._tokens = _BURST
        self._filled_at = clock()
        self._per_second = 1.0
        #: requests per second of this stream, as of the last plan
        self._allowed = 0.0
        self._groups = 1

    def replan(self, loads: Callable[[], Mapping[int, float]], *, now: bool = False) -> bool:
        """Plan again if it is time, or `now`; return whether there is a new plan. Raises QuotaFileError.

        Args:
            loads: returns the rate of each group by its key, items per second.
            now: the groups have changed.
        """
        if self._clock() < self._plan_due and not now:
            return False
        self._plan_due = self._clock() + _PLAN_EVERY_S
        groups = loads()
        self._groups = len(groups)
        own = wishes(tuple(groups.values()), self._longest)
        others = self._limiter.exchange_wishes(own)
        others += [own] * (self._sharers - 1 - len(others))  # those that have just been started
        total = _requests_per_second(self._limiter.state(), self._wall())
        self._allowed = allowed = share(own, others, total)
        self._fill()
        waiting = self._tokens < _BURST / 2
        made = plan(groups, allowed=allowed * (1.0 - _BACKGROUND * waiting), longest=self._longest)
        self.plan = replace(made, allowed=allowed * 60.0)  # background requests are no shortage
        used = sum(requests_per_second(rate, self.plan.interval(rate)) for rate in groups.values())
        self._per_second = max(_TRICKLE, allowed - used)
        return True

    def interval(self, rate: float) -> float:
        """Return the seconds between two polls of a group with this rate, items per second."""
        return self.plan.interval(rate)

    @property
    def most_groups(self) -> int:
        """The number of groups that can each be polled at half of the configured longest interval."""
        return max(1, int(self._allowed * self._longest / 2))

    @property
    def background_due(self) -> float:
        """When the next background request may be sent, on the clock; in the past: since when it may."""
        return self._filled_at + (1.0 - self._tokens) / self._per_second

    @property
    def is_crowded(self) -> bool:
        """Whether so many groups share the quota that scans and single suspects are spread as well."""
        return self._groups > _FEW_GROUPS

    @property
    def late_scan_due(self) -> float:
        """When the next page of a scan for late items may be requested, on the clock.

        Few groups scan at once, with the requests that the window has left: in a burst, late items sink in seconds.
        The scans of many groups leave half of the burst to other background requests.
        """
        if not self.is_crowded:
            return float("-inf")
        return self._filled_at + (_BURST / 2 + 1.0 - self._tokens) / self._per_second

    def spend(self, *, late_scan: bool = False) -> None:
        """Count a background request."""
        if late_scan and not self.is_crowded:
            return
        self._fill()
        self._tokens -= 1.0

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(_BURST, self._tokens + max(0.0, now - self._filled_at) * self._per_second)
        self._filled_at = now


def _requests_per_second(quota: Quota, now: float) -> float:
    """Return the requests per second that all streams of this machine may plan with."""
    return _PLANNED * quota.own_limit() / WINDOW * min(1.0, max(_SLOWEST, quota.spare(now)))
