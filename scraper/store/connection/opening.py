"""Opens the database: checks that it answers, admits us and can hold every character, and updates its tables."""

from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from core.errors import GaplessError, PermanentError
from scraper.store.connection.certificates import check_files
from scraper.store.connection.database_errors import advice_at_start, is_hopeless, reason
from scraper.store.connection.database_url import PostgresServer, SqliteFile, read
from scraper.store.connection.engine import Database
from scraper.store.connection.outage_retry import OutageRetry
from scraper.store.schema.migrate import bring_up_to_date, is_current

log = structlog.stdlib.get_logger(__name__)

#: Time to try before the database counts as away, seconds: other processes may be upgrading its tables.
_OPEN_TIMEOUT_S = 5.0


async def open_database(url: str) -> tuple[Database, str]:
    """Connect and bring the tables up to date; return the database and its display name."""
    place = read(url)
    if isinstance(place, PostgresServer):
        check_files(place)
    database = Database(place)
    outage_retry = OutageRetry(str(place), lambda: datetime.now(UTC))
    try:
        await outage_retry.run(lambda: _open(database, place), seconds=_OPEN_TIMEOUT_S)
    except BaseException:
        await database.close()
        raise
    return database, str(place)


async def _open(database: Database, place: SqliteFile | PostgresServer) -> None:
    try:
        done = await database.open(prepare)
    except GaplessError:
        raise
    except Exception as error:
        if is_hopeless(error) or _no_file(place, error):
            raise _refused(place, error) from error
        raise
    if done is not None:
        log.info("database_prepared", database=str(place), tables=done)


def prepare(connection: Connection) -> str | None:
    """Bring the tables up to date; return a description of the change or None. Raises PermanentError if impossible.

    This takes the write lock, so that a file that cannot be written is found at once.
    """
    refuse_encoding(connection)
    return None if is_current(connection) else bring_up_to_date(connection)


def refuse_encoding(connection: Connection) -> None:
    """Raise PermanentError for a database that cannot store every character; SQLite always can."""
    if connection.dialect.name == "sqlite":
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise PermanentError(
            f"the database has the encoding {encoding}, which cannot store every character: create one with "
            f"CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', and enter it in DATABASE_URL"
        )


def _no_file(place: SqliteFile | PostgresServer, error: Exception) -> bool:
    return isinstance(place, SqliteFile) and isinstance(error, OSError)


def _refused(place: SqliteFile | PostgresServer, error: Exception) -> PermanentError:
    if isinstance(place, SqliteFile):
        advice = "DATABASE_URL must name a file, in a directory, both writable by this user"
    else:
        advice = advice_at_start(error)
    return PermanentError(f"{place} cannot be used ({reason(error)}): {advice}")
