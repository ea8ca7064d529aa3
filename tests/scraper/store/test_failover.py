"""A server hands its work to another one: the connections to the old one are thrown away, and saving goes on."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import structlog

from core.errors import PermanentError
from scraper.store import Batch, SaveOutcome, Store, StoreUnavailable
from scraper.store import store as store_module
from scraper.store.connection import opening as opening_module
from scraper.store.connection import outage_retry as patience_module
from scraper.store.connection import postgres_engine as postgres_module
from tests.scraper.store.stage import Stage, a_post, a_subreddit, play
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer, Standby


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes seconds in production take parts of one."""
    monkeypatch.setattr(store_module, "_CALL_TIMEOUT_S", 0.5)
    monkeypatch.setattr(opening_module, "_OPEN_TIMEOUT_S", 0.5)
    monkeypatch.setattr(postgres_module, "_COMMAND_TIMEOUT", 1.0)
    monkeypatch.setattr(patience_module, "_LONGEST_BUSY", 0.5)


@pytest.fixture
def standby(postgres: PostgresServer) -> Iterator[Standby]:
    """A second server, which follows the first one."""
    server = Standby(postgres)
    try:
        server.start()
        yield server
    finally:
        server.dispose()


def _of_both(url: str, first: int, second: int, parameters: str = "") -> str:
    """Name two servers in an address of one."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    return url.replace(place, f"127.0.0.1:{first},127.0.0.1:{second}") + parameters


async def _saved(store: Store, reddit_id: str) -> None:
    async with asyncio.timeout(30):
        await store.save(Batch(posts=[a_post(reddit_id)]))


@pytest.mark.parametrize("end", ["stop", "freeze"])
def test_the_standby_takes_over(postgres: PostgresServer, standby: Standby, end: str) -> None:
    url = _of_both(postgres.new_database(), postgres.port, standby.port, "?connect_timeout=0.5")

    async def scenario() -> None:
        async with Stage(url).open() as store:
            await store.enter(["Bitcoin"])
            await _saved(store, "before")
            await asyncio.to_thread(standby.catch_up)
            await asyncio.to_thread(getattr(postgres, end))
            saving = asyncio.create_task(_saved(store, "after"))
            await asyncio.to_thread(standby.promote)
            await saving
            assert (await store.counts(max_depth=1, refresh_after=60)).posts == 2
            assert store.away_since is None
        found = standby.ask("SELECT count(*) FROM reddit_posts", urlsplit(url).path[1:])
        assert found == 2

    play(scenario)


def test_the_first_of_the_list_is_a_standby(postgres: PostgresServer, standby: Standby) -> None:
    url = postgres.new_database()
    standby.catch_up()

    async def scenario() -> None:
        for parameters in ("", "?target_session_attrs=primary", "?target_session_attrs=read-write"):
            async with Stage(_of_both(url, standby.port, postgres.port, parameters)).open() as store:
                await _saved(store, "x")
        place = url.replace(f":{postgres.port}/", f":{standby.port}/")
        with pytest.raises(StoreUnavailable, match="accepts no writes"):
            await Store.open(f"{place}?target_session_attrs=read-write", holder="here")

    play(scenario)


def test_what_the_new_server_never_heard_of_is_not_called_done(postgres: PostgresServer) -> None:
    """The last transactions may be lost with a server; the lease then is one of them."""

    async def scenario() -> None:
        stage = Stage(postgres.new_database())
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            await store.lease(1, max_depth=1, refresh_after=60, seconds=60)
            await store.save(Batch(subreddits=[a_subreddit()]))
            await stage.query("UPDATE reddit_frontier SET leased_by = NULL, leased_until = NULL, due_at = '2001-01-01'")
            await stage.query("DELETE FROM reddit_subreddits")
            await store.save(Batch(outcomes=[SaveOutcome("Bitcoin", "open", finished=True)]))
            assert len(await store.lease(1, max_depth=1, refresh_after=60, seconds=60)) == 1

    play(scenario)


def test_sessions_that_became_read_only_are_replaced(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    name = urlsplit(url).path[1:]

    async def scenario() -> None:
        async with Stage(url).open() as store:
            await asyncio.gather(_saved(store, "a"), store.enter(["Bitcoin"]))
            try:
                for statement in (
                    f"ALTER DATABASE {name} SET default_transaction_read_only = off",
                    "ALTER SYSTEM SET default_transaction_read_only = on",
                    "SELECT pg_reload_conf()",
                ):
                    await asyncio.to_thread(postgres.execute, statement)
                for at in range(3):
                    await asyncio.gather(_saved(store, f"b{at}"), store.enter([f"sub{at}"]))
                assert store.away_since is None
            finally:
                await asyncio.to_thread(_undo, postgres)

    with structlog.testing.capture_logs() as logs:
        play(scenario)
    assert [line["event"] for line in logs if line["event"] == "rows_refused"] == []


def _undo(postgres: PostgresServer) -> None:
    postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
    postgres.execute("SELECT pg_reload_conf()")


def test_servers_that_are_not_there_are_each_named() -> None:
    first, second = free_port(), free_port()
    url = f"postgresql://u:hush@127.0.0.1:{first},127.0.0.1:{second}/x"
    with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{first}: .*127\.0\.0\.1:{second}: ") as caught:
        play(lambda: Store.open(url, holder="here"))
    assert "hush" not in str(caught.value)


def test_a_wrong_password_is_not_tried_on_all_of_them(postgres: PostgresServer) -> None:
    url = _of_both(postgres.url(), postgres.port, postgres.port).replace("gapless:", "gapless:wrong-")
    with pytest.raises(PermanentError, match="password authentication failed"):
        play(lambda: Store.open(url, holder="here"))
