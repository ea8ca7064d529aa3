"""The report of `check --connect` about the database: the login, and the version of its tables."""

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import Config, DatabaseSection
from scraper.store.schema.migrate import VERSION_TABLE
from scraper.store.schema.tables import SCHEMA_VERSION
from scraper.store.store import Store
from supervisor.checks import probes
from tests.support.postgres import USER, PostgresServer


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _probe_database(url: str) -> tuple[bool, str]:
    (finding,) = probes.probe_database(Config(database=DatabaseSection(url=url)))
    return finding.ok, finding.text


def test_a_database_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is not a database, however long it may be" * 100)
    ok, text = _probe_database(f"sqlite:///{tmp_path}/x.db")
    assert not ok
    assert "file is not a database" in text


def test_a_database_file_that_is_one(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (x)")
    assert _probe_database(f"sqlite:///{tmp_path}/x.db")[0]


def test_a_file_in_the_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ok, text = _probe_database(f"sqlite:///{tmp_path}/file/deeper/x.db")
    assert not ok
    assert "is a file, not a directory: correct database.url" in text


def test_the_version_of_the_tables_is_told(tmp_path: Path) -> None:
    url, path = f"sqlite:///{tmp_path}/x.db", tmp_path / "x.db"
    asyncio.run(_made(url))
    assert _probe_database(url) == (True, f"{path} is readable and writable; tables of version {SCHEMA_VERSION}")
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    ok, text = _probe_database(url)
    assert not ok
    assert "version 9999, newer than" in text
    assert "update Gapless" in text
    with sqlite3.connect(path) as database:
        database.execute(f"DROP TABLE {VERSION_TABLE}")
    assert _probe_database(url)[0], "SQLite: what stands in it is seen at the start"


async def _made(url: str) -> None:
    await (await Store.open(url, holder="test")).close()


def test_postgresql_is_entered_with_user_and_password(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    ok, text = _probe_database(url)
    assert (ok, "accepts the login (PostgreSQL " in text, text.endswith("the scraper will create the tables")) == (
        True,
        True,
        True,
    )
    asyncio.run(_made(url))
    assert _probe_database(url)[1].endswith(f"tables of version {SCHEMA_VERSION}")
    ok, text = _probe_database(f"postgresql://{USER}:hunter@127.0.0.1:{postgres.port}/postgres")
    assert not ok
    assert "password authentication failed" in text
    assert "check user, password, host, database name and parameters in DATABASE_URL" in text
    ok, text = _probe_database(f"{url}?sslmode=require")
    assert (ok, "offers no TLS" in text, "password" in text) == (False, True, False), "the advice fits the error"
    ok, text = _probe_database(postgres.url("nowhere"))
    assert (ok, "hunter" in text, '"nowhere" does not exist' in text) == (False, False, True)


def test_a_postgresql_that_says_nothing(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_TIMEOUT_S", 0.3)
    ok, text = _probe_database(f"postgresql://u:hunter@127.0.0.1:{listener}/name")
    assert (ok, "check that PostgreSQL runs" in text, "hunter" in text) == (False, True, False)
