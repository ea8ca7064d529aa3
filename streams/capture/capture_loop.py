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
from core.spool import SpoolBroken
from streams.capture.audit_finds import AuditFinds
from streams.capture.availability import Availability
from streams.capture.availability_checks import AvailabilityChecks
from streams.capture.coverage import Coverage
from streams.capture.gap_repair import Repairs
from streams.capture.group import GroupTools
from streams.capture.group_packing import PATH_LIMIT
from streams.capture.groups import Groups
from streams.capture.late_loss import LateScanLog
from streams.capture.own_shards import CHECK_EVERY_S, OwnShards
from streams.capture.pacing import Pacing
from streams.capture.page_fetcher import PageFetcher
from streams.capture.poll import ListingPoll
from streams.capture.rates import NameRates
from streams.capture.scheduler import Kind, Task, choose, idle_seconds
from streams.capture.shared_findings import SharedFindings
from streams.capture.shortage_report import SHARES_SETTLE_S, ShortageReport
from streams.capture.total_loss import TotalLossWatch
from streams.capture.walk import WalkOutcome

_PRUNE_EVERY_S = 15.0

#: Pauses after an error that affects all work: the spool or the quota file cannot be written.
_RETRY = Backoff(first=0.3, longest=15.0)


def make_pacing(
    config: StreamConfig,
    limiter: Limiter,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Pacing:
    """Return the pace of a stream; one capture after the other may use it."""
    return Pacing(limiter, config.max_poll_interval, sharers=config.sharers, clock=clock, wall=wall)


class Capture:
    """Drives one stream until a stop is requested.

    Args:
        config: of the stream; its subreddits are those to capture.
        context: of the process.
        coverage: the state of proof of these subreddits.
        fetcher: requests pages.
        limiter: the shared quota.
        origin: watches for the loss of all state; None in a cluster.
        shards: this machine's, in a cluster.
        findings: what the streams tell each other about names.
        pacing: of the capture before this one in the same process.
        was_away: whether nothing watched these subreddits just before: a burst of late items may have been missed.
        clock: a monotonic clock, seconds.
        wall: this machine's clock, epoch seconds.
        draw: a random number from 0 to 1.
        path_limit: bytes of a request's path and query.
        audit: captures what the audit finds; None: nothing is audited.
    """

    def __init__(
        self,
        config: StreamConfig,
        context: ChildContext,
        coverage: Coverage,
        fetcher: PageFetcher,
        limiter: Limiter,
        *,
        origin: TotalLossWatch | None = None,
        shards: OwnShards | None = None,
        findings: SharedFindings | None = None,
        pacing: Pacing | None = None,
        was_away: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
        path_limit: int = PATH_LIMIT,
        audit: AuditFinds | None = None,
    ) -> None:
        self._config = config
        self._context = context
        self._log = context.log
        self._coverage = coverage
        self._fetcher = fetcher
        self._origin = origin
        self._shards = shards
        self._clock = clock
        self._wall = wall
        self._draw = draw
        self._availability = Availability(config.subreddits)
        self._availability.load(coverage.state.absent)
        self._availability_checks = AvailabilityChecks(
            self._availability, coverage, fetcher, context, clock=clock, wall=wall, start=config.start
        )
        self._repairs = Repairs(coverage, self._log, clock)
        self._pacing = pacing or make_pacing(config, limiter, clock, wall)
        self._pacing.plan_anew()
        fetcher.on_request = self._pacing.sent
        patience = 0.0 if config.cluster is None else SHARES_SETTLE_S
        self._shortage = ShortageReport(coverage, self._log, patience=patience, clock=clock, wall=wall)
        findings = findings or SharedFindings(None, context.name, wall)
        tools = self._group_tools(findings, was_away=was_away)
        self._groups = Groups(config.subreddits, context.name, tools, path_limit=path_limit)
        self._previous: Kind | None = None
        self._pruning = PeriodicTask(_PRUNE_EVERY_S, coverage.prune)
        self._pruning.restart(clock())
        self._background_steps: dict[Kind, Callable[[], object]] = {
            Kind.REPAIR: self._repair_step,
            Kind.RETURN: self._availability_checks.return_step,
            Kind.JOIN: self._availability_checks.join_step,
            Kind.MERGE: self._groups.merge_step,
            Kind.PACK: self._pack_step,
            Kind.PRUNE: lambda: self._pruning.run(self._clock()),
        }
        self._audit = audit
        if audit is not None:
            self._background_steps[Kind.AUDIT] = audit.step
        self._failures = 0
        self._catching_up: float | None = _seconds_since(coverage.state.polled_at, wall())

    def _group_tools(self, findings: SharedFindings, *, was_away: bool) -> GroupTools:
        return GroupTools(
            coverage=self._coverage,
            fetcher=self._fetcher,
            context=self._context,
            availability=self._availability,
            availability_checks=self._availability_checks,
            clock=self._clock,
            pacing=self._pacing,
            rates=NameRates(self._coverage.reddit_now()),
            draw=self._draw,
            start=self._config.start,
            late_scan_log=LateScanLog(),
            findings=findings,
            was_away=was_away,
        )

    def run(self) -> None:
        """Work until a stop is requested, or the set of this machine's shards is to change.

        Raises CredentialsRejected and SpoolBroken; retries all transient errors.
        """
        self._context.ready()
        while not self._context.stop.is_set():
            self._context.beat()
            try:
                self._coverage.check()
                if self._shards is not None and self._shards.check(self._coverage):
                    return
                if self._origin is not None:
                    self._origin.check()
                self._availability_checks.catch_up_with_ledger()
                self._pacing.opening = self._groups.has_unread
                if self._pacing.replan(self._groups.loads):
                    self._groups.replanned()
                    self._shortage.update(self._pacing.plan, self._groups)
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
            idle = idle_seconds(tasks, now)
            self._context.wait(idle if self._shards is None else min(idle, CHECK_EVERY_S))
            return
        if task.kind.sends_request:
            self._previous = task.kind
        if task.kind.paced:
            self._pacing.spend(task.kind)
        self._do(task)

    def _tasks(self, now: float) -> list[Task]:
        tasks = self._groups.tasks()
        tasks.append(Task(Kind.PRUNE, self._pruning.due))
        if self._audit is not None:
            tasks.append(Task(Kind.AUDIT, self._audit.due))
        background_due = self._pacing.background_due
        repair_due = self._repairs.due(self._availability.absent)
        if repair_due is not None:
            tasks.append(Task(Kind.REPAIR, max(repair_due, background_due(Kind.REPAIR))))
        if self._availability.absent:
            wait = self._availability.next_try(self._wall()) - self._wall()
            due = now + max(0.01, wait) if wait > 0 else now + wait
            tasks.append(
                Task(Kind.RETURN, max(due, background_due(Kind.RETURN), self._availability_checks.return_after))
            )
        if self._availability.joining:
            tasks.append(Task(Kind.JOIN, max(background_due(Kind.JOIN), self._availability_checks.join_due)))
        return tasks

    def _do(self, task: Task) -> None:
        match task.kind:
            case Kind.POLL:
                self._completed(self._groups[task.key].poll_step())
            case Kind.WALK:
                self._completed(self._groups[task.key].walk_step())
            case Kind.SEARCH:
                self._groups[task.key].search_step()
                self._groups.split_where_needed(task.key)
            case Kind.LATE_SCAN:
                self._groups[task.key].late_step()
            case kind:
                self._background_steps[kind]()

    def _pack_step(self) -> None:
        if self._groups.pack_step():
            self._pacing.replan(self._groups.loads, now=True)

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
