"""Keeps a stream within its part of the shared quota: the plan of its polls, and the pace of its background requests.

Background requests are those that no new item waits for: the first walks down the listings, repairs, and checks of
subreddits that join or come back. A few may be sent at once; many are spread over the spare quota.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from core.reddit.limiter import Limiter
from core.reddit.quota import WINDOW, Quota
from streams.capture.recent_requests import MINUTE_S, RecentRequests
from streams.capture.request_plan import (
    FEW_GROUPS,
    Plan,
    cost,
    plan,
    requests_per_second,
    seconds_back,
    share,
    slow_interval,
    strict_share,
    wishes,
)
from streams.capture.scheduler import Kind

#: Seconds between two plans: the other streams' wishes and the rates change slowly; a burst counts at once anyway.
_PLAN_EVERY_S = 5.0

#: Share of the quota that is planned; the rest is for test requests, and for walks that are deeper than expected.
_PLANNED = 0.95

#: The plan looks this far ahead, seconds: the last requests of a window are few, and a new one comes.
_AHEAD_S = 30.0

#: A window that was used faster than evenly slows the polls down, but not further than this.
_SLOWEST = 0.5

#: Background requests that may be sent at once, and the least number per second.
_BURST = 30.0
_TRICKLE = 0.1

#: While many background requests wait, they get this share of the stream's part of the quota: the largest one as long
#: as no group waits longer than `COMFORT` times the configured longest interval, at least the least one.
_MOST_BACKGROUND = 0.3
_LEAST_BACKGROUND = 0.07

#: A kind of background request waits for this share of a request longer than one whose turn is before.
_TURN = 0.05

#: Background requests that many groups may send at once.
_CROWDED_BURST = 6.0

#: With many groups, all streams together send at most this multiple of the quota's even pace within any minute, unless
#: items would be lost. Background requests leave the difference to what is planned to the polls.
_AT_MOST = 1.02

#: The first newest pages of many groups, and the surveys before them, come at this multiple of a stream's pace.
_OPENING = 1.4

#: Longest time for which background requests wait for unread groups, seconds.
_OPENING_FOR_S = 120.0

#: For this time after the last group is opened, walks read on for nothing, seconds.
_HURRIED_FOR_S = 25.0

#: Meanwhile, background requests are sent while the last minute had less than this share of what is planned.
_HURRIED_BACKGROUND = 0.75

#: Longest time without a background request while the last minute had too many requests, seconds.
_LONGEST_WITHOUT_S = 60.0


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
        self._burst, self._was_crowded = _BURST, False
        self._filled_at = clock()
        self._per_second = 1.0
        #: the kinds of background requests, the one that was served last at the end
        self._turns = [Kind.LATE_SCAN, Kind.WALK, Kind.REPAIR, Kind.RETURN, Kind.JOIN, Kind.SEARCH]
        #: requests per second of this stream, as of the last plan
        self._allowed = 0.0
        #: the same, where the sum of all streams' is never more than the quota
        self._strict = 0.0
        #: requests per second of all streams, as of the last plan
        self._total = 0.0
        self._groups = 1
        self._recent = RecentRequests()
        self._opened_at, self._spent_at = float("-inf"), clock()
        self._hurried_until = float("-inf")
        self._opening = False
        self._opening_since: float | None = None

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
        self._strict = strict_share(own, others, total)
        self._total = total
        self._recent.others_sent(self._clock(), self._limiter.requests_of_others())
        self._set_burst()
        self._fill()
        waiting = self._tokens < self._burst / 2
        background = self._background(tuple(groups.values())) if waiting else 0.0
        paced = self._paced(tuple(groups.values()), allowed - background)
        late = self._late
        made = plan(groups, allowed=paced, longest=self._longest, late=late)
        self.plan = replace(made, allowed=allowed * 60.0)  # background requests are no shortage
        used = sum(requests_per_second(rate, self.plan.interval(rate), late) for rate in groups.values())
        self._per_second = max(_TRICKLE, min(allowed, self._free()) - used)
        return True

    def _paced(self, rates: Sequence[float], planned: float) -> float:
        """Return the requests per second for polls: less than planned after a burst, and while groups are opened."""
        if not self.is_crowded:
            return planned
        least = cost(rates, self._latest_after, self._late)
        return min(planned, max(0.0 if self._opening else self._free(), least))

    def _free(self) -> float:
        """Return the requests per second of this stream after which no minute has too many."""
        if not self.is_crowded:
            return self._allowed
        return self._recent.pace(self._clock(), self._most) * self._strict / self._total

    @property
    def _most(self) -> float:
        """The most requests of all streams within a minute."""
        return self._total / _PLANNED * _AT_MOST * MINUTE_S

    def sent(self) -> None:
        """Count a request of any kind."""
        self._recent.add(self._clock())

    def poll_due(self, wanted: float, last: float | None, rate: float) -> float:
        """Return when a group is polled that should be at `wanted`, on the clock.

        While the last minute had too many requests, it waits, but not so long that items could be lost.

        Args:
            wanted: on the clock.
            last: when it was last polled, on the clock; None: never.
            rate: of the group, items per second.
        """
        if not self.is_crowded or last is None:
            return wanted
        latest = last + self._latest_after(rate)
        return max(wanted, min(self._recent.due(self._clock(), self._most), latest))

    def _latest_after(self, rate: float) -> float:
        """Return after which time a group is polled in any case, seconds."""
        return slow_interval(rate, self._longest, self._late)

    @property
    def opening(self) -> bool:
        """Whether some groups were never read."""
        return self._opening

    @opening.setter
    def opening(self, opening: bool) -> None:
        now = self._clock()
        if not opening:
            self._opening_since = None
        elif self._opening_since is None:
            self._opening_since = now
        # a group that is never answered must not delay the others' work for ever
        self._opening = self._opening_since is not None and now - self._opening_since < _OPENING_FOR_S
        if self._opening:
            self._hurried_until = now + _HURRIED_FOR_S

    @property
    def is_hurried(self) -> bool:
        """Whether many groups are opened, or were just now: their walks leave late items to later scans."""
        return self.is_crowded and self._clock() < self._hurried_until

    @property
    def _late(self) -> float:
        return 0.0 if self.is_hurried else seconds_back(self._groups)

    def opening_due(self) -> float:
        """When the next request may be sent that opens a group: a survey, or the first newest page, on the clock."""
        if not self.is_crowded or self._strict <= 0:
            return float("-inf")
        spread = self._opened_at + 1.0 / (_OPENING * self._strict)
        return max(spread, self._recent.due(self._clock(), self._most))

    def opened(self) -> None:
        """Count a request that opens a group."""
        self._opened_at = self._clock()

    def _set_burst(self) -> None:
        """Adjust the number of background requests that may be sent at once to the number of groups."""
        if not self.is_crowded:
            self._burst, self._was_crowded = _BURST, False
            return
        if not self._was_crowded:
            self._tokens, self._was_crowded = min(self._tokens, _CROWDED_BURST), True
        # what waits while groups are opened follows soon
        self._burst = _BURST if self.is_hurried else _CROWDED_BURST

    def plan_anew(self) -> None:
        """Plan at the next call of `replan`: other groups use this pace from now on."""
        self._plan_due = self._clock()

    def _background(self, rates: Sequence[float]) -> float:
        """Return the requests per second for the background requests that wait."""
        spare = self._allowed - wishes(rates, self._longest).needed
        return min(_MOST_BACKGROUND * self._allowed, max(_LEAST_BACKGROUND * self._allowed, spare))

    def interval(self, rate: float) -> float:
        """Return the seconds between two polls of a group with this rate, items per second."""
        return self.plan.interval(rate)

    @property
    def most_groups(self) -> int:
        """The number of groups that can each be polled at half of the configured longest interval."""
        return max(1, int(self._allowed * self._longest / 2))

    def background_due(self, kind: Kind) -> float:
        """When the next background request of this kind may be sent, on the clock; in the past: since when it may.

        The kind that was served last comes after all others that wait.
        """
        return self._due(1.0 + _TURN * self._turns.index(kind))

    @property
    def is_crowded(self) -> bool:
        """Whether so many groups share the quota that scans and single suspects are spread as well."""
        return self._groups > FEW_GROUPS

    def late_scan_due(self, *, pressing: bool) -> float:
        """When the next page of a scan for late items may be requested, on the clock.

        Few groups scan at once, with the requests that the window has left: in a burst, late items sink in seconds.
        The scans of many groups leave half of the burst to other background requests, unless the polls have left
        something open (`pressing`).
        """
        if not self.is_crowded:
            return float("-inf")
        return self.background_due(Kind.LATE_SCAN) if pressing else self._due(self._burst / 2 + 1.0)

    def _due(self, tokens: float) -> float:
        due = self._filled_at + (tokens - self._tokens) / self._per_second
        if not self.is_crowded:
            return due
        # what the polls really sent counts, not only what was planned
        most = self._total * MINUTE_S * (_HURRIED_BACKGROUND if self.is_hurried else 1.0)
        room = float("inf") if self.opening else self._recent.due(self._clock(), most)
        latest = self._spent_at + _LONGEST_WITHOUT_S
        return max(due, min(room, latest))

    def spend(self, kind: Kind) -> None:
        """Count a background request."""
        if kind is Kind.LATE_SCAN and not self.is_crowded:
            return
        self._fill()
        self._tokens -= 1.0
        self._spent_at = self._clock()
        self._turns.remove(kind)
        self._turns.append(kind)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._per_second)
        self._filled_at = now


def _requests_per_second(quota: Quota, now: float) -> float:
    """Return the requests per second that all streams of this machine may plan with."""
    return _PLANNED * quota.own_limit() / WINDOW * min(1.0, max(_SLOWEST, quota.spare(now, _AHEAD_S)))
