"""The store: what the crawl asks and tells."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from scraper.store.batch import Batch, Found
from scraper.store.claims import Claims, ClaimStatements
from scraper.store.clean import Unholdable, clean
from scraper.store.counts import Counts, CountStatements
from scraper.store.engine import Database, sqlite_engine
from scraper.store.frontier import FrontierStatements
from scraper.store.merge import Work
from scraper.store.saver import Saver
from scraper.store.tables import metadata
from scraper.store.todo import Lease
from scraper.store.writer import Writer
from core.config.address import sqlite_path


def _now() -> datetime:
    return datetime.now(UTC)


class Store:
    """One process's hold on the database; `holder` names it in leases and claims."""

    def __init__(self, database: Database, holder: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._frontier = FrontierStatements(database.dialect, holder)
        self._claims = ClaimStatements(database.dialect, holder)
        self._counts = CountStatements()
        self._writer = Writer(database.dialect, self._frontier, self._claims)
        self._saver = Saver(self._write)

    @classmethod
    async def open(cls, url: str, *, holder: str, clock: Callable[[], datetime] = _now) -> "Store":
        """Open the database, made or brought up to date if needed."""
        path = sqlite_path(url)
        assert path
        path.parent.mkdir(parents=True, exist_ok=True)
        database = Database(sqlite_engine(path))
        await database.transact(metadata.create_all)
        return cls(database, holder, clock)

    @property
    def away_since(self) -> datetime | None:
        """Since when the database has been away; None when it answers."""
        return None

    async def close(self) -> None:
        """Close."""
        await self._database.close()

    async def enter(self, names: Sequence[str]) -> None:
        """Add where the crawl starts; what is known stays as it is."""
        now = self._clock()
        found = [Found(name, 0) for name in names]
        await self._database.transact(lambda connection: self._frontier.enter(connection, found, now))

    async def take_back(self) -> None:
        """Release every lease and claim of this holder: its predecessor died with them."""
        now = self._clock()
        await self._database.transact(lambda connection: self._frontier.give_all_back(connection, now))
        await self._database.transact(self._claims.release_all)

    async def lease(self, limit: int, *, max_depth: int, refresh_after: float, seconds: float) -> list[Lease]:
        """Take up to so many due subreddits, for so many seconds."""
        now = self._clock()
        return await self._database.transact(
            lambda connection: self._frontier.lease(
                connection, limit, now, max_depth=max_depth, refresh_after=refresh_after, seconds=seconds
            )
        )

    async def renew(self, names: Iterable[str], seconds: float) -> frozenset[str]:
        """Hold on to leases and claims."""
        now = self._clock()
        keys = sorted({name.lower() for name in names})
        held = await self._database.transact(lambda connection: self._frontier.renew(connection, keys, now, seconds))
        await self._database.transact(lambda connection: self._claims.renew(connection, now, seconds))
        return held

    async def claim_users(self, usernames: Sequence[str], *, refresh_after: float, seconds: float) -> Claims:
        """Claim users, so that each is fetched by one."""
        now = self._clock()
        return await self._database.transact(
            lambda connection: self._claims.claim(
                connection, usernames, now, refresh_after=refresh_after, seconds=seconds
            )
        )

    async def author_facts(self, usernames: Sequence[str]) -> list[tuple[datetime | None, int | None, int | None]]:
        """Give creation, comment karma and link karma of those that are saved and active."""
        return await self._database.transact(lambda connection: self._claims.facts(connection, usernames))

    async def counts(self, *, max_depth: int, refresh_after: float) -> Counts:
        """Count rows and what is to do."""
        now = self._clock()
        return await self._database.transact(
            lambda connection: self._counts.count(connection, now, max_depth=max_depth, refresh_after=refresh_after)
        )

    async def save(self, batch: Batch) -> None:
        """Return when the whole batch is committed, together with others of the moment."""
        await self._saver.save(batch)

    async def _write(self, work: Work) -> None:
        try:
            await self._transact(work)
        except Unholdable:
            cleaned, _ = clean(work)
            await self._transact(cleaned)

    async def _transact(self, work: Work) -> None:
        now = self._clock()
        await self._database.transact(lambda connection: self._writer.write(connection, work, now))
