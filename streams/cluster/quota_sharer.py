"""Keeps this machine's share of the quota up to date: from the heartbeats into the file that its processes use."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from core.cluster.view import Machine
from core.periodic import Timer
from core.reddit.limiter import Limiter, QuotaFileError, Wishes
from core.reddit.machine_share import open_share, read_share, read_wishes
from streams.cluster.quota_share import ShareState, Sharing, advance, begin
from streams.cluster.state_records import HEARTBEAT_EVERY_S

#: Seconds between two computations, between two writes of a share that stays the same, and after a failed write.
_EVERY_S = 1.0
_WRITE_EVERY_S = HEARTBEAT_EVERY_S
_RETRY_S = 10.0

#: A share written this short before the start is still left to this machine by the others, as a part of the silence
#: after which they divide it.
_RECENT = 0.75


class QuotaSharer:
    """The quota of a machine in a cluster.

    Args:
        sharing: the fixed values.
        state_dir: where the quota's file is.
        log: the logger.
        clock: monotonic seconds.
        wall: epoch seconds, with which the heartbeats of this machine are written.
    """

    def __init__(
        self,
        sharing: Sharing,
        state_dir: Path,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._sharing = sharing
        self._state_dir = state_dir
        self._log = log
        self._clock = clock
        self._wall = wall
        self._state: ShareState | None = None
        self._wishes = Wishes(0.0, 0.0)
        self._runs = Timer(_EVERY_S)
        self._writes = Timer(_WRITE_EVERY_S)
        self._written: float | None = None
        self._file: Limiter | None = None
        self._fails = False

    @property
    def wishes(self) -> Wishes:
        """What all processes of this machine need and wish for, for its heartbeat."""
        return self._wishes

    @property
    def share(self) -> float | None:
        """The share in requests per minute; None before the first step."""
        return None if self._state is None else self._state.share

    def step(self, heartbeats: Callable[[], Iterable[Machine]]) -> None:
        """Compute and write the share if it is time; call it often, also while Kafka is away.

        Args:
            heartbeats: takes those that were read since the last call, in their order, this machine's own included.
        """
        now = self._clock()
        if not self._runs.elapsed(now):
            return
        wall = self._wall()
        if self._state is None:
            self._state = self._begun(now, wall)
        try:
            self._wishes = read_wishes(self._state_dir, wall)
        except sqlite3.Error as error:
            self._log.debug("quota_wishes_unreadable", error=str(error), hint="the last known ones count")
        self._state = advance(self._state, heartbeats(), now, wall, needed=self._wishes.needed, sharing=self._sharing)
        self._write(self._state.share, now)

    def _begun(self, now: float, wall: float) -> ShareState:
        try:
            stored = read_share(self._state_dir)
        except sqlite3.Error:
            stored = None  # a limiter replaces the file
        if stored is None:
            return begin(self._sharing, now)
        is_recent = 0.0 <= wall - stored.at <= _RECENT * self._sharing.silence
        return begin(self._sharing, now, stored.per_minute, is_recent=is_recent)

    def _write(self, share: float, now: float) -> None:
        if share == self._written and now < self._writes.due:
            return
        if self._fails and now < self._writes.due:
            return
        try:
            if self._file is None:
                self._file = open_share(self._state_dir, self._sharing.per_minute)
            self._file.store_share(share)
        except QuotaFileError as error:
            if not self._fails:
                hint = "the processes of this machine continue with the last share"
                self._log.warning("quota_share_not_stored", error=str(error), retry_in_seconds=_RETRY_S, hint=hint)
            self._fails = True
            self._writes.restart(now, _RETRY_S)
            return
        self._fails, self._written = False, share
        self._writes.restart(now)

    def close(self) -> None:
        """Close the file; the share stays."""
        if self._file is not None:
            self._file.close()
            self._file = None
