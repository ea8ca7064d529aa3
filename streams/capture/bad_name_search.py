"""The search of a group for names that make its request fail: one probe a step, and what becomes of its findings.

Names that were answered are polled meanwhile by the group, and names that are proven bad are set aside at once: neither
waits for the end of the search (see streams.capture.bisection for its decisions).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import TransientError
from core.reddit.quota import Priority
from core.reddit.request_errors import (
    BadAnswer,
    NetworkBlocked,
    QuotaShort,
    RateLimited,
    RequestRejected,
    ServerTrouble,
    Unavailable,
    Unreachable,
)
from streams.capture.availability import Availability
from streams.capture.availability_checks import AvailabilityChecks, brief
from streams.capture.bisection import Bisection
from streams.capture.failing_pages import PageSize
from streams.capture.page_fetcher import PageFetcher
from streams.capture.poll import ListingPoll
from streams.reddit.listing_page import PAGE_SIZE, Page, Request

#: Failures in a row of the newest page before the names are searched for the one that fails.
_REJECTED = 2
_FAILED = 4
_NO_ANSWER = 6

#: A single name is set aside only when it fails with each of these page sizes in turn, unless Reddit refuses it.
_ALONE = (PAGE_SIZE, 5, 1)
#: The same where the answer is about the request itself: no passing error.
_ALONE_REJECTED = (PAGE_SIZE, 1)

#: The names that are polled during the search change at most this often, seconds: each change costs a deeper walk.
_MORE_EVERY_S = 5.0

#: Failures in a row of the polls during the search before the names that were answered are searched as well.
_DOUBTED_AT = 2

#: After this many probes a search takes only what the quota has to spare, once there is something else to request.
_PROBES_AT_ONCE = 40

#: From a failed attempt of a single name to the next one, seconds, unless other names are tried meanwhile.
_AGAIN_S = 0.3

#: So often a search that is short of quota gets a request nevertheless, seconds.
_SHARE_S = 6.0

#: So often a search requests all names that are not bad, seconds: what made them fail may be over.
_EVERYTHING_S = 12.0

#: Until a probe that the quota did not allow is tried again, seconds.
_QUOTA_SHORT_S = 2.5


def threshold(error: TransientError) -> int | None:
    """Return after how many failures in a row the names are searched; None: the error says nothing about them."""
    if isinstance(error, RequestRejected | NetworkBlocked):
        return _REJECTED
    if isinstance(error, ServerTrouble | BadAnswer):
        return _FAILED
    return _NO_ANSWER if isinstance(error, Unreachable) else None


@dataclass(slots=True)
class SearchTools:
    """What a search works with."""

    fetcher: PageFetcher
    availability_checks: AvailabilityChecks
    availability: Availability
    clock: Callable[[], float]
    #: returns a new poll of these names
    new_poll: Callable[[tuple[str, ...]], ListingPoll]
    #: takes a page into a poll, which captures it
    take: Callable[[ListingPoll, Page, Request], None]


class Search:
    """One search. Call `step()` when `due`, until it returns True; poll `pollable()` meanwhile."""

    def __init__(self, bisection: Bisection, size: PageSize, means: SearchTools) -> None:
        self.bisection = bisection
        self.due = means.clock()
        self._size = size
        self._means = means
        self._set_aside: set[str] = set()
        self._probes = 0
        self._share_at = 0.0
        self._everything_at = means.clock() + _EVERYTHING_S
        #: failed attempts of names that are tried alone
        self._attempts: Counter[str] = Counter()
        self._sizes: tuple[int, ...] = _ALONE
        self._poll_failures = 0
        self._doubted = False
        self._pollable: tuple[str, ...] = ()
        self._more_at = 0.0

    # -- polls of the names that were answered -----------------------------------------------------------------------

    def pollable(self) -> tuple[str, ...]:
        """Return the names to poll together now; empty: none. They change now and then only."""
        cleared, now = self.bisection.cleared, self._means.clock()
        if self._doubted and self._poll_failures >= _DOUBTED_AT:
            return ()  # only their combination fails: that is for the end of the search
        gone = not cleared.issuperset(self._pollable)
        if gone or (now >= self._more_at and len(cleared) > len(self._pollable)):
            self._pollable = tuple(name for name in self.bisection.names if name in cleared)
            self._more_at = now + _MORE_EVERY_S
        return self._means.availability.active(self._pollable)

    def poll_answered(self) -> None:
        """Report a poll that was answered: what has failed since the last answer is bad."""
        self._poll_failures = 0
        self.bisection.confirmed()

    def poll_failed(self) -> int:
        """Report a poll that failed; return how often in a row it did. When it goes on, its names are searched too."""
        self._poll_failures += 1
        if self._poll_failures >= _DOUBTED_AT and not self._doubted:
            self._doubted, self._poll_failures = True, 0
            self.bisection.doubt()
        return max(1, self._poll_failures)

    # -- probes ------------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Send one probe, set aside what it proves to be bad; return whether the search is over. Raises SpoolError."""
        if not self.bisection.done:
            self._probe()
        self._set_bad_ones_aside()
        return self.bisection.done

    def _probe(self) -> None:
        bisection, now = self.bisection, self._means.clock()
        self.due = now
        if now >= self._everything_at and bisection.cleared:
            self._everything_at = now + _EVERYTHING_S
            bisection.ask_for_everything()
        names = bisection.next()
        attempts = self._attempts[names[0]] if len(names) == 1 else 0
        # what lies in the name alone may lie in one item of it, or in the size of the page
        asked = Request(None, min(self._size.limit, self._sizes[min(attempts, len(self._sizes) - 1)]))
        poll = self._means.new_poll(names)
        self._probes += 1
        try:
            page = self._means.fetcher.attempt(names, None, self._priority(), asked.limit)
        except QuotaShort:
            self.due = now + _QUOTA_SHORT_S
            return
        except Unavailable as error:
            bisection.refused(error.reason, named=error.named)
        except TransientError as error:
            if not self._counts_as_refusal(names, error):
                return
            bisection.refused(brief(error))
        else:
            # it may be removed before anybody asks again; and often this page alone proves the names
            self._means.take(poll, page, asked)
            bisection.answered()
            if attempts:
                self._size.arrived(asked.limit, attempts)
                bisection.size_matters = True
        self._attempts.pop(names[0], None)

    def _priority(self) -> Priority:
        """Return the claim of the next probe: a long search leaves the polls the quota that they need."""
        now = self._means.clock()
        if self._probes > _PROBES_AT_ONCE and self.bisection.cleared and now < self._share_at:
            return Priority.SWEEP
        self._share_at = now + _SHARE_S
        return Priority.STREAM

    def _counts_as_refusal(self, names: tuple[str, ...], error: TransientError) -> bool:
        """Tell whether the failure counts; a single name gets further attempts, since a passing error blames nobody."""
        now = self._means.clock()
        if threshold(error) is None:  # it says nothing about the request
            self.due = now + (0.0 if isinstance(error, RateLimited) else 1.0)
            self._means.fetcher.report(error, 1, 1.0)
            return False
        if len(names) > 1:
            self.due = now if isinstance(error, RequestRejected) else now + _AGAIN_S
            return True
        self._attempts[names[0]] += 1
        self._sizes = _ALONE_REJECTED if isinstance(error, RequestRejected) else _ALONE
        if self._attempts[names[0]] >= len(self._sizes):
            return True
        if not self.bisection.later():
            self.due = now + _AGAIN_S * self._attempts[names[0]]
        return False

    def _set_bad_ones_aside(self) -> None:
        bisection = self.bisection
        for name in [name for name in bisection.blamed if name not in self._set_aside]:
            if self._means.availability.active((name,)):  # else another step has found out the same meanwhile
                self._means.availability_checks.set_aside(name, bisection.blamed[name], named=name in bisection.named)
            self._set_aside.add(name)
