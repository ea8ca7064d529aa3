"""The part of `check --connect` that opens the database: user, password, and the version of its tables.

It creates and changes nothing: the scraper creates and upgrades the tables when it starts.
"""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from core.errors import PermanentError
from scraper.store.connection.certificates import check_files
from scraper.store.connection.database_errors import Fault, advice_at_start, classify, is_hopeless, reason
from scraper.store.connection.database_url import PostgresServer, SqliteFile, read
from scraper.store.connection.engine import Database
from scraper.store.connection.opening import refuse_encoding
from scraper.store.schema.migrate import SCRIPTS, VERSION_TABLE, is_current
from scraper.store.schema.tables import SCHEMA_VERSION
from supervisor.checks.finding import Finding, check_writable, failed, fine

_NAME = "database"


def check_database(url: str, timeout_s: float) -> Finding:
    """Open the database at this address; a missing SQLite file must be creatable."""
    try:
        place = read(url)
        if isinstance(place, SqliteFile):
            return _sqlite(place, timeout_s)
        check_files(place)
        return asyncio.run(_postgres(place, timeout_s))
    except PermanentError as error:
        return failed(_NAME, str(error))


def _sqlite(place: SqliteFile, timeout_s: float) -> Finding:
    path = place.path
    if not path.exists():
        return check_writable(_NAME, path.parent, f"{path} will be created", "database.url")
    try:
        # not through the scraper's engine, which would switch the file's journal to WAL
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout_s)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            version = _sqlite_version(database) if VERSION_TABLE in tables else None
    except sqlite3.Error as error:
        return failed(_NAME, f"{path}: {error}: set another file in database.url, or move this one")
    if not os.access(path, os.W_OK):
        return failed(
            _NAME, f"{path} is not writable: grant this user write permission, or set another file in database.url"
        )
    return _version_finding(f"{path} is readable and writable", version)


def _sqlite_version(database: sqlite3.Connection) -> str | None:
    row = database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 (a constant)
    return str(row[0]) if row is not None else None


async def _postgres(place: PostgresServer, timeout_s: float) -> Finding:
    place = replace(place, arguments={**place.arguments, "timeout": timeout_s, "command_timeout": timeout_s})
    database = Database(place)
    try:
        server, version, may_create = await _query(database)
    except PermanentError as error:
        return failed(_NAME, f"{place}: {error}")
    except Exception as error:  # noqa: BLE001 (of the driver, of SQLAlchemy, of the system: each has the reason)
        advice = (
            advice_at_start(error)
            if is_hopeless(error)
            else "check that PostgreSQL runs and that DATABASE_URL is correct"
        )
        return failed(_NAME, f"{place}: {reason(error)}: {advice}")
    finally:
        await database.close()
    if version is None and not may_create:
        return failed(
            _NAME,
            f"{place}: this user may not create tables: GRANT CREATE ON SCHEMA, or set another user in database.url",
        )
    return _version_finding(f"{place} accepts the login (PostgreSQL {server})", version)


async def _query(database: Database) -> tuple[str, str | None, bool]:
    try:
        return await database.read(_read_facts)
    except Exception as error:
        if classify(error) is not Fault.BUSY:
            raise
        return await database.read(_read_facts)  # a pooler was found, and the engine now adapts to it


def _read_facts(connection: Connection) -> tuple[str, str | None, bool]:
    refuse_encoding(connection)
    server = str(connection.execute(text("SHOW server_version")).scalar_one()).partition(" ")[0]
    may_create = connection.execute(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")).scalar()
    is_current(connection)  # raises where the tables belong to another program
    version = None
    if VERSION_TABLE in inspect(connection).get_table_names():
        version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return server, version, bool(may_create)


def _version_finding(success: str, version: str | None) -> Finding:
    """Return what the scraper will do with tables of this version."""
    if version is None:
        return fine(_NAME, f"{success}; the scraper will create the tables")
    if version == SCHEMA_VERSION:
        return fine(_NAME, f"{success}; tables of version {version}")
    if version in known_versions(SCRIPTS):
        return fine(
            _NAME, f"{success}; tables of version {version}, which the scraper will upgrade to {SCHEMA_VERSION}"
        )
    advice = "update Gapless, or set another database in database.url"
    return failed(_NAME, f"{success}, but its tables have version {version}, newer than {SCHEMA_VERSION}: {advice}")


def known_versions(scripts: Path) -> set[str]:
    """Return the versions that this program can upgrade."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (only for tables of another version)

    return {script.revision for script in ScriptDirectory(str(scripts)).walk_revisions()}
