"""Plans the poll interval of each group, so that all groups together stay within the quota. Pure.

With spare quota, busy groups are polled soon: for a given number of requests, the mean delay of all items is smallest
when the interval is proportional to 1 / sqrt(rate). If the quota cannot poll each group at the configured longest
interval, all quiet groups wait longer, but never longer than their listing reaches.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.reddit.limiter import Wishes
from streams.capture.late_loss import TOLERANCE_S
from streams.reddit.listing_page import PAGE_SIZE

#: Items that a listing holds.
LISTED = 1000

#: A poll is worth its request when this number of items waits; polls of a busy group are at least this close, seconds.
_WORTH_A_REQUEST = 2.0
FRESH_S = 2.5

#: Requests per second that a stream spends on freshness: more would be half empty, and the scraper needs some.
_FRESH_REQUESTS = 0.6

#: Share of a page that should be new at each poll: room for a doubling before the next one.
_TARGET = PAGE_SIZE / 2

#: Share of a page that may be new so that nearly all polls read one page only.
_ONE_PAGE = 0.85

#: Polls are never closer than this, seconds; a page of a burst takes longer to arrive.
_SHORTEST_S = 0.25

#: The walks of more groups than this read on for late items; the scans of fewer groups find them.
FEW_GROUPS = 3
#: How far they read back from the poll before: Reddit's dates are whole seconds, and its clock may differ a little.
_LATE_S = TOLERANCE_S + 3.0

#: A group is polled before this share of its listing has moved on: room for a burst of three times the rate.
_REACH = 1 / 3

#: The longest interval of a group without items, seconds.
_LONGEST_S = 300.0

#: The quota is short when a group waits longer than this multiple of the configured longest interval.
_SLOW = 2.0

#: After a burst, no group waits longer than this multiple for the limit of each minute.
_HURRIED = 1.95

#: While the quota is scarce: no group should wait longer than this multiple of the configured longest interval for the
#: sake of background requests.
COMFORT = 1.6

#: Just below the edge of a page, whatever rounding does: at the edge itself, a poll may count as two pages.
_BELOW = 1.0 - 1e-9

_STEPS, _LARGEST = 18, 100.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the groups of a stream wait between two polls.

    `factor` determines the intervals while quota is spare, `stretch` while it is scarce (0: it is not). Each poll reads
    `late` seconds further back.
    `needed` and `allowed` are requests per minute: to poll each group before it waits too long, and what the quota
    gives. `slowed` are the keys of the groups that wait longer than configured. `short`: the quota cannot carry the
    load.
    """

    longest: float
    factor: float = 0.0
    stretch: float = 0.0
    late: float = 0.0
    needed: float = 0.0
    allowed: float = math.inf
    slowed: tuple[int, ...] = ()

    @property
    def short(self) -> bool:
        """Whether the quota cannot carry the load."""
        return self.needed > self.allowed

    def interval(self, rate: float) -> float:
        """Return the seconds between two polls of a group with this rate, items per second."""
        if self.stretch:
            return _stretched(rate, self.longest, self.stretch, self.late)
        return _fresh(rate, self.longest, self.factor)


def requests_per_second(rate: float, interval: float, late: float = 0.0) -> float:
    """Return what polls of a group at this interval cost on average; `late`: seconds that each reads further back."""
    read = rate * (interval + late) / PAGE_SIZE
    # half a page of overlap on average, where more than one page is read
    return (1.0 if read <= _ONE_PAGE else 0.5 + read) / interval


def seconds_back(groups: int) -> float:
    """Return how far each poll of this number of groups reads back for late items, seconds."""
    return _LATE_S if groups > FEW_GROUPS else 0.0


def wishes(rates: Sequence[float], longest: float) -> Wishes:
    """Return what groups with these rates (items per second) need at least, and what they would use at most.

    They need what lets no group wait longer than `COMFORT` times the configured longest interval.
    """
    late = seconds_back(len(rates))
    needed = cost(rates, lambda rate: _stretched(rate, longest, COMFORT, late))
    return Wishes(needed, wished=max(needed, _wished(rates, longest)))


def _wished(rates: Sequence[float], longest: float) -> float:
    usual = cost(rates, lambda rate: _limits(rate, longest)[1])
    fresh = cost(rates, lambda rate: _limits(rate, longest)[0])
    return max(usual, min(fresh, _FRESH_REQUESTS))


def share(own: Wishes, others: Sequence[Wishes], total: float) -> float:
    """Return the requests per second of `total` that a stream may use beside others with these wishes."""
    needed = own.needed + sum(other.needed for other in others)
    wished = own.wished + sum(other.wished for other in others)
    if wished <= total:
        return total - (wished - own.wished)
    if needed >= total:
        return total * own.needed / needed if needed > 0 else total
    return own.needed + (total - needed) * (own.wished - own.needed) / (wished - needed)


def strict_share(own: Wishes, others: Sequence[Wishes], total: float) -> float:
    """Return the requests per second of `total` that are a stream's alone: those of all streams make up `total`."""
    wished = own.wished + sum(other.wished for other in others)
    if wished > total:
        return share(own, others, total)
    return own.wished + (total - wished) / (1 + len(others))


def slow_interval(rate: float, longest: float, late: float) -> float:
    """Return the longest interval of a group to which the limit of each minute may lead, seconds."""
    return _stretched(rate, longest, _HURRIED, late)


def plan(loads: Mapping[int, float], *, allowed: float, longest: float, late: float | None = None) -> Plan:
    """Return the intervals that fit into the quota.

    Args:
        loads: the rate of each group of a stream by its key, items per second.
        allowed: requests per second that these may use.
        longest: the configured longest interval, seconds.
        late: how far each poll reads back, seconds; default: as usual for this number of groups.
    """
    rates = tuple(loads.values())
    late = seconds_back(len(rates)) if late is None else late
    factor, stretch = 0.0, 0.0
    if cost(rates, lambda rate: _limits(rate, longest)[1]) <= allowed:
        limit = min(allowed, _wished(rates, longest))
        factor = _least(lambda value: cost(rates, lambda rate: _fresh(rate, longest, value)) <= limit, 0.01)
    else:
        stretch = _least(
            lambda value: cost(rates, lambda rate: _stretched(rate, longest, value, late), late) <= allowed, 1.0
        )
    made = Plan(longest, factor, stretch, late, allowed=allowed * 60.0)
    needed = 60.0 * cost(rates, lambda rate: _stretched(rate, longest, _SLOW, late), late)
    slowed = tuple(key for key, rate in loads.items() if made.interval(rate) > longest)
    return replace(made, needed=needed, slowed=slowed)


def reach(rate: float) -> float:
    """Return the longest time between two polls that loses nothing, with a reserve, seconds."""
    return min(_LONGEST_S, LISTED * _REACH / rate) if rate > 0 else _LONGEST_S


def _limits(rate: float, longest: float) -> tuple[float, float]:
    """Return the shortest and the longest useful interval of a group while quota is spare, seconds."""
    if rate <= 0:
        return longest, longest
    half_a_page = max(_SHORTEST_S, _TARGET / rate)
    upper = min(longest, half_a_page)
    return min(upper, max(FRESH_S, _WORTH_A_REQUEST / rate)), upper


def _fresh(rate: float, longest: float, factor: float) -> float:
    lower, upper = _limits(rate, longest)
    return min(upper, max(lower, factor / math.sqrt(rate))) if rate > 0 else upper


def _stretched(rate: float, longest: float, stretch: float, late: float) -> float:
    """Return the interval while the quota is scarce: this multiple of the longest useful one, or a cheaper one."""
    interval = max(_SHORTEST_S, min(reach(rate), stretch * _limits(rate, longest)[1]))
    if rate * (interval + late) <= _ONE_PAGE * PAGE_SIZE:
        return interval
    # each poll reads more than one page: it costs less to poll a little sooner if that saves the second page
    sooner = _BELOW * _ONE_PAGE * PAGE_SIZE / rate - late
    saves = sooner > _SHORTEST_S and 1.0 / sooner <= requests_per_second(rate, interval, late)
    return sooner if saves else interval


def cost(rates: Sequence[float], interval: Callable[[float], float], late: float | None = None) -> float:
    """Return the requests per second of polls of groups with these rates, at these intervals."""
    late = seconds_back(len(rates)) if late is None else late
    return sum(requests_per_second(rate, interval(rate), late) for rate in rates)


def _least(fits: Callable[[float], bool], low: float) -> float:
    """Return the smallest value from `low` on that fits; the largest one if none does."""
    if fits(low):
        return low
    high = _LARGEST
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
