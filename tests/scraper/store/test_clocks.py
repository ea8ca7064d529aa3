"""Machines whose clocks differ share the work: due times and leases follow the database's clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from scraper.store import Batch, SaveOutcome, Store
from scraper.store.connection.database_clock import DatabaseClock
from scraper.store.connection.opening import open_database
from tests.scraper.store.stage import NOON, Stage, play
from tests.scraper.store.test_processes import Crew
from tests.support.postgres import PostgresServer

_AHEAD = timedelta(seconds=300)


class _Monotonic:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def _machine_ahead() -> datetime:
    return datetime.now(UTC) + _AHEAD


def test_the_clock_is_the_databases_and_goes_on_between_readings(postgres: PostgresServer) -> None:
    monotonic = _Monotonic()
    clock = DatabaseClock(machine=_machine_ahead, monotonic=monotonic)

    async def scenario() -> datetime:
        database, _ = await open_database(postgres.new_database())
        try:
            return await database.read(clock.read)
        finally:
            await database.close()

    assert clock() - datetime.now(UTC) > _AHEAD / 2, "nothing else is known yet"
    with structlog.testing.capture_logs() as logs:
        moment = play(scenario)
    assert abs(datetime.now(UTC) - moment) < _AHEAD / 2
    assert clock() == moment
    monotonic.seconds += 7.0
    assert clock() == moment + timedelta(seconds=7)
    (line,) = [line for line in logs if line["event"] == "clock_differs_from_database"]
    assert line["ahead_seconds"] == pytest.approx(300, abs=30)


def test_a_file_has_the_machines_clock(sqlite_stage: Stage) -> None:
    clock = DatabaseClock(machine=lambda: NOON)

    async def scenario() -> None:
        database, _ = await open_database(sqlite_stage.url)
        try:
            assert await database.read(clock.read) == NOON
        finally:
            await database.close()

    play(scenario)


def test_leases_end_by_the_databases_clock(postgres: PostgresServer) -> None:
    url = postgres.new_database()

    async def scenario() -> None:
        store = await Store.open(url, holder="here")
        try:
            await store.enter(["Bitcoin"])
            await store.lease(1, max_depth=1, refresh_after=60, seconds=60)
            left = await Stage(url).query(
                "SELECT extract(epoch FROM leased_until - clock_timestamp()) FROM reddit_frontier"
            )
            assert 30 < left[0][0] <= 60
        finally:
            await store.close()

    play(scenario)


def test_what_is_entered_is_due_whatever_the_clock_says(stage: Stage) -> None:
    """A server takes over whose clock is behind."""

    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            stage.clock.forward(-3600)
            (lease,) = await store.lease(9, max_depth=1, refresh_after=60, seconds=60)
            await store.save(Batch(outcomes=[SaveOutcome(lease.name, "open", finished=True)]))
            assert (await store.counts(max_depth=1, refresh_after=60)).done == 1

    play(scenario)


@pytest.fixture
def crew(postgres: PostgresServer, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(postgres.new_database(), tmp_path / "errors")
    yield crew
    crew.dismiss()


def test_a_machine_that_is_ahead_takes_no_more_than_its_part(crew: Crew) -> None:
    library = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("faketime is not installed: apt-get install faketime")
    names = [f"sub{at}" for at in range(60)]

    async def enter() -> None:
        store = await Store.open(crew.url, holder="test")
        await store.enter(names)
        await store.close()

    play(enter)
    ahead, right = crew.hire("ahead", "env", f"LD_PRELOAD={library}", "FAKETIME=+300s"), crew.hire("right")
    assert [worker.end() for worker in (ahead, right)] == [0, 0], crew.errors()
    done = [len([what for word, what in worker.said if word == "done"]) for worker in (ahead, right)]
    assert sum(done) == len(names)
    assert min(done) >= len(names) // 6, f"ahead and right did {done}"
