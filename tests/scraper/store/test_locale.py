"""What a database's encoding and locale do to texts and names: nothing, or it is refused."""

import shutil
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from core.config import Config, DatabaseSection
from core.errors import PermanentError
from scraper.store import Batch, Found, SaveOutcome, Store
from scraper.store.batches.name_key import name_key
from scraper.store.schema import migrate as migrate_module
from scraper.store.schema.migrate import SCRIPTS, VERSION_TABLE
from scraper.store.schema.tables import SCHEMA_VERSION
from supervisor.checks import probes
from tests.scraper.store.stage import Stage, a_rule, a_subreddit, a_user, later, play
from tests.support.postgres import PostgresServer

_DAY = 86_400.0


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_an_encoding_that_cannot_hold_every_character_is_refused(postgres: PostgresServer, encoding: str) -> None:
    url = postgres.new_database(f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(PermanentError, match=rf"the encoding {encoding}, .*ENCODING 'UTF8'"):
        play(lambda: Store.open(url, holder="here"))
    (finding,) = probes.probe_database(Config(database=DatabaseSection(url=url)))
    assert not finding.ok
    assert f"the encoding {encoding}" in finding.text


def test_every_character_is_held(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(subreddits=[a_subreddit(title="Köln \u2019 \U0001f921")]))
        assert await stage.query("SELECT title FROM reddit_subreddits") == [("Köln \u2019 \U0001f921",)]

    play(scenario)


def _turkish(postgres: PostgresServer) -> str:
    """Make a Turkish locale, for which the lower case of I has no dot, and a database in it."""
    localedef = shutil.which("localedef")
    target = postgres.locales / "tr_TR.UTF-8"
    if not target.exists():
        if localedef is None or not Path("/usr/share/i18n/locales/tr_TR").exists():
            pytest.skip("localedef and its sources are not installed: no Turkish locale can be made")
        subprocess.run([localedef, "-i", "tr_TR", "-f", "UTF-8", str(target)], check=True, timeout=60)
        postgres.give(postgres.locales)
    return postgres.new_database("ENCODING 'UTF8' LOCALE 'tr_TR.UTF-8'")


@pytest.fixture(params=["sqlite", "postgresql", "turkish"])
def any_stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """An empty database of each kind, and one in a Turkish locale."""
    if request.param == "sqlite":
        return Stage(f"sqlite:///{tmp_path / 'reddit.db'}")
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return Stage(_turkish(postgres) if request.param == "turkish" else postgres.new_database())


def test_names_are_one_in_every_spelling(any_stage: Stage) -> None:
    async def scenario() -> None:
        async with any_stage.open() as store:
            await store.enter(["BITCOIN"])
            await store.save(Batch(found=[Found("bitcoin", 1), Found("Bitcoin", 1)]))
            (lease,) = await store.lease(9, max_depth=1, refresh_after=_DAY, seconds=60)
            for at, name in enumerate(["BITCOIN", "bitcoin", "BitCoin"]):
                rules = {name: [a_rule(0, later(at), subreddit_name=name)]}
                await store.save(Batch(subreddits=[a_subreddit(name, later(at))], rules=rules))
                claims = await store.claim_users([f"{name}_I"], refresh_after=_DAY, seconds=60)
                assert (claims.mine, claims.fresh) == (((f"{name}_I",), ()) if at == 0 else ((), (f"{name}_I",)))
                await store.save(Batch(users=[a_user(f"{name}_I", later(at))]))
            await store.save(Batch(outcomes=[SaveOutcome(lease.name, "open", finished=True)]))
            assert await store.lease(9, max_depth=1, refresh_after=_DAY, seconds=60) == []
            assert len(await store.author_facts(["BITCOIN_I", "bitcoin_i"])) == 1
        for table, column in (("subreddits", "name"), ("users", "username"), ("frontier", "name")):
            assert len(await any_stage.query(f"SELECT {column} FROM reddit_{table}")) == 1
        assert await any_stage.query("SELECT subreddit_name FROM reddit_rules") == [("BitCoin",)]

    play(scenario)


@pytest.mark.parametrize("review", ["skip", "SKIP", " Skip "])
def test_a_review_is_read_in_every_spelling(any_stage: Stage, review: str) -> None:
    async def scenario() -> None:
        async with any_stage.open() as store:
            await store.enter(["IRELAND"])
            await any_stage.query(f"INSERT INTO reddit_subreddits (name, review) VALUES ('Ireland', '{review}')")
            assert await store.lease(9, max_depth=1, refresh_after=_DAY, seconds=60) == []

    play(scenario)


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Stage], Coroutine[Any, Any, None]]:
    """What makes the tables of the version before the names' collation."""
    scripts = tmp_path / "older"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("r0004.py", "r0005.py", "__pycache__"))

    async def make(stage: Stage) -> None:
        await stage.query(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)")
        with monkeypatch.context() as patch:
            patch.setattr(migrate_module, "SCRIPTS", scripts)
            patch.setattr(migrate_module, "SCHEMA_VERSION", "0003")
            async with stage.open():
                pass

    return make


def test_an_older_turkish_database_is_upgraded(
    postgres: PostgresServer, older: Callable[[Stage], Coroutine[Any, Any, None]]
) -> None:
    """There "IMAGE" and "image" were two rows; what a person wrote into either stays."""
    stage = Stage(_turkish(postgres))

    async def scenario() -> None:
        await older(stage)
        await stage.query(
            "INSERT INTO reddit_frontier (name, spelling, depth, due_at, entered_at) "
            "VALUES ('image', 'IMAGE', 0, '2026-01-01', '2026-01-01')"
        )
        await stage.query(
            "INSERT INTO reddit_subreddits (name, review, tags, fetched_at, title) VALUES "
            "('IMAGE', 'SKIP', NULL, '2026-01-01', 'old'), ('image', NULL, 'art', '2026-02-01', 'new'), "
            "('other', NULL, NULL, NULL, NULL)"
        )
        await stage.query(
            "INSERT INTO reddit_users (username, state, fetched_at) VALUES ('II', 'active', '2026-01-01'), "
            "('ii', 'active', '2026-02-01')"
        )
        async with stage.open() as store:
            assert await store.lease(9, max_depth=1, refresh_after=_DAY, seconds=60) == []
            await stage.query("UPDATE reddit_subreddits SET review = NULL WHERE lower(name) = 'image'")
            assert len(await store.lease(9, max_depth=1, refresh_after=_DAY, seconds=60)) == 1
        rows = await stage.query("SELECT name, tags FROM reddit_subreddits ORDER BY name")
        assert rows == [("IMAGE", "art"), ("other", None)]
        assert await stage.query("SELECT username FROM reddit_users") == [("ii",)]

    play(scenario)


def test_views_that_keep_the_tables_from_an_upgrade_are_named(
    postgres: PostgresServer, older: Callable[[Stage], Coroutine[Any, Any, None]]
) -> None:
    stage = Stage(postgres.new_database())

    async def scenario() -> None:
        await older(stage)
        await stage.query("CREATE VIEW of_mine AS SELECT name FROM reddit_subreddits")
        with pytest.raises(PermanentError, match=r"of_mine.*drop the views"):
            await Store.open(stage.url, holder="here")
        await stage.query("DROP VIEW of_mine")
        async with stage.open():
            pass
        assert await stage.query(f"SELECT version_num FROM {VERSION_TABLE}") == [(SCHEMA_VERSION,)]

    play(scenario)


@pytest.mark.parametrize(
    ("name", "key"), [("BitCoin_1", "bitcoin_1"), ("I\u0130\u0131", "i\u0130\u0131"), ("\u212a", "\u212a")]
)
def test_only_a_to_z_have_a_lower_case(name: str, key: str) -> None:
    assert name_key(name) == key
