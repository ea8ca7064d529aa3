"""The store: all reads and writes of the crawl."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from scraper.store.batch_writer import Writer
from scraper.store.batches.batch import Batch, Found, Lease
from scraper.store.batches.merged_batch import MergedBatch, merge
from scraper.store.batches.name_key import name_key
from scraper.store.batches.unstorable import Replaced
from scraper.store.connection.database_clock import DatabaseClock, machine_clock
from scraper.store.connection.database_errors import StoreUnavailable
from scraper.store.connection.engine import Database
from scraper.store.connection.opening import open_database
from scraper.store.connection.outage_retry import OutageRetry
from scraper.store.saver import Saver
from scraper.store.statements.claims import Claims, ClaimStatements
from scraper.store.statements.counts import Counts, CountStatements
from scraper.store.statements.frontier import FrontierStatements
from scraper.store.statements.future_dates import DateStatements

T = TypeVar("T")

#: Calls other than saves report after this time that the database is away, seconds.
_CALL_TIMEOUT_S = 2.0

#: Interval between corrections of dates that are too far ahead, seconds.
_CORRECT_INTERVAL_S = 600.0


class Store:
    """One process's access to the database; `holder` names it in leases and claims."""

    def __init__(self, database: Database, place: str, holder: str, clock: Callable[[], datetime] | None) -> None:
        self._database = database
        self.holder = holder
        self._clock = DatabaseClock(clock)
        self._frontier = FrontierStatements(database.dialect, holder)
        self._claims = ClaimStatements(database.dialect, holder)
        self._counts = CountStatements()
        self._dates = DateStatements()
        self._corrected_at = float("-inf")
        self._writer = Writer(database.dialect, self._frontier, self._claims)
        self._outage_retry = OutageRetry(place, clock or machine_clock)
        self._saver = Saver(self._save)
        self._seeds: list[Found] = []
        self._replaced_at: datetime | None = None
        database.begin_anew = self._begin_anew

    @classmethod
    async def open(cls, url: str, *, holder: str, clock: Callable[[], datetime] | None = None) -> "Store":
        """Open the database, created or upgraded if needed; `clock` replaces the database's clock in tests.

        Raises StoreUnavailable if it does not answer, PermanentError if a person must act.
        """
        database, place = await open_database(url)
        return cls(database, place, holder, clock)

    @property
    def away_since(self) -> datetime | None:
        """Since when the database has been away; None while it answers."""
        return self._outage_retry.away_since

    @property
    def database_replaced(self) -> tuple[datetime, str] | None:
        """When the database was last found replaced, by this machine's clock, and how; None if it never was."""
        because = self._database.replaced_because
        return None if because is None or self._replaced_at is None else (self._replaced_at, because)

    def now(self) -> datetime:
        """Return the time by the database's clock, extrapolated without a query."""
        return self._clock()

    @property
    def replaced(self) -> Replaced:
        """How many values could not be stored unchanged."""
        return self._saver.replaced

    async def close(self, seconds: float = 5.0) -> None:
        """Write what waits (for this time if the database is away), give back what is still held, and close."""
        await self._saver.close(seconds)
        if self.away_since is None:
            with contextlib.suppress(StoreUnavailable):  # already logged; leases come back when they expire
                await self.take_back()
        await self._database.close()

    async def enter(self, names: Sequence[str]) -> None:
        """Add the seeds of the crawl; a known subreddit keeps its row, but at depth 0."""
        found = merge([Batch(found=[Found(name, 0) for name in names])]).found
        self._seeds = merge([Batch(found=[*self._seeds, *found])]).found

        def work(connection: Connection) -> None:
            self._frontier.correct_skipped(connection)
            if found:
                self._frontier.enter(connection, found, self._clock.read(connection))

        await self._write(work)

    async def take_back(self) -> None:
        """Release all leases and claims of this holder: its predecessor died with them, or its own work was ended."""
        if self.away_since is None:
            await self._saver.drain()  # while the leases are held: what is saved records what is still to do
        await self._write(self._give_back_all)

    async def lease(self, limit: int, *, max_depth: int, refresh_after: float, seconds: float) -> list[Lease]:
        """Lease up to this number of due subreddits, for this time in seconds."""

        def work(connection: Connection) -> list[Lease]:
            now = self._clock.read(connection)
            if time.monotonic() - self._corrected_at >= _CORRECT_INTERVAL_S:
                self._dates.correct(connection, now, refresh_after)
                self._corrected_at = time.monotonic()
            return self._frontier.lease(
                connection, limit, now, max_depth=max_depth, refresh_after=refresh_after, seconds=seconds
            )

        return await self._write(work)

    async def renew(self, names: Iterable[str], seconds: float) -> frozenset[str]:
        """Renew these leases and all claims; return (in lower case) which of the leases are still ours."""
        keys = sorted({name_key(name) for name in names})

        def work(connection: Connection) -> frozenset[str]:
            now = self._clock.read(connection)
            self._claims.renew(connection, now, seconds)
            return self._frontier.renew(connection, keys, now, seconds)

        return await self._write(work)

    async def claim_users(self, usernames: Sequence[str], *, refresh_after: float, seconds: float) -> Claims:
        """Claim users, so that only one process fetches each."""

        def work(connection: Connection) -> Claims:
            now = self._clock.read(connection)
            return self._claims.claim(connection, usernames, now, refresh_after=refresh_after, seconds=seconds)

        return await self._write(work)

    async def author_facts(self, usernames: Sequence[str]) -> list[tuple[datetime | None, int | None, int | None]]:
        """Return creation, comment karma and link karma of those that are saved and active."""
        return await self._read(lambda connection: self._claims.facts(connection, usernames))

    async def subreddits_of(self, usernames: Sequence[str]) -> list[str]:
        """Return the subreddits that contain saved posts of these users; profiles (u_…) are left out."""
        return await self._read(lambda connection: self._claims.subreddits(connection, usernames))

    async def counts(self, *, max_depth: int, refresh_after: float) -> Counts:
        """Count rows and remaining work."""

        def work(connection: Connection) -> Counts:
            now = self._clock.read(connection)
            return self._counts.count(connection, now, max_depth=max_depth, refresh_after=refresh_after)

        return await self._read(work)

    async def save(self, batch: Batch) -> None:
        """Return when the whole batch is committed, together with others; wait while the database is away.

        A caller that is cancelled does not withdraw its batch: it is committed all the same.
        """
        await self._saver.save(batch)

    def _begin_anew(self, connection: Connection) -> None:
        """Begin in a replacement database as a process that starts does."""
        self._replaced_at = machine_clock()
        self._give_back_all(connection)
        if self._seeds:
            self._frontier.enter(connection, self._seeds, self._clock.read(connection))

    def _give_back_all(self, connection: Connection) -> None:
        self._frontier.give_all_back(connection, self._clock.read(connection))
        self._claims.release_all(connection)

    async def _save(self, work: MergedBatch) -> None:
        def write(connection: Connection) -> None:
            self._writer.write(connection, work, self._clock.read(connection))

        await self._outage_retry.run(lambda: self._database.write(write))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._outage_retry.run(lambda: self._database.write(work), seconds=_CALL_TIMEOUT_S)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._outage_retry.run(lambda: self._database.read(work), seconds=_CALL_TIMEOUT_S, only_reads=True)
