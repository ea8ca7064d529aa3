"""Behind a pooler that hands each transaction to another connection, all is as it is without one."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from core.config import Config, DatabaseSection
from core.errors import PermanentError
from scraper.store import Batch, SaveOutcome, Store
from scraper.store.connection.database_clock import machine_clock
from scraper.store.connection.opening import open_database
from scraper.store.connection.outage_retry import OutageRetry
from supervisor.checks import probes
from tests.scraper.store.stage import Stage, a_post, play
from tests.support import pgbouncer
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer


@pytest.fixture
def pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode, in front of an empty database."""
    with _running(postgres) as server:
        yield server


@contextlib.contextmanager
def _running(postgres: PostgresServer, **settings: Any) -> Iterator[PgBouncer]:
    if pgbouncer.program() is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    server = PgBouncer(postgres, urlsplit(postgres.new_database()).path[1:], **settings)
    try:
        server.start()
        yield server
    finally:
        server.dispose()


async def _crawl(store: Store, saved: set[str]) -> None:
    while leases := await store.lease(2, max_depth=1, refresh_after=60, seconds=60):
        for lease in leases:
            posts = [a_post(f"{lease.name}{at}") for at in range(5)]
            await asyncio.gather(
                store.save(Batch(posts=posts, outcomes=[SaveOutcome(lease.name, "open", finished=True)])),
                store.counts(max_depth=1, refresh_after=60),
                store.claim_users([f"of_{lease.name}"], refresh_after=60, seconds=60),
            )
            assert lease.name not in saved
            saved.add(lease.name)


def test_three_processes_share_the_work_through_it(pooler: PgBouncer) -> None:
    names = {f"sub{at}" for at in range(30)}

    async def scenario() -> None:
        stage = Stage(pooler.url)
        saved: set[str] = set()
        async with stage.open("a") as one, stage.open("b") as two, stage.open("c") as three:
            await one.enter(sorted(names))
            await asyncio.gather(*(_crawl(store, saved) for store in (one, two, three)))
            assert saved == names
            assert (await one.counts(max_depth=1, refresh_after=60)).posts == 150
            assert [store.away_since for store in (one, two, three)] == [None] * 3

    with structlog.testing.capture_logs() as logs:
        play(scenario)
    told = [line["event"] for line in logs if line["log_level"] not in ("debug", "info")]
    assert told == []
    assert [line["event"] for line in logs].count("prepared_statements_off") == 3


@pytest.mark.parametrize(("size", "processes"), [(1, 1)])
def test_in_session_mode_with_too_few_connections_all_get_their_turn(
    postgres: PostgresServer, size: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client keeps its connection to the server there: whoever needs more waits for ever, without a word."""
    for place in ("engine.KEPT_BEHIND_POOLER", "postgres_engine.KEPT_BEHIND_POOLER", "postgres_engine._FIRST_ANSWER"):
        monkeypatch.setattr(f"scraper.store.connection.{place}", 1.0)
    names = {f"sub{at}" for at in range(10)}

    async def scenario(url: str) -> None:
        stage = Stage(url)
        saved: set[str] = set()
        async with contextlib.AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(stage.open(f"p{at}")) for at in range(processes)]
            await stores[0].enter(sorted(names))
            async with asyncio.timeout(60.0):
                await asyncio.gather(*(_crawl(store, saved) for store in stores))
            assert saved == names
            assert [store.away_since for store in stores] == [None] * processes

    with _running(postgres, mode="session", size=size) as pooler, structlog.testing.capture_logs() as logs:
        play(lambda: scenario(pooler.url))
    said = [line for line in logs if line["event"] == "database_connections_short"]
    assert 1 <= len(said) <= processes
    assert "default_pool_size" in said[0]["hint"]


def test_statement_mode_is_refused_with_the_setting_to_change(postgres: PostgresServer) -> None:
    """No transaction can work through it, so waiting would never end."""

    async def scenario(url: str) -> None:
        with pytest.raises(PermanentError, match="pool_mode = transaction"):
            await Store.open(url, holder="a")

    with _running(postgres, mode="statement") as pooler:
        play(lambda: scenario(pooler.url))
        (found,) = probes.probe_database(Config(database=DatabaseSection(url=pooler.url)))
        assert (found.ok, "pool_mode = transaction" in found.text) == (False, True)


def test_a_check_goes_through_it(pooler: PgBouncer) -> None:
    (finding,) = probes.probe_database(Config(database=DatabaseSection(url=pooler.url)))
    assert (finding.ok, "accepts the login" in finding.text) == (True, True)


def test_without_one_statements_stay_prepared(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        async with Stage(postgres.new_database()).open() as store:
            await store.save(Batch(posts=[a_post()]))

    with structlog.testing.capture_logs() as logs:
        play(scenario)
    assert "prepared_statements_off" not in [line["event"] for line in logs]


def test_a_statement_that_is_missed_is_prepared_anew(postgres: PostgresServer) -> None:
    """A pooler that cannot be seen takes the prepared statements away."""

    async def scenario() -> None:
        database, place = await open_database(postgres.new_database())
        patience = OutageRetry(place, machine_clock)

        async def ask(sql: str) -> int:
            return await patience.run(lambda: database.write(lambda on: on.exec_driver_sql(sql).rowcount))

        try:
            assert await ask("SELECT 1") == 1
            await ask("DEALLOCATE ALL")
            for _ in range(3):
                assert await ask("SELECT 1") == 1
        finally:
            await database.close()

    with structlog.testing.capture_logs() as logs:
        play(scenario)
    assert [line["event"] for line in logs].count("prepared_statements_off") == 1
