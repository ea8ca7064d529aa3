"""The main loop of one stream: runs the step that the scheduler chooses, or waits for the next one."""

import random
import time
from collections.abc import Callable

from core.backoff import Backoff
from core.child import ChildContext
from core.config.slices import StreamConfig
from core.errors import TransientError
from core.periodic import PeriodicTask
from core.reddit.limiter import Limiter
from core.reddit.quota import Priority
from core.reddit.request_errors import Stopped, Unavailable
from core.spool import SpoolBroken, SpoolError
from streams.capture.availability import Availability
from streams.capture.availability_checks import AvailabilityChecks
from streams.capture.bad_name_search import threshold
from streams.capture.coverage import Coverage
from streams.capture.gap_repair import Repairs
from streams.capture.group import Group, GroupTools
from streams.capture.group_merging import GroupMerging, Part
from streams.capture.group_packing import PATH_LIMIT, is_collective, pack
from streams.capture.late_loss import LateScanLog
from streams.capture.page_fetcher import PageFetcher
from streams.capture.poll import ListingPoll
from streams.capture.poll_interval import PollInterval
from streams.capture.scheduler import Kind, Task, choose, idle_seconds
from streams.capture.total_loss import TotalLossWatch
from streams.capture.walk import WalkOutcome

_PRUNE_EVERY_S = 15.0

#: Pauses after an error that affects all work: the spool or the quota file cannot be written.
_RETRY = Backoff(first=0.3, longest=15.0)


class Capture:
    """Drives one stream until a stop is requested."""

    def __init__(
        self,
        config: StreamConfig,
        context: ChildContext,
        coverage: Coverage,
        fetcher: PageFetcher,
        limiter: Limiter,
        *,
        origin: TotalLossWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
        path_limit: int = PATH_LIMIT,
    ) -> None:
        self._config = config
        self._context = context
        self._log = context.log
        self._coverage = coverage
        self._fetcher = fetcher
        self._limiter = limiter
        self._origin = origin
        self._clock = clock
        self._wall = wall
        self._draw = draw
        self._sharers = config.sharers
        self._availability = Availability(config.subreddits)
        self._availability.load(coverage.state.absent)
        self._availability_checks = AvailabilityChecks(
            self._availability, coverage, fetcher, context, clock=clock, wall=wall, start=config.start
        )
        self._repairs = Repairs(coverage, self._log, clock)
        self._tools = self._group_tools()
        self._resumed = bool(coverage.proven_at)
        self._groups: dict[int, Group] = {}
        for home, names in enumerate(pack(config.subreddits, context.name, path_limit)):
            self._add_group(names, home)
        self._merging = GroupMerging()
        self._previous: Kind | None = None
        self._pruning = PeriodicTask(_PRUNE_EVERY_S, coverage.prune)
        self._pruning.restart(clock())
        self._failures = 0
        self._catching_up: float | None = _seconds_since(coverage.state.polled_at, wall())

    def _group_tools(self) -> GroupTools:
        return GroupTools(
            coverage=self._coverage,
            fetcher=self._fetcher,
            context=self._context,
            availability=self._availability,
            availability_checks=self._availability_checks,
            clock=self._clock,
            interval=self._interval,
            draw=self._draw,
            start=self._config.start,
            late_scan_log=LateScanLog(),
        )

    def _add_group(self, names: tuple[str, ...], home: int, pace: PollInterval | None = None) -> None:
        key = max(self._groups, default=0) + 1
        collective = len(names) == 1 and is_collective(names[0])
        group = Group(key, names, self._tools, resumed=self._resumed, collective=collective, home=home)
        if pace is not None:
            group.pace = pace
        self._groups[key] = group

    def run(self) -> None:
        """Work until a stop is requested. Raises CredentialsRejected and SpoolBroken; retries all transient errors."""
        self._context.ready()
        while not self._context.stop.is_set():
            self._context.beat()
            try:
                self._coverage.check()
                if self._origin is not None:
                    self._origin.check()
                self._availability_checks.catch_up_with_ledger()
                self._step()
            except Stopped:
                return
            except SpoolBroken:
                raise
            except TransientError as error:
                self._pause_after(error)
            else:
                self._failures = 0

    def _pause_after(self, error: TransientError) -> None:
        """Wait after an error that affects all work."""
        self._failures += 1
        pause = _RETRY.pause(self._failures, self._draw)
        self._fetcher.report(error, self._failures, pause)
        self._context.wait(pause)

    def _step(self) -> None:
        """Run the most urgent step, or wait until one is due."""
        now = self._clock()
        tasks = self._tasks(now)
        task = choose(tasks, now, self._previous)
        if task is None:
            self._context.wait(idle_seconds(tasks, now))
            return
        self._previous = task.kind
        self._do(task)

    def _tasks(self, now: float) -> list[Task]:
        tasks = [task for group in self._groups.values() for task in group.tasks()]
        tasks.append(Task(Kind.PRUNE, self._pruning.due))
        if self._merging.due < float("inf"):
            tasks.append(Task(Kind.MERGE, self._merging.due))
        repair_due = self._repairs.due(self._availability.absent)
        if repair_due is not None:
            tasks.append(Task(Kind.REPAIR, repair_due))
        if self._availability.absent:
            wait = self._availability.next_try(self._wall()) - self._wall()
            due = now + max(0.01, wait) if wait > 0 else now + wait
            tasks.append(Task(Kind.RETURN, max(due, self._availability_checks.return_after)))
        if self._availability.joining:
            tasks.append(Task(Kind.JOIN, self._availability_checks.join_due))
        return tasks

    def _do(self, task: Task) -> None:
        match task.kind:
            case Kind.POLL:
                self._completed(self._groups[task.key].poll_step())
            case Kind.WALK:
                self._completed(self._groups[task.key].walk_step())
            case Kind.SEARCH:
                self._groups[task.key].search_step()
                self._split_where_needed(self._groups[task.key])
            case Kind.LATE_SCAN:
                self._groups[task.key].late_step()
            case Kind.REPAIR:
                self._repair_step()
            case Kind.RETURN:
                self._availability_checks.return_step()
            case Kind.JOIN:
                self._availability_checks.join_step()
            case Kind.MERGE:
                self._merge_step()
            case Kind.PRUNE:
                self._pruning.run(self._clock())

    def _split_where_needed(self, group: Group) -> None:
        """Split a group whose request fails only as a whole into two."""
        if not group.must_split or len(group.names) < 2:
            return
        del self._groups[group.key]
        middle = len(group.names) // 2
        for names in (group.names[:middle], group.names[middle:]):
            self._add_group(names, group.home, group.pace)
        self._merging.split(self._clock())
        self._log.warning("group_split", subreddits=len(group.names), groups=len(self._groups))

    def _parts(self) -> list[Part]:
        """Describe the groups for the choice of the two to merge."""
        place = self._config.subreddits.index
        return [Part(group.key, group.home, place(group.names[0]), len(group.names)) for group in self._groups.values()]

    def _merge_step(self) -> None:
        """Merge two groups that were split, if a request for all of their names is answered now."""
        now, chosen = self._clock(), self._merging.choose(self._parts())
        if chosen is None:
            self._merging.due = float("inf")
            return
        one, two = (self._groups[key] for key in chosen)
        if not (one.calm and two.calm and self._availability.active((*one.names, *two.names))):
            self._merging.postpone(now)
            return
        try:
            one.probe(two.names)
        except (Unavailable, TransientError) as error:
            if isinstance(error, SpoolError):
                raise
            if isinstance(error, TransientError) and threshold(error) is None:
                self._merging.postpone(now)
                return
            self._merging.refused(now)
            self._log.info("groups_stay_split", error=str(error), groups=len(self._groups))
            return
        self._merge(one, two)

    def _merge(self, one: Group, two: Group) -> None:
        for key in (one.key, two.key):
            del self._groups[key]
        self._add_group((*one.names, *two.names), one.home, PollInterval(one.pace.rate + two.pace.rate))
        self._merging.merged(self._clock())
        self._log.info("groups_merged", subreddits=len(one.names) + len(two.names), groups=len(self._groups))

    def _interval(self, pace: PollInterval) -> float:
        """Return the seconds between two polls of a group at this pace."""
        quota = self._limiter.state()
        now = self._wall()
        sharers = max(1, self._sharers) * max(1, len(self._groups))
        per_request = max(0.0, quota.reset_at - now) / max(1.0, quota.remaining()) * sharers
        return pace.interval(self._config.max_poll_interval, quota.spare(now), per_request)

    def _completed(self, poll: ListingPoll | None) -> None:
        if poll is None or self._catching_up is None or poll.walk.outcome is WalkOutcome.STALE:
            return
        seconds, self._catching_up = self._catching_up, None
        self._log.info("caught_up", items=poll.new, away_seconds=round(seconds, 1), pages=poll.walk.pages)

    def _repair_step(self) -> None:
        """Fetch one page for a gap that is repairable now."""
        repair = self._repairs.choose(self._availability.absent)
        if repair is None:
            return
        asked = repair.next()
        try:
            page = self._fetcher.attempt(
                [repair.subreddit], asked.after, Priority.STREAM, asked.limit, before=asked.before
            )
        except Unavailable as error:
            self._repairs.drop(repair.subreddit)
            self._availability_checks.set_aside(repair.subreddit, error.reason, named=error.named)
        except TransientError as error:
            self._repairs.failed(repair, error, self._fetcher.answered_at)
        else:
            if asked.before is None:
                absorbed = self._repairs.take(repair, page, asked.after, asked.limit)
            else:
                absorbed = self._repairs.take_from_below(repair, page, asked)
            if absorbed.delivered:
                self._context.announce(absorbed.last_seq)


def _seconds_since(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, now - moment)
