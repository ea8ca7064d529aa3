"""Every real answer through parsing, into both databases and back: equal field by field."""

import asyncio
import types
import typing
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scraper.parse.posts import posts
from scraper.parse.subreddits import subreddit
from scraper.parse.users import user
from scraper.reddit.rows import Post, Subreddit, User
from scraper.store.batches.batch import Batch
from scraper.store.store import Store
from tests.scraper.samples import listing, samples
from tests.support.postgres import PostgresServer
from tests.support.tables import Tables

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
Row = Subreddit | Post | User


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'reddit.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def save(database: str, batches: Sequence[Batch]) -> None:
    async def scenario() -> None:
        store = await Store.open(database, holder="test/samples")
        try:
            await asyncio.gather(*map(store.save, batches))
        finally:
            await store.close()

    asyncio.run(scenario())


def stored(database: str, table: str, kind: type[Row]) -> list[Row]:
    """Read rows without the help of what wrote them: SQLite keeps times as text in UTC, and booleans as numbers."""
    hints = typing.get_type_hints(kind)
    return [
        kind(**{field: _value(row[field], hints[field]) for field in kind._fields})
        for row in Tables(database).rows(f"SELECT * FROM {table}")
    ]


def _value(value: Any, declared: Any) -> Any:
    kinds = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
    if datetime in kinds and isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return bool(value) if bool in kinds and isinstance(value, int) else value


def expect(database: str, table: str, rows: Sequence[Row], key: Callable[[Row], str]) -> None:
    """Compare with what was parsed; of the same thing sampled twice either is right, for they came at one moment."""
    given: dict[str, list[Row]] = {}
    for row in rows:
        given.setdefault(key(row), []).append(row)
    found = {key(row): row for row in stored(database, table, type(rows[0]))}
    assert found.keys() == given.keys()
    for name, row in found.items():
        assert row in given[name], f"{row._asdict()} is none of {[one._asdict() for one in given[name]]}"
        assert [*map(type, row)] in [[*map(type, one)] for one in given[name]]


def test_every_subreddit(database: str) -> None:
    rows = [subreddit(data, NOW) for data in samples("t5")]
    save(database, [Batch(subreddits=[row]) for row in rows])
    expect(database, "reddit_subreddits", rows, lambda row: row[0].lower())


def test_every_post(database: str) -> None:
    originals = samples("t3")
    pages = [posts(listing(originals[start : start + 30]), NOW).rows for start in range(0, len(originals), 30)]
    save(database, [Batch(posts=page) for page in pages])
    expect(database, "reddit_posts", [row for page in pages for row in page], lambda row: row[0])


def test_every_user(database: str) -> None:
    rows = [user(data, NOW) for data in samples("t2")]
    save(database, [Batch(users=rows)])
    expect(database, "reddit_users", rows, lambda row: row[0].lower())
