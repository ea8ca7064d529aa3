"""Opening the database: it is there, it lets us in, and its tables are today's."""

import sqlite3
from datetime import UTC, datetime

import structlog

from core.errors import GaplessError, PermanentError
from scraper.store.address import PostgresServer, SqliteFile, read
from scraper.store.engine import Database, make_engine
from scraper.store.faults import is_hopeless, reason
from scraper.store.migrate import bring_up_to_date, is_current
from scraper.store.patience import Patience

log = structlog.stdlib.get_logger(__name__)

#: How long to try before the database counts as away, seconds: others may be at its tables.
_PATIENCE = 5.0


async def open_database(url: str) -> tuple[Database, str]:
    """Connect and bring the tables up to date; gives the database and what to call it."""
    place = read(url)
    if isinstance(place, SqliteFile):
        try:
            place.path.parent.mkdir(parents=True, exist_ok=True)
            sqlite3.connect(place.path).close()
        except (OSError, sqlite3.OperationalError) as error:
            raise _refused(place, error) from error
    database = Database(make_engine(place))
    patience = Patience(str(place), lambda: datetime.now(UTC))
    try:
        await patience.carry(lambda: _prepare(database, place), seconds=_PATIENCE)
    except BaseException:
        await database.close()
        raise
    return database, str(place)


async def _prepare(database: Database, place: SqliteFile | PostgresServer) -> None:
    try:
        # asked with the lock for writing: a file that cannot be written is to be found out now
        if not await database.write(is_current):
            done = await database.write(bring_up_to_date)
            if done is not None:
                log.info("database_prepared", database=str(place), tables=done)
    except GaplessError:
        raise
    except Exception as error:
        if is_hopeless(error):
            raise _refused(place, error) from error
        raise


def _refused(place: SqliteFile | PostgresServer, error: Exception) -> PermanentError:
    if isinstance(place, SqliteFile):
        advice = "DATABASE_URL must name a file, in a directory, that this user may write"
    else:
        advice = "check user, password, host, database name and parameters in DATABASE_URL"
    return PermanentError(f"{place} cannot be used ({reason(error)}): {advice}")
