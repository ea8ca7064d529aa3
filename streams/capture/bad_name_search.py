"""The search of a group for names that make its request fail: one probe per step, and the use of its findings.

The group polls the answered names meanwhile, and names that are proven bad are set aside at once: neither waits for the
end of the search (see streams.capture.bisection for its decisions).
"""

from collections import Counter
from collections.abc import Callable, Iterable
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
from streams.capture.name_survey import AT_ONCE, FROM_NAMES, NameSurvey
from streams.capture.page_fetcher import PageFetcher
from streams.capture.poll import ListingPoll
from streams.capture.shared_findings import SharedFindings
from streams.reddit.listing_page import PAGE_SIZE, Page, Request

#: Consecutive failures of the newest page before the names are searched for the failing one.
_REJECTED = 2
_FAILED = 4
_NO_ANSWER = 6

#: A single name is set aside only if it fails with each of these page sizes in turn, unless Reddit refuses it.
_ALONE = (PAGE_SIZE, 5, 1)
#: The same if the answer concerns the request itself: no transient error.
_ALONE_REJECTED = (PAGE_SIZE, 1)

#: Minimum seconds between changes of the names polled during the search: each change costs a deeper walk.
_MORE_EVERY_S = 5.0

#: Consecutive failures of the polls during the search before the answered names are also searched.
_RETEST_AT = 2

#: After this number of probes, a search uses only spare quota, once there is something else to request.
_PROBES_AT_ONCE = 40

#: Seconds from a failed attempt of a single name to the next one, unless other names are tried meanwhile.
_RETRY_S = 0.3

#: Seconds between requests that a search gets even without spare quota.
_SHARE_S = 6.0

#: Seconds between requests for all names that are not bad: the cause of the failure may be over.
_REQUEST_ALL_EVERY_S = 12.0

#: Seconds until a probe that the quota did not allow is retried.
_QUOTA_SHORT_S = 2.5


def threshold(error: TransientError) -> int | None:
    """Return the consecutive failures before the names are searched; None: the error does not concern them."""
    if isinstance(error, RequestRejected | NetworkBlocked):
        return _REJECTED
    if isinstance(error, ServerTrouble | BadAnswer):
        return _FAILED
    return _NO_ANSWER if isinstance(error, Unreachable) else None


@dataclass(slots=True)
class SearchTools:
    """The dependencies of a search."""

    fetcher: PageFetcher
    availability_checks: AvailabilityChecks
    availability: Availability
    clock: Callable[[], float]
    #: returns a new poll of these names
    new_poll: Callable[[tuple[str, ...]], ListingPoll]
    #: adds a page to a poll, which captures it
    take: Callable[[ListingPoll, Page, Request], None]
    #: the same for the newest page of all names that are probably good, requested at this time on the clock
    take_newest: Callable[[ListingPoll, Page, Request, float], None]
    findings: SharedFindings
    #: names of groups that were never read: later surveys need them
    unread: Callable[[], Iterable[str]]


class Search:
    """One search. The caller calls `step()` when `due`, until it returns True, and polls `pollable()` meanwhile.

    `refused`: whether a request for all names was refused; otherwise the search begins before the first one.
    """

    def __init__(self, bisection: Bisection, size: PageSize, tools: SearchTools, *, refused: bool = True) -> None:
        self.bisection = bisection
        self.due = tools.clock()
        self._size = size
        self._tools = tools
        self._set_aside: set[str] = set()
        self._probes = 0
        self._share_at = 0.0
        self._request_all_at = tools.clock() + _REQUEST_ALL_EVERY_S
        #: failed attempts of names that are tried alone
        self._attempts: Counter[str] = Counter()
        self._sizes: tuple[int, ...] = _ALONE
        self._poll_failures = 0
        self._retested = False
        self._pollable: tuple[str, ...] = ()
        self._more_at = 0.0
        self._refused = refused
        #: the names that the survey found readable
        self._good: tuple[str, ...] = ()
        self._survey = NameSurvey(bisection.names) if len(bisection.names) >= FROM_NAMES else None

    @property
    def paced(self) -> bool:
        """Whether nothing but single suspects is left: the good names flow, so the requests are background requests."""
        return self._survey is None and self.bisection.only_singles

    # -- polls of the names that were answered -----------------------------------------------------------------------

    def pollable(self) -> tuple[str, ...]:
        """Return the names to poll together now; empty: none. They change rarely."""
        cleared, now = self.bisection.cleared, self._tools.clock()
        if self._retested and self._poll_failures >= _RETEST_AT:
            return ()  # only their combination fails: the end of the search handles that
        gone = not cleared.issuperset(self._pollable)
        if gone or (now >= self._more_at and len(cleared) > len(self._pollable)):
            self._pollable = tuple(name for name in self.bisection.names if name in cleared)
            self._more_at = now + _MORE_EVERY_S
        return self._tools.availability.active(self._pollable)

    def poll_answered(self) -> None:
        """Report an answered poll: names that failed since the last answer are bad."""
        self._poll_failures = 0
        self.bisection.confirmed()

    def poll_failed(self) -> int:
        """Report a failed poll; return the consecutive failures. If they continue, its names are also searched."""
        self._poll_failures += 1
        if self._poll_failures >= _RETEST_AT and not self._retested:
            self._retested, self._poll_failures = True, 0
            self.bisection.retest_cleared()
        return max(1, self._poll_failures)

    # -- probes ------------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Send one probe, set aside the names it proves bad; return whether the search is over. Raises SpoolError."""
        if self._survey is not None:
            self._survey_step(self._survey)
        elif not self.bisection.done:
            self._probe()
        self._set_bad_ones_aside()
        return self.bisection.done

    def _survey_step(self, survey: NameSurvey) -> None:
        """Request the description of some names. If it fails for any reason, the search does without."""
        self.due = self._tools.clock()
        findings = self._tools.findings
        survey.learn(findings.described(survey.waiting()))
        if not self._refused:
            survey.learn(findings.answered(survey.waiting()))
        if not survey.done:
            names = survey.next(self._unread(survey.waiting()))
            try:
                readable = survey.take(self._tools.fetcher.describe(names, Priority.STREAM))
            except (Unavailable, TransientError):
                self._survey = None
                if not self._refused:
                    self.bisection.request_all()
                return
            if readable:  # otherwise the server may not know this request
                findings.describe(names, readable)
        if survey.done:
            self._survey = None
            self._use_survey(survey.suspects())

    def _unread(self, own: tuple[str, ...]) -> Iterable[str]:
        """Yield the names of unread groups that no survey has described yet."""
        if len(own) >= AT_ONCE:
            return
        mine = set(own)
        others = [name for name in self._tools.unread() if name not in mine]
        known = self._tools.findings.described(others)
        yield from (name for name in others if name not in known)

    def _use_survey(self, suspects: tuple[str, ...]) -> None:
        """Request the readable names together, then the others alone."""
        bad = set(suspects)
        good = tuple(name for name in self.bisection.names if name not in bad)
        if suspects:
            self.bisection.separate(suspects)
            self._good = good
        elif not self._refused:
            self.bisection.request_all()
            self._good = good

    def _probe(self) -> None:
        bisection, now = self.bisection, self._tools.clock()
        self.due = now
        # where only suspects are left, each of them is requested anyway
        if now >= self._request_all_at and bisection.cleared and not self.paced:
            self._request_all_at = now + _REQUEST_ALL_EVERY_S
            bisection.request_all()
        names = bisection.next()
        attempts = self._attempts[names[0]] if len(names) == 1 else 0
        # the cause within this name may be one item, or the size of the page
        asked = Request(None, min(self._size.limit, self._sizes[min(attempts, len(self._sizes) - 1)]))
        if len(names) == 1 and (reason := self._tools.findings.refusal(names[0])) is not None:
            bisection.refused(reason, named=True)
            return
        poll = self._tools.new_poll(names)
        self._probes += 1
        try:
            page = self._tools.fetcher.attempt(names, None, self._priority(), asked.limit)
        except QuotaShort:
            self.due = now + _QUOTA_SHORT_S
            return
        except Unavailable as error:
            bisection.refused(error.reason, named=error.named)
            if len(names) == 1 and error.named:
                self._tools.findings.refuse(names[0], error.reason)
        except TransientError as error:
            if not self._counts_as_refusal(names, error):
                return
            bisection.refused(brief(error))
        else:
            # an item may be removed before the next request; and often this page alone proves the names
            self._take(poll, page, asked, now)
            bisection.answered()
            if attempts:
                self._size.arrived(asked.limit, attempts)
                bisection.size_matters = True
        self._attempts.pop(names[0], None)

    def _take(self, poll: ListingPoll, page: Page, asked: Request, began: float) -> None:
        if poll.subreddits == self._good:
            self._tools.take_newest(poll, page, asked, began)
        else:
            self._tools.take(poll, page, asked)

    def _priority(self) -> Priority:
        """Return the priority of the next probe: a long search leaves the polls their quota."""
        now = self._tools.clock()
        if self._probes > _PROBES_AT_ONCE and self.bisection.cleared and now < self._share_at:
            return Priority.LATE_SCAN
        self._share_at = now + _SHARE_S
        return Priority.STREAM

    def _counts_as_refusal(self, names: tuple[str, ...], error: TransientError) -> bool:
        """Return whether the failure counts; a single name gets further attempts: a transient error proves nothing."""
        now = self._tools.clock()
        if threshold(error) is None:  # it does not concern the request
            self.due = now + (0.0 if isinstance(error, RateLimited) else 1.0)
            self._tools.fetcher.report(error, 1, 1.0)
            return False
        if len(names) > 1:
            self.due = now if isinstance(error, RequestRejected) else now + _RETRY_S
            return True
        self._attempts[names[0]] += 1
        self._sizes = _ALONE_REJECTED if isinstance(error, RequestRejected) else _ALONE
        if self._attempts[names[0]] >= len(self._sizes):
            return True
        if not self.bisection.postpone():
            self.due = now + _RETRY_S * self._attempts[names[0]]
        return False

    def _set_bad_ones_aside(self) -> None:
        bisection = self.bisection
        for name in [name for name in bisection.blamed if name not in self._set_aside]:
            if self._tools.availability.active((name,)):  # otherwise another step has found the same meanwhile
                self._tools.availability_checks.set_aside(name, bisection.blamed[name], named=name in bisection.named)
            self._set_aside.add(name)
