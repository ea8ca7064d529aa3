"""Brings a database up to today's tables; the first process to come does it.

An empty database gets today's tables at once. An older one goes through the migrations, and only then is alembic
imported: it would cost every process 10 MiB. A test checks that both ways lead to the same tables.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, text

from core.errors import PermanentError
from scraper.store.schema.tables import SCHEMA_VERSION, metadata

#: Alembic's table, under our own name: the database may be shared with another program that uses alembic.
VERSION_TABLE = "reddit_schema_version"

#: The number of our PostgreSQL advisory lock: arbitrary, but it must never change.
_LOCK = 7_265_646_469

SCRIPTS = Path(__file__).parent / "migrations"

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def is_current(connection: Connection) -> bool:
    """Return whether the tables are up to date; raises PermanentError if they cannot be brought up to date."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        foreign = sorted(tables & set(metadata.tables))
        if foreign:
            raise PermanentError(
                f"the database contains tables that this program did not create ({', '.join(foreign)}): "
                f"name another database in DATABASE_URL, or rename those tables"
            )
        return False
    return _found(connection) == SCHEMA_VERSION


def _found(connection: Connection) -> str | None:
    return connection.execute(select(_version.c.version_num)).scalar()


def bring_up_to_date(connection: Connection) -> str | None:
    """Create or upgrade the tables in this connection's transaction; return a description of the change, or None.

    Other processes that want the same wait: for SQLite's write lock, which this transaction holds, or for PostgreSQL's
    advisory lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if is_current(connection):
        return None
    if VERSION_TABLE in inspect(connection).get_table_names():
        return _upgrade(connection)
    metadata.create_all(connection)
    _version.create(connection)
    connection.execute(insert(_version).values(version_num=SCHEMA_VERSION))
    return f"created as version {SCHEMA_VERSION}"


def _upgrade(connection: Connection) -> str:
    from alembic import command  # noqa: PLC0415 (see above)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    found = _found(connection)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise PermanentError(
            f"the database is of a newer version ({found}) than this program ({SCHEMA_VERSION}): "
            f"update the program, or name another database in DATABASE_URL"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return f"upgraded from version {found} to {SCHEMA_VERSION}"
