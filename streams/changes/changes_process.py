"""The process `changes`: looks at delivered items again until a stop is requested."""

import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import TypeVar

from core.backoff import Backoff
from core.child import ChildContext
from core.config.slices import ChangesConfig
from core.errors import TransientError
from core.periodic import Timer
from core.process.memory_tuning import tune_gc
from core.reddit.limiter import Limiter
from core.reddit.request_errors import QuotaShort, Stopped, Unavailable
from core.spool import Batch, SpoolBroken, SpoolError, SpoolReader, SpoolWriter, watched
from core.spool.committed_positions import read_positions
from core.stream_kinds import StreamKind, stream_kinds
from streams.changes.checker import Checker
from streams.changes.duties import ChangesFileBroken, ChangesFileError, Duties
from streams.changes.follower import Follower
from streams.changes.info_requests import InfoRequests
from streams.changes.reddit_clock import RedditClock
from streams.changes.schedule import Schedule
from streams.changes.status_file import StatusFile
from streams.opening import open_patiently
from streams.reddit.praw_client import PrawClient

_Result = TypeVar("_Result")

STREAM = "changes"

#: The entry of the cursor with the id of the file of duties.
STORE_CURSOR = "changes_store"

_RETRY = Backoff(first=0.5, longest=30.0)

#: Seconds between two looks for delivered records, two prunings of the spool, and two writings of the status.
_FOLLOW_EVERY_S = 1.0
_PRUNE_EVERY_S = 15.0
_STATUS_EVERY_S = 5.0

#: Pause after the quota had no request to spare, seconds.
_SHORT_PAUSE_S = 2.0


def run(context: ChildContext, config: ChangesConfig) -> None:
    """Look at delivered items again.

    Raises CredentialsRejected (permanent), SpoolBroken and ChangesFileBroken if a new start must move a file aside.
    """
    tune_gc()
    writer = _open_spool(context, config)
    if writer is None:
        return
    with writer, watched(writer, broken=context.wake):
        duties = _open_duties(context, config, writer)
        if duties is None:
            return
        limiter = Limiter(config.state_dir, STREAM, config.requests_per_minute)
        client = PrawClient(config.access, context, limiter)
        kinds = followed_kinds()
        with closing(duties), closing(limiter):
            requests = InfoRequests(client, context, kinds)
            wall = RedditClock(client.server_clock)
            ChangesLoop(context, config, writer, duties, requests, kinds=kinds, wall=wall).run()


def followed_kinds() -> tuple[StreamKind, ...]:
    """Return the kinds whose items are looked at again, in the order in which they come when the quota is short."""
    return tuple(kind for kind in stream_kinds() if kind.listing)


class ChangesLoop:
    """Follows the spools and looks at due items, one step after the other.

    Args:
        context: of the process.
        config: its part of the configuration.
        writer: of its spool.
        duties: the items to look at.
        requests: to Reddit.
        kinds: of the items.
        clock: a monotonic clock, seconds.
        wall: Reddit's clock, epoch seconds.
    """

    def __init__(
        self,
        context: ChildContext,
        config: ChangesConfig,
        writer: SpoolWriter,
        duties: Duties,
        requests: InfoRequests,
        *,
        kinds: tuple[StreamKind, ...],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        schedule = Schedule.of(config.schedule)
        streams = tuple(kind.name for kind in kinds)
        self._context = context
        self._writer = writer
        self._duties = duties
        self._requests = requests
        self._clock = clock
        self._wall = wall
        self._follower = Follower(config.state_dir, kinds, duties, schedule, log=context.log, clock=wall)
        self._checker = Checker(
            writer,
            duties,
            requests,
            kinds,
            schedule,
            latest=config.latest,
            full=config.payload == "full",
            exactly_once=config.exactly_once,
            log=context.log,
            clock=wall,
        )
        self._status = StatusFile(config.state_dir, duties, streams, schedule, wall)
        self._follow_timer = Timer(_FOLLOW_EVERY_S)
        self._prune_timer = Timer(_PRUNE_EVERY_S)
        self._status_timer = Timer(_STATUS_EVERY_S)
        self._check_after = float("-inf")
        self._failures = 0  # requests in a row
        self._setbacks = 0  # turns in a row

    def run(self) -> None:
        """Work until a stop is requested. Raises CredentialsRejected, SpoolBroken, ChangesFileBroken."""
        self._checker.recover(self._writer.load_cursor())
        fields = dict(self._duties.items)
        self._context.log.info("changes_opened", duties=fields, looks=self._duties.applied)
        self._context.ready()
        try:
            while not self._context.stop.is_set():
                self._context.beat()
                self._turn()
        finally:
            self._follower.close()

    def _turn(self) -> None:
        try:
            self._writer.check()
            self._duties.check()
            self._checker.finish()
            more = self._follow()
            self._check()
            self._keep_house()
        except Stopped:
            return
        except (SpoolBroken, ChangesFileBroken):
            raise
        except (TransientError, Unavailable, OSError) as error:
            self._pause_after(error)
            return
        self._setbacks = 0
        self._context.wait(0.0 if more else self._idle_seconds())

    def _follow(self) -> bool:
        """Read delivered records if it is time; return whether there are more."""
        if not self._follow_timer.elapsed(self._clock()):
            return False
        rows = self._follower.follow()
        if self._follower.newest is not None:
            self._checker.witnesses.saw([self._follower.newest])
        if rows:
            self._follow_timer.restart(self._clock(), first=0.0)
        return bool(rows)

    def _check(self) -> None:
        """Look at due items, once."""
        due = self._checker.due()
        if due is None or due > self._wall() or self._clock() < self._check_after:
            return
        try:
            last_seq = self._checker.step()
        except QuotaShort:
            self._check_after = self._clock() + _SHORT_PAUSE_S
            return
        except (SpoolError, ChangesFileError, ChangesFileBroken, Stopped):
            raise
        except (TransientError, Unavailable) as error:
            self._failures += 1
            pause = _RETRY.pause(self._failures, random.random)
            self._check_after = self._clock() + pause
            self._requests.report(error, pause)
            return
        self._failures = 0
        self._status.looks.add(*self._checker.last_looks)
        if last_seq is not None:
            self._context.announce(last_seq)

    def _keep_house(self) -> None:
        now = self._clock()
        if self._prune_timer.elapsed(now):
            self._writer.prune()
        if not self._status_timer.elapsed(now):
            return
        skipped, self._follower.skipped = self._follower.skipped, 0
        dropped, self._duties.dropped = self._duties.dropped, 0
        if skipped or dropped:
            self._writer.commit(Batch(counters={"rows_not_followed": skipped, "looks_dropped": dropped}))
        self._status.write()

    def _idle_seconds(self) -> float:
        now = self._clock()
        due = self._checker.due()
        until_due = _FOLLOW_EVERY_S if due is None else due - self._wall()
        until_check = max(until_due, self._check_after - now)
        return max(0.0, min(until_check, self._follow_timer.due - now, _FOLLOW_EVERY_S))

    def _pause_after(self, error: Exception) -> None:
        """Wait after an error that affects all work: the disk is full, a file is locked."""
        self._setbacks += 1
        pause = _RETRY.pause(self._setbacks, random.random)
        fields = {"error": str(error), "kind": type(error).__name__, "retry_in_seconds": round(pause, 2)}
        self._context.log.error("changes_paused", **fields)
        self._context.wait(pause)


def open_duties(config: ChangesConfig, writer: SpoolWriter, clock: Callable[[], float] = time.time) -> Duties:
    """Open the file of duties, and note in the spool which one it is. Raises ChangesFileError, SpoolError."""
    known = writer.load_cursor().get(STORE_CURSOR)
    duties, lost = Duties.open(
        config.state_dir,
        known=None if known is None else str(known),
        positions=lambda: _delivered(config),
        bucket_s=Schedule.of(config.schedule).bucket_s,
        clock=clock,
    )
    if duties.store_id != known:
        counters = {"changes_files_lost": 1} if lost else {}
        try:
            writer.commit(Batch(cursor={STORE_CURSOR: duties.store_id}, counters=counters))
        except BaseException:
            duties.close()
            raise
    return duties


def _open_duties(context: ChildContext, config: ChangesConfig, writer: SpoolWriter) -> Duties | None:
    """Open the file of duties, waiting while the disk is full; None after a stop."""
    known = writer.load_cursor().get(STORE_CURSOR)
    duties = _retried(context, lambda: open_duties(config, writer))
    if duties is not None and known is not None and duties.store_id != known:
        context.log.error(
            "changes_duties_lost",
            path=str(config.state_dir / "changes.db"),
            hint="items that were delivered before are not looked at again; those delivered from now on are",
        )
    return duties


def _delivered(config: ChangesConfig) -> Mapping[str, tuple[str, int]]:
    """Return the delivered position of each spool that is there, with its stream."""
    positions, found = read_positions(config.state_dir), {}
    for kind in followed_kinds():
        with suppress(sqlite3.DatabaseError):
            reader = SpoolReader.open(config.state_dir, kind.name)
            if reader is not None:
                with closing(reader):
                    found[reader.spool_id] = kind.name, positions.get(reader.spool_id, 0)
    return found


def _open_spool(context: ChildContext, config: ChangesConfig) -> SpoolWriter | None:
    """Open the spool, waiting while the disk is full or a lock is held; None after a stop."""
    return _retried(context, lambda: SpoolWriter(config.state_dir, STREAM))


def _retried(context: ChildContext, call: Callable[[], _Result]) -> _Result | None:
    """Return what the call returns, after a pause while a file cannot be written; None after a stop."""

    def report(error: Exception, seconds: float) -> None:
        context.log.error("changes_not_opened", error=str(error), retry_in_seconds=seconds)

    return open_patiently(context, call, (TransientError, OSError, sqlite3.Error), report)
