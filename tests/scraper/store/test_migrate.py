"""Tables are made once, older ones are brought up to date, and newer or foreign ones are left alone."""

import asyncio
import shutil
from pathlib import Path

import pytest
import structlog
from sqlalchemy import Connection

from core.errors import PermanentError
from scraper.store import Batch, Store
from scraper.store.connection.opening import open_database
from scraper.store.schema import migrate as migrate_module
from scraper.store.schema.migrate import SCRIPTS, VERSION_TABLE
from scraper.store.schema.tables import SCHEMA_VERSION, metadata
from tests.scraper.store.stage import Stage, a_post, play

_NEXT_STEP = '''
"""A step that only this test knows."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{0}"


def upgrade() -> None:
    op.add_column("reddit_posts", sa.Column("mood", sa.Text()))
    op.execute("UPDATE reddit_posts SET mood = 'calm'")
'''


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of tomorrow: the same, and one step more."""
    scripts = tmp_path / "100% tomorrow"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "r_next.py").write_text(_NEXT_STEP.format(SCHEMA_VERSION))
    monkeypatch.setattr(migrate_module, "SCRIPTS", scripts)
    monkeypatch.setattr(migrate_module, "SCHEMA_VERSION", "next")


def _empty_of_a_version(stage: Stage) -> None:
    """Leave an empty version table, as alembic does where it began and was killed: everything is to be done."""

    async def scenario() -> None:
        if stage.is_sqlite:
            stage.file.parent.mkdir(parents=True)
        await stage.query(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)")

    play(scenario)


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # their names are compared below
def test_the_steps_lead_to_the_same_tables_as_making_them(stage: Stage) -> None:
    def differences(connection: Connection) -> list[object]:
        from alembic.autogenerate import compare_metadata  # noqa: PLC0415
        from alembic.migration import MigrationContext  # noqa: PLC0415

        options = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return list(found)

    async def scenario() -> None:
        database, _ = await open_database(stage.url)
        try:
            assert await database.read(differences) == []
        finally:
            await database.close()
        assert await stage.query(f"SELECT * FROM {VERSION_TABLE}") == [(SCHEMA_VERSION,)]

    _empty_of_a_version(stage)
    play(scenario)


def test_made_and_migrated_files_have_the_same_columns_in_the_same_order(tmp_path: Path) -> None:
    made, migrated = Stage(f"sqlite:///{tmp_path}/made/x.db"), Stage(f"sqlite:///{tmp_path}/migrated/x.db")
    _empty_of_a_version(migrated)

    async def described(stage: Stage) -> dict[str, object]:
        async with stage.open():
            pass
        tables = [*metadata.tables]
        about = {table: await stage.query(f"SELECT * FROM pragma_table_info('{table}')") for table in tables}
        foreign = {
            f"{table}'s": await stage.query(f"SELECT * FROM pragma_foreign_key_list('{table}')") for table in tables
        }
        indexes = await stage.query("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' ORDER BY 1")
        return about | foreign | {"indexes": indexes}

    async def scenario() -> None:
        assert await described(made) == await described(migrated)

    play(scenario)


@pytest.mark.usefixtures("next_version")
def test_an_older_database_is_brought_up_to_date_by_one_of_many(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def yesterday() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(migrate_module, "SCHEMA_VERSION", SCHEMA_VERSION)
            async with stage.open() as store:
                await store.save(Batch(posts=[a_post("old")]))

    async def today() -> None:
        stores = await asyncio.gather(*(Store.open(stage.url, holder=f"p{at}") for at in range(4)))
        await stores[0].save(Batch(posts=[a_post("new")]))
        for store in stores:
            await store.close()
        moods = await stage.query("SELECT reddit_id, mood FROM reddit_posts ORDER BY 1 DESC")
        assert moods == [("old", "calm"), ("new", None)]

    play(yesterday)
    with structlog.testing.capture_logs() as logs:
        play(today)
    prepared = [line["tables"] for line in logs if line["event"] == "database_prepared"]
    assert prepared == [f"upgraded from version {SCHEMA_VERSION} to next"]


def test_of_many_that_find_nothing_one_makes_the_tables(stage: Stage) -> None:
    async def scenario() -> None:
        stores = await asyncio.gather(*(Store.open(stage.url, holder=f"p{at}") for at in range(4)))
        for store in stores:
            await store.close()

    with structlog.testing.capture_logs() as logs:
        play(scenario)
    assert [line["event"] for line in logs if line["event"].startswith("database_")] == ["database_prepared"]


def test_a_newer_database_is_left_alone(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(posts=[a_post()]))
        await stage.query(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        with pytest.raises(PermanentError, match=r"newer version \(9999\).*update the program"):
            await Store.open(stage.url, holder="here")
        assert await stage.query(f"SELECT * FROM {VERSION_TABLE}") == [("9999",)]
        assert len(await stage.query("SELECT * FROM reddit_posts")) == 1

    play(scenario)


def test_tables_of_another_program_are_left_alone(stage: Stage) -> None:
    async def scenario() -> None:
        if stage.is_sqlite:
            stage.file.parent.mkdir(parents=True)
        await stage.query("CREATE TABLE reddit_posts (id INTEGER)")
        with pytest.raises(PermanentError, match=r"reddit_posts.*another database"):
            await Store.open(stage.url, holder="here")

    play(scenario)


@pytest.mark.usefixtures("next_version")
def test_a_step_that_fails_leaves_everything_as_it_was(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(migrate_module, "SCHEMA_VERSION", SCHEMA_VERSION)
            async with stage.open() as store:
                await store.save(Batch(posts=[a_post()]))
        step = migrate_module.SCRIPTS / "versions" / "r_next.py"
        step.write_text(step.read_text().replace("'calm'", "no_such_column"))
        with pytest.raises(PermanentError, match="no_such_column"):
            await Store.open(stage.url, holder="here")
        assert await stage.query(f"SELECT * FROM {VERSION_TABLE}") == [(SCHEMA_VERSION,)]
        assert "mood" not in str(await stage.query("SELECT * FROM reddit_posts"))

    play(scenario)
    if stage.is_sqlite:
        columns = play(lambda: stage.query("SELECT name FROM pragma_table_info('reddit_posts')"))
    else:
        named = "SELECT column_name FROM information_schema.columns WHERE table_name = 'reddit_posts'"
        columns = play(lambda: stage.query(named))
    assert ("mood",) not in columns
