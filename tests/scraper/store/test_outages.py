"""The database goes and comes back: saving waits, asking says so, and it is told once."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.child import ChildContext
from core.errors import PermanentError
from scraper import scraper_process
from scraper.store import Batch, Store, StoreUnavailable
from scraper.store import store as store_module
from scraper.store.connection import database_url as address_module
from scraper.store.connection import opening as opening_module
from scraper.store.connection import outage_retry as patience_module
from scraper.store.connection import postgres_engine as postgres_module
from scraper.store.connection import sqlite_engine as sqlite_module
from tests.scraper.store.stage import Stage, a_post, play
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.waiting import wait_until, wait_until_async

Lines = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes seconds in production take parts of one."""
    monkeypatch.setattr(store_module, "_CALL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(opening_module, "_OPEN_TIMEOUT_S", 0.2)
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr(postgres_module, "_COMMAND_TIMEOUT", 1.0)
    monkeypatch.setattr(address_module, "_CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr(patience_module, "_LONGEST_BUSY", 0.2)


@pytest.fixture
def logs() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def _events(logs: Lines, *names: str) -> list[str]:
    return [str(line["event"]) for line in logs if line["event"] in names]


async def _until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait for a condition without holding up the loop."""
    await asyncio.to_thread(wait_until, condition, seconds, what)


async def _assert_outage_is_ridden_out(store: Store, come_back: Callable[[], object]) -> None:
    """Save into an absent database, see that it is said, bring it back, and see everything committed."""
    saving = [asyncio.create_task(store.save(Batch(posts=[a_post(f"p{at}")]))) for at in range(3)]
    await _until(lambda: store.away_since, "the outage to be noticed")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await store.lease(1, max_depth=1, refresh_after=60, seconds=60)
    late = asyncio.create_task(store.save(Batch(posts=[a_post("late")])))
    assert not any(task.done() for task in saving)
    come_back()
    async with asyncio.timeout(30):
        await asyncio.gather(*saving, late)
    assert store.away_since is None
    assert (await store.counts(max_depth=1, refresh_after=60)).posts == 4


def _assert_outage_is_logged_once(logs: Lines) -> None:
    assert _events(logs, "database_away", "database_back") == ["database_away", "database_back"]
    (back,) = [line for line in logs if line["event"] == "database_back"]
    assert back["seconds"] > 0
    assert PASSWORD not in str(logs)


@contextlib.asynccontextmanager
async def _on(postgres: PostgresServer) -> AsyncIterator[Store]:
    async with Stage(postgres.new_database()).open() as store:
        await store.enter(["Bitcoin"])
        yield store


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_saving_waits_for_a_server_that_is_started_again(postgres: PostgresServer, logs: Lines, end: str) -> None:
    async def scenario() -> None:
        async with _on(postgres) as store:
            getattr(postgres, end)()
            await _assert_outage_is_ridden_out(store, postgres.start)
            assert len(await store.lease(1, max_depth=1, refresh_after=60, seconds=60)) == 1

    play(scenario)
    _assert_outage_is_logged_once(logs)


def test_saving_waits_for_a_server_that_hangs(postgres: PostgresServer, logs: Lines) -> None:
    async def scenario() -> None:
        async with _on(postgres) as store:
            postgres.freeze()
            await _assert_outage_is_ridden_out(store, postgres.thaw)

    play(scenario)
    _assert_outage_is_logged_once(logs)


def test_connections_that_were_cut_are_replaced_without_anyone_noticing(postgres: PostgresServer) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gapless'"

    async def scenario() -> None:
        async with _on(postgres) as store:
            for _ in range(2):
                await asyncio.to_thread(postgres.execute, cut)
                await store.enter(["ethereum"])
                await asyncio.to_thread(postgres.execute, cut)
                await store.save(Batch(posts=[a_post()]))
                await asyncio.to_thread(postgres.execute, cut)
                assert (await store.counts(max_depth=1, refresh_after=60)).posts == 1

    play(scenario)


def test_saving_waits_for_a_file_that_another_program_holds(sqlite_stage: Stage, logs: Lines) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            holder = sqlite3.connect(sqlite_stage.file, isolation_level=None, check_same_thread=False)
            with contextlib.closing(holder):
                holder.execute("BEGIN EXCLUSIVE")
                await _assert_outage_is_ridden_out(store, lambda: holder.execute("ROLLBACK"))

    play(scenario)
    _assert_outage_is_logged_once(logs)


def test_a_file_that_is_held_for_a_moment_is_no_outage(sqlite_stage: Stage, logs: Lines) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            with contextlib.closing(sqlite3.connect(sqlite_stage.file, isolation_level=None)) as holder:
                holder.execute("BEGIN IMMEDIATE")
                saving = asyncio.create_task(store.save(Batch(posts=[a_post()])))
                await asyncio.wait([saving], timeout=0.15)
                assert not saving.done()
                holder.execute("ROLLBACK")
                await saving

    play(scenario)
    assert _events(logs, "database_away", "database_back") == []


def test_closing_while_it_is_away_gives_up_in_time_and_says_so(sqlite_stage: Stage, logs: Lines) -> None:
    async def scenario() -> None:
        store = await Store.open(sqlite_stage.url, holder="here")
        with contextlib.closing(sqlite3.connect(sqlite_stage.file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            saving = asyncio.create_task(store.save(Batch(posts=[a_post()])))
            await _until(lambda: store.away_since, "the outage to be noticed")
            async with asyncio.timeout(10):
                await store.close(seconds=0.1)
            with pytest.raises(StoreUnavailable, match="not saved"):
                await saving

    play(scenario)
    (line,) = [line for line in logs if line["event"] == "rows_dropped"]
    assert line["rows"] == 1


def _open(url: str) -> None:
    async def scenario() -> None:
        await (await Store.open(url, holder="here")).close()

    play(scenario)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.replace("gapless:", "gapless:wrong-"), "password authentication failed"),
        (lambda url: url.replace("gapless:", "nobody:"), "password authentication failed"),
        (lambda url: url.replace("/test_", "/no_test_"), "does not exist"),
        (lambda url: f"{url}?no_such_setting=1", "no_such_setting"),
        (lambda url: f"{url}?sslmode=require", "SSL"),
        (lambda url: f"{url}?sslmode=maybe", "sslmode"),
    ],
)
def test_a_server_that_will_never_let_us_in_is_a_persons_matter(
    postgres: PostgresServer, change: Callable[[str], str], says: str
) -> None:
    with pytest.raises(PermanentError, match=says) as caught:
        _open(change(postgres.new_database()))
    assert "DATABASE_URL" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_server_that_is_not_there_may_come(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    postgres.stop()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        _open(url)


def test_a_stop_takes_no_longer_than_it_may_while_the_database_is_away(postgres: PostgresServer) -> None:
    """Rows still wait to be written, and the password has changed: the supervisor would kill a process that waits."""
    url = postgres.new_database()
    context = ChildContext("scraper-a", structlog.stdlib.get_logger(), deadline=lambda: began + 1.0)
    began = 0.0

    async def scenario() -> None:
        nonlocal began
        store = await Store.open(url, holder="here/scraper-a")
        postgres.stop()
        waiting = asyncio.create_task(store.save(Batch(posts=[a_post("p1")])))
        await wait_until_async(lambda: store.away_since is not None, "the database to be away", 10.0)
        began = time.monotonic()
        await scraper_process._close_store(context, store)  # noqa: SLF001
        assert time.monotonic() - began < 4.0, "one second, and the attempt that is in progress"
        with pytest.raises((StoreUnavailable, asyncio.CancelledError)):
            await waiting

    play(scenario)


def test_a_host_that_nobody_knows_may_be_known_later() -> None:
    with pytest.raises(StoreUnavailable):
        _open("postgresql://u:hush@no-such-host.invalid/x")


def test_what_cannot_be_a_database_file_is_a_persons_matter(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and it is longer than a header would be\n" * 100)
    for place in (tmp_path, tmp_path / "text", tmp_path / "text" / "reddit.db", Path("/proc/reddit.db")):
        with pytest.raises(PermanentError, match="DATABASE_URL must name a file"):
            _open(f"sqlite:///{place}")


def test_the_tests_leave_the_server_as_they_found_it(postgres: PostgresServer) -> None:
    wait_until(lambda: postgres.server.running, what="the server to run")
