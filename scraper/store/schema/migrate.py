"""Bringing a database up to the tables of today, by whichever process comes first.

An empty database gets today's tables at once. An older one goes through the migrations, and only then is alembic
imported: it would cost every process 10 MiB. That both ways lead to the same tables is tested.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, text

from core.errors import PermanentError
from scraper.store.schema.tables import SCHEMA_VERSION, metadata

#: Alembic's table, under a name of ours: the database may be shared with another program that uses alembic.
VERSION_TABLE = "reddit_schema_version"

#: Of PostgreSQL's advisory locks: any number, as long as it stays the same.
_LOCK = 7_265_646_469

SCRIPTS = Path(__file__).parent / "migrations"

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def is_current(connection: Connection) -> bool:
    """Tell whether there is nothing to do; raises PermanentError where there is nothing to be done."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        foreign = sorted(tables & set(metadata.tables))
        if foreign:
            raise PermanentError(
                f"the database has tables that this program did not make ({', '.join(foreign)}): "
                f"name another database in DATABASE_URL, or rename those tables"
            )
        return False
    return _found(connection) == SCHEMA_VERSION


def _found(connection: Connection) -> str | None:
    return connection.execute(select(_version.c.version_num)).scalar()


def bring_up_to_date(connection: Connection) -> str | None:
    """Make or upgrade the tables, in the transaction of this connection; tells what was done, None for nothing.

    Whoever else wants the same waits: for SQLite's write lock, which this transaction holds, or for PostgreSQL's
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
    return f"made as version {SCHEMA_VERSION}"


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
