"""One group of subreddits that share their requests: its polls, late scans, and what to do when its requests fail."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.backoff import Backoff
from core.child import ChildContext
from core.errors import TransientError
from core.reddit.quota import Priority
from core.reddit.request_errors import (
    BadAnswer,
    NetworkBlocked,
    RateLimited,
    RequestRejected,
    ServerTrouble,
    Unavailable,
)
from streams.capture.availability import Availability
from streams.capture.availability_checks import AvailabilityChecks
from streams.capture.bad_name_search import Search, SearchTools, threshold
from streams.capture.bisection import CONTROLS, Bisection
from streams.capture.coverage import Absorbed, Coverage
from streams.capture.failing_pages import PageSize, needs_smaller_page
from streams.capture.group_packing import lower_names
from streams.capture.head_walk import HeadWalk
from streams.capture.late_items import LateItems
from streams.capture.late_loss import LateScanLog
from streams.capture.name_survey import FROM_NAMES
from streams.capture.pacing import Pacing
from streams.capture.page_fetcher import PageFetcher
from streams.capture.poll import ListingPoll
from streams.capture.rates import NameRates, PollRate, page_rate
from streams.capture.scheduler import Kind, Task
from streams.capture.shared_findings import SharedFindings
from streams.capture.walk import WalkOutcome
from streams.reddit.listing_page import PAGE_SIZE, Page, Request

_SHORT = Backoff(first=0.3, longest=15.0)
_BLOCKED = Backoff(first=2.0, longest=60.0)

#: Seconds from a search that found every name refused to the next one; each further one tries more names alone.
_NEXT_SEARCH = Backoff(first=30.0, longest=900.0, jitter=0.0)

#: A smaller page is tried after these numbers of failures: an outage does not depend on the size.
_SHRINK_AT = (2, 3)

#: Minimum seconds between requests for the newest page while a walk is further down.
_REFRESH_S = 5.0


@dataclass(slots=True)
class GroupTools:
    """The objects that the groups of a stream share."""

    coverage: Coverage
    fetcher: PageFetcher
    context: ChildContext
    availability: Availability
    availability_checks: AvailabilityChecks
    clock: Callable[[], float]
    pacing: Pacing
    rates: NameRates
    draw: Callable[[], float]
    start: str
    late_scan_log: LateScanLog
    findings: SharedFindings
    #: whether a burst of late items may have been missed before the start
    was_away: bool = True
    #: the names of the groups that were never read
    unread: Callable[[], Iterable[str]] = tuple


class Group:
    """The work of one group. `tasks()` names the next steps; each `…_step` sends one request at most."""

    def __init__(
        self,
        key: int,
        names: tuple[str, ...],
        tools: GroupTools,
        late_items: LateItems,
        *,
        collective: bool,
        home: int,
    ) -> None:
        self.key = key
        self.names = names
        #: the number of the configured group of these names
        self.home = home
        self.pace = PollRate()
        #: set when only the whole group's request fails: then it is split into two groups
        self.must_split = False
        #: whether this is a first start, and no newest page was answered yet
        self.unread = False
        self._tools = tools
        self._log = tools.context.log
        self._collective = collective
        self._late_items = late_items
        self._size = PageSize()
        self._poll: ListingPoll | None = None
        #: the walk above the present one, which is a first walk
        self._head: HeadWalk | None = None
        self._search: Search | None = None
        self._failures = 0
        self._failing_since: float | None = None
        self._fruitless = 0
        self._all_refused = 0
        self._search_after = 0.0
        #: when the newest page is requested next, on the clock
        self.next_poll = tools.clock()
        self._walk_due = 0.0
        self._last_poll: float | None = None
        #: whether the last request for a newest page was answered
        self._answered = False
        #: seconds that the last answer to such a request took
        self._answered_within = 0.0

    @property
    def calm(self) -> bool:
        """Whether its requests are answered, and no walk is in progress."""
        return self._search is None and self._poll is None and self._failures == 0

    def probe(self, others: tuple[str, ...]) -> None:
        """Request the newest page of this group's names and others together; capture it. Raises the request's error."""
        names = self._tools.availability.active((*self.names, *others))
        poll, asked = self._new_poll(names), Request(None, self._size.limit)
        self._take_probe(poll, self._fetch(names, asked, Priority.LATE_SCAN), asked)

    def tasks(self) -> list[Task]:
        """Return the pending steps, each with its due time."""
        if not self._tools.availability.active(self.names):
            return []
        tasks = []
        if self._search is not None:
            due = self._search.due
            if self._is_paced:
                due = max(due, self._tools.pacing.background_due(Kind.SEARCH))
            elif self.unread:
                due = max(due, self._tools.pacing.opening_due())
            tasks.append(Task(Kind.SEARCH, due, self.key))
        if self._polled_names():
            tasks.append(Task(Kind.POLL, self._poll_due(), self.key))
        if self._poll is not None:
            backlog = self._poll.reads_backlog and self._head is None
            due = max(self._walk_due, self._tools.pacing.background_due(Kind.WALK)) if backlog else self._walk_due
            # a walk down a busy listing must end before the listing has moved on
            tasks.append(Task(Kind.WALK, due, self.key, weight=self.pace.rate))
        late = self._late_items
        if (self._search is None or self._is_paced) and late.due < float("inf"):
            begins = self._tools.pacing.late_scan_due(pressing=late.pressing)
            due = late.due if late.in_progress else max(late.due, begins)
            tasks.append(Task(Kind.LATE_SCAN, due, self.key, weight=self.pace.rate))
        return tasks

    def _poll_due(self) -> float:
        if self.unread:
            return max(self.next_poll, self._tools.pacing.opening_due())
        return self._tools.pacing.poll_due(self.next_poll, self._last_poll, self.pace.rate)

    @property
    def _is_paced(self) -> bool:
        """Whether the search requests nothing that new items wait for."""
        return self._search is not None and self._search.paced and self._tools.pacing.is_crowded

    def _polled_names(self) -> tuple[str, ...]:
        """Return the names that are requested together now: during a search, the answered ones."""
        if self._search is not None:
            return self._search.pollable()
        return self._tools.availability.active(self.names)

    def _drop_stale_walk(self, names: tuple[str, ...]) -> None:
        """Abandon the current walk if not all of its names can be requested: it has proven nothing yet."""
        poll = self._poll
        if poll is not None and poll.subreddits is not names and not set(poll.subreddits) <= set(names):
            self._poll = None
        if self._head is not None and (self._poll is None or self._head.subreddits != names):
            self._head = None

    # -- the newest page ---------------------------------------------------------------------------------------------

    def poll_step(self) -> ListingPoll | None:
        """Fetch the newest page; return a poll that is complete."""
        names = self._polled_names()
        self._drop_stale_walk(names)
        if not names:
            return None
        if self._should_survey(names):
            self._begin_search(names, "not requested yet", refused=False)
            return None
        began = self._tools.clock()
        if self.unread:
            self._tools.pacing.opened()
        poll = self._poll or self._new_poll(names)
        asked = Request(None, self._size.limit)
        moment = self._tools.coverage.now()
        try:
            page = self._fetch(names, asked)
        except Unavailable as error:
            self._refused(names, error)
            return None
        except TransientError as error:
            self._failed(names, error)
            return None
        self._recovered()
        if self._poll is not None:
            self._take_above(self._poll, names, page, moment, began)
            return None
        return self._advance(poll, page, asked, moment, began)

    def _should_survey(self, names: tuple[str, ...]) -> bool:
        """Return whether the first request for many names would probably be refused because of some of them."""
        if not self.unread or self._search is not None or len(names) < FROM_NAMES:
            return False
        return self._tools.pacing.is_crowded and self._tools.findings.has_suspects()

    def _take_above(self, poll: ListingPoll, names: tuple[str, ...], page: Page, moment: float, began: float) -> None:
        """Process a newest page while the walk is further down."""
        self._head = None
        if poll.reads_backlog and self._tools.pacing.is_crowded:
            poll.top = page
            head = HeadWalk(poll, names, self._reach(names), moment)
            absorbed = self._advance_head(head, page)
        else:
            absorbed = poll.refresh(page, moment)
            self._announce(absorbed)
        self._polled(poll, began, absorbed.new)
        self.next_poll = began + self._refresh_interval()

    def _advance_head(self, head: HeadWalk, page: Page) -> Absorbed:
        """Process a page of the walk above a first walk."""
        absorbed = head.take(page)
        self._announce(absorbed)
        self._head = None if head.done else head
        if head.foot is not None:
            self._late_items.shown(head.subreddits, head.began, head.foot)
        return absorbed

    def _head_step(self, head: HeadWalk) -> None:
        """Fetch the next page of the walk above a first walk; after a failure, the next poll begins another one."""
        self._head = None
        asked = head.next(self._size.limit)
        try:
            page = self._fetch(head.subreddits, asked)
        except Unavailable as error:
            self._refused(head.subreddits, error, at_once=True)
        except TransientError as error:
            self._tools.fetcher.report(error, 1, 0.0)
        else:
            self._advance_head(head, page)

    def _new_poll(self, active: tuple[str, ...]) -> ListingPoll:
        coverage = self._tools.coverage
        ceiling = None
        if self._collective:  # its items have no configured subreddit: proofs of others show nothing about it
            ceiling = coverage.proven_until.get(self.names[0].lower(), float("inf"))
        return ListingPoll(
            active,
            coverage,
            self._log,
            start=self._tools.start,
            ceiling=ceiling,
            reach=self._reach(active),
            crowded=self._tools.pacing.is_crowded,
        )

    def _reach(self, names: tuple[str, ...]) -> float:
        """Return the created_utc down to which a walk reads on for late items; infinity: a scan finds them."""
        pacing = self._tools.pacing
        if not pacing.is_crowded or pacing.is_hurried:
            return float("inf")
        return self._late_items.reach(names, self.pace.rate)

    def walk_step(self) -> ListingPoll | None:
        """Fetch the next lower page of the current walk; return the poll if that completes it."""
        self._drop_stale_walk(self._polled_names())
        poll = self._poll
        if poll is None:
            return None
        if self._head is not None:
            self._head_step(self._head)
            return None
        asked = poll.next(self._size.limit)
        moment = self._tools.coverage.now()
        if poll.reads_backlog:
            self._tools.pacing.spend(Kind.WALK)
        try:
            page = self._fetch(poll.subreddits, asked)
        except Unavailable as error:
            self._poll = None
            self._refused(poll.subreddits, error, at_once=True)
            return None
        except TransientError as error:
            self._walk_failed(poll, error)
            return None
        self._size.answered()
        self._poll = None  # if the spool refuses the page, the walk has proven nothing: the next poll restarts
        return self._advance(poll, page, asked, moment, None)

    def _advance(
        self, poll: ListingPoll, page: Page, asked: Request, moment: float, began: float | None
    ) -> ListingPoll | None:
        """Process a page of the walk; `began`: when its newest page was requested, on the clock."""
        absorbed = poll.take(page, asked, moment)
        self._announce(absorbed)
        now = self._tools.clock()
        if began is not None:
            self._polled(poll, began, absorbed.new)
            self.next_poll = began + self._refresh_interval()
        self._walk_due = now
        if not poll.done:
            self._poll = poll
            return None
        self._poll = None
        self._late_items.walked(poll)
        if poll.walk.outcome is WalkOutcome.UNREADABLE:
            self._log.warning("listing_unreadable", subreddits=len(poll.subreddits), pages=poll.walk.pages)
            self.next_poll = max(self.next_poll, now + self._interval())
            return None
        if poll.walk.outcome is WalkOutcome.STALE:
            self.next_poll = now
            return poll
        if began is None:
            self.next_poll = min(self.next_poll, now + self._interval())
        else:
            self.next_poll = began + self._interval()
        return poll

    def _refresh_interval(self) -> float:
        """Return the seconds from a newest page to the next one while a walk is further down.

        If answers are slow, the walk gets two of three requests.
        """
        return max(_REFRESH_S, self._interval(), 3.0 * self._answered_within)

    def replanned(self) -> None:
        """Poll sooner if the plan now allows a shorter interval than at the last poll."""
        if self._answered and self._last_poll is not None:
            interval = self._interval() if self.calm else self._refresh_interval()
            self.next_poll = min(self.next_poll, self._last_poll + interval)

    def _interval(self) -> float:
        """Return the seconds to the next poll."""
        return self._tools.pacing.interval(self.pace.rate)

    def _polled(self, poll: ListingPoll, began: float, new: int) -> None:
        """Update rate and late scan from a newest page."""
        if self._last_poll is not None and began > self._last_poll:
            self.pace = self.pace.observe(new, began - self._last_poll)
        if poll.top is not None and (self._last_poll is None or new >= PAGE_SIZE):  # there may be more new ones below
            self.pace = self.pace.at_least(page_rate(poll.top, self._tools.coverage.reddit_now()))
        if self.unread and self._tools.pacing.is_crowded:  # what is answered needs no survey
            self._tools.findings.answer(lower_names(poll.subreddits))
        self._last_poll, self._answered, self.unread = began, True, False
        self._answered_within = self._tools.clock() - began
        if poll.top is not None:
            self._late_items.polled(poll.subreddits, poll.top, poll.began, self.pace.rate)

    # -- failures ----------------------------------------------------------------------------------------------------

    def _fetch(self, names: tuple[str, ...], asked: Request, priority: Priority = Priority.STREAM) -> Page:
        return self._tools.fetcher.attempt(names, asked.after, priority, asked.limit)

    def _recovered(self) -> None:
        self._size.answered()
        if self._search is not None:
            self._search.poll_answered()
            return
        self._failures = 0
        self._failing_since = None
        self._fruitless = 0
        self._search_after = 0.0
        if self._all_refused:
            self._all_refused = 0
            self._log.info("reddit_serves_again", subreddits=len(self.names))

    def _refused(self, names: tuple[str, ...], error: Unavailable, *, at_once: bool = False) -> None:
        """Search for the name that Reddit refuses; not at once if a search has just found that it refuses all."""
        now = self._tools.clock()
        self._answered = False
        if self._search is not None:
            self._poll = None
            self.next_poll = now + _SHORT.pause(2 + self._search.poll_failed(), self._tools.draw)
        elif at_once or error.named or now >= self._search_after:
            self._begin_search(names, error.reason)
        else:
            self._failures += 1
            self.next_poll = now + _SHORT.pause(4 + self._failures, self._tools.draw)

    def _failed(self, names: tuple[str, ...], error: TransientError) -> None:
        """React to a failure of the newest page: wait, request less, or search for the name that fails."""
        now = self._tools.clock()
        self._answered = False
        if isinstance(error, RateLimited):
            self._tools.fetcher.report(error, 1, 0.0)
            self.next_poll = now
            return
        if self._search is not None:
            self._failed_beside_search(error)
            return
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        pause = self._pause(error, self._failures)
        self._tools.fetcher.report(error, self._failures, pause)
        self.next_poll = now + pause
        too_long = isinstance(error, RequestRejected) and error.too_long and len(names) > 1
        if too_long and now >= self._search_after:
            self._begin_search(names, str(error))
            return
        if needs_smaller_page(error) or (isinstance(error, ServerTrouble | BadAnswer) and self._failures in _SHRINK_AT):
            self._size.shrink()  # the page may be too large, or contain something that cannot be served
        limit = threshold(error)
        if limit is not None and self._failures >= limit and now >= self._search_after:
            self._begin_search(names, str(error))

    def _failed_beside_search(self, error: TransientError) -> None:
        """React to a failed poll of the names that were answered."""
        failures = 1
        if self._search is not None and threshold(error) is not None:
            failures = self._search.poll_failed()
        if needs_smaller_page(error):
            self._size.shrink()
        pause = self._pause(error, 2 + failures)
        self._tools.fetcher.report(error, failures, pause)
        self.next_poll = self._tools.clock() + pause

    def _pause(self, error: TransientError, failures: int) -> float:
        backoff = _BLOCKED if isinstance(error, NetworkBlocked) else _SHORT
        return backoff.pause(failures, self._tools.draw)

    def _walk_failed(self, poll: ListingPoll, error: TransientError) -> None:
        now = self._tools.clock()
        if isinstance(error, RateLimited):
            self._tools.fetcher.report(error, 1, 0.0)
            return
        poll.failing_page.failed(now, error)
        if needs_smaller_page(error):
            poll.size.shrink()
        # if everything else is answered, waiting does not help this page
        alone = poll.failing_page.is_alone(self._tools.fetcher.answered_at)
        pause = self._pause(error, min(2 if alone else 4, poll.failing_page.attempts))
        self._tools.fetcher.report(error, poll.failing_page.attempts, pause)
        self._walk_due = now + pause
        if poll.failing_page.should_skip(now, self._tools.fetcher.answered_at):
            self._poll = None
            poll.skip_page()
            self.next_poll = now

    # -- the search for names that fail ------------------------------------------------------------------------------

    def _begin_search(self, names: tuple[str, ...], reason: str, *, refused: bool = True) -> None:
        """Begin the search for the names that make the request fail; not `refused`: that probably will."""
        tools = self._tools
        answered = tools.fetcher.answered_at
        elsewhere = self._failing_since is not None and answered is not None and answered > self._failing_since
        self._failing_since = tools.clock() if self._failing_since is None else self._failing_since
        self._late_items.restart()
        self._poll = None
        controls = CONTROLS << min(10, self._all_refused)
        latest = tools.coverage.proven_at
        weights = {name: latest.get(name.lower(), 0.0) for name in names}  # what was busy recently is busy now
        bisection = Bisection(names, others_answer=elsewhere, controls=controls, weights=weights, reason=reason)
        means = SearchTools(
            tools.fetcher,
            tools.availability_checks,
            tools.availability,
            tools.clock,
            self._new_poll,
            self._take_probe,
            self._take_newest,
            tools.findings,
            tools.unread,
        )
        self._search = Search(bisection, self._size, means, refused=refused)
        self.next_poll = tools.clock()

    def _take_probe(self, poll: ListingPoll, page: Page, asked: Request) -> None:
        self._announce(poll.take(page, asked, poll.began))

    def _take_newest(self, poll: ListingPoll, page: Page, asked: Request, began: float) -> None:
        """Process the newest page of all names that are probably good: it begins their walk."""
        if self._poll is not None:
            self._take_probe(poll, page, asked)
            return
        self._advance(poll, page, asked, poll.began, began)

    def search_step(self) -> None:
        """Do one step of the search for names that fail."""
        search = self._search
        if self._is_paced:
            self._tools.pacing.spend(Kind.SEARCH)
        elif self.unread:
            self._tools.pacing.opened()
        if search is not None and search.step():
            self._search = None
            self._conclude(search.bisection)

    def _conclude(self, bisection: Bisection) -> None:
        now = self._tools.clock()
        if bisection.blamed or bisection.recovered:
            self._failures = 0
            if not self._answered or not bisection.cleared.issuperset(self._tools.availability.active(self.names)):
                self.next_poll = now  # otherwise the same names were polled all the time
            return
        self.next_poll = now
        if bisection.ours:
            self.next_poll = now + _SHORT.pause(4, self._tools.draw)
            self._all_refused += 1
            self._search_after = now + _NEXT_SEARCH.pause(self._all_refused, self._tools.draw)
            if self._all_refused == 1:
                self._log.error(
                    "reddit_refuses_everything",
                    reason=bisection.reason,
                    subreddits=len(bisection.names),
                    retry_in_seconds=round(self.next_poll - now, 1),
                    hint="no request is answered: check the account, the network, Reddit's status and reddit.oauth_url"
                    + (", and the name of the subreddit" if len(bisection.names) == 1 else ""),
                )
            return
        if bisection.size_matters:
            return
        self._fruitless += 1
        self._log.warning(
            "subreddits_refused_together",
            reason=bisection.reason,
            hint="each part alone is answered: the request is retried, then split into two groups",
        )
        self.next_poll = now + 1.0
        self.must_split = self._fruitless > 1 and len(bisection.names) > 1

    def late_step(self) -> None:
        """Fetch one page of the scan for late items."""
        # the scans of many groups are background requests, which have their part of the plan
        priority = Priority.STREAM if self._tools.pacing.is_crowded else Priority.LATE_SCAN
        self._late_items.step(self._polled_names(), self._size, self.pace.rate, priority)

    def _announce(self, absorbed: Absorbed) -> None:
        items = ((item.subreddit, item.created) for item in absorbed.items)
        self._tools.rates.observe(items, self._tools.coverage.reddit_now())
        if absorbed.delivered:
            self._tools.context.announce(absorbed.last_seq)
