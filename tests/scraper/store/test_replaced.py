"""A database is deleted, moved or replaced while it is open: it is said, and all go on in the one that is there."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.errors import PermanentError
from scraper.store import Batch, SaveOutcome, Store
from scraper.store.schema.migrate import VERSION_TABLE
from scraper.store.schema.tables import metadata
from tests.scraper.store.stage import Stage, a_post, a_subreddit, play
from tests.scraper.store.test_processes import Crew
from tests.support.waiting import wait_until

Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def _said(logs: Lines) -> list[tuple[str, str]]:
    return [(str(line["event"]), str(line.get("reason", ""))) for line in logs if "replaced" in str(line["event"])]


def _remove_all(file: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


def _move(file: Path) -> None:
    file.rename(file.with_name("elsewhere.db"))


def _move_all(file: Path) -> None:
    for each in list(file.parent.glob(f"{file.name}*")):
        each.rename(each.with_name(each.name.replace("reddit", "elsewhere")))


def _remove_directory(file: Path) -> None:
    shutil.rmtree(file.parent)


def _move_directory(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


def _put_an_empty_one(file: Path) -> None:
    fresh = file.with_name("fresh.db")
    fresh.touch()
    fresh.replace(file)


def _put_another_programs(file: Path) -> None:
    fresh = file.with_name("fresh.db")
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    fresh.replace(file)


_CHANGES = [_remove_all, _move, _move_all, _remove_directory, _move_directory, _put_an_empty_one, _put_another_programs]


async def _lease(store: Store) -> list[str]:
    return sorted(lease.name for lease in await store.lease(9, max_depth=1, refresh_after=60, seconds=60))


@pytest.mark.parametrize("change", _CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_all_go_on_in_the_file_that_is_there(sqlite_stage: Stage, logs: Lines, change: Callable[[Path], None]) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open("a") as one, sqlite_stage.open("b") as other:
            for store in (one, other):
                await store.enter(["Bitcoin", "ethereum"])
                await store.save(Batch(posts=[a_post("before")]))
            assert await _lease(one) == ["Bitcoin", "ethereum"]
            change(sqlite_stage.file)
            assert (await one.counts(max_depth=1, refresh_after=60)).posts == 0, "reading finds it out too"
            await other.save(Batch(posts=[a_post("after")]))
            assert await _lease(other) == ["Bitcoin", "ethereum"], "where the crawl starts is entered again"
            assert await sqlite_stage.query("SELECT reddit_id FROM reddit_posts") == [("after",)]
            for store in (one, other):
                assert store.database_replaced is not None
                assert store.away_since is None
        assert await sqlite_stage.query("PRAGMA integrity_check") == [("ok",)]

    play(scenario)
    assert [event for event, _ in _said(logs)] == ["database_replaced"] * 2


@pytest.mark.parametrize("endings", [("-wal", "-shm"), ("-wal",), ("-shm",)])
def test_a_deleted_log_takes_no_rows_with_it(sqlite_stage: Stage, logs: Lines, endings: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.enter(["Bitcoin"])
            await store.save(Batch(posts=[a_post("before")]))
            for ending in endings:
                sqlite_stage.file.with_name(f"reddit.db{ending}").unlink()
            await store.save(Batch(posts=[a_post("after")]))
            await store.save(Batch(posts=[a_post("later")]))
            rows = await sqlite_stage.query("SELECT reddit_id FROM reddit_posts ORDER BY 1")
            assert rows == [("after",), ("before",), ("later",)]
        assert await sqlite_stage.query("PRAGMA integrity_check") == [("ok",)]

    play(scenario)
    assert _said(logs) == [("database_replaced", "its -wal or -shm file was deleted or replaced")]


@pytest.fixture
def crew(sqlite_stage: Stage, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(sqlite_stage.url, tmp_path / "errors")
    yield crew
    crew.dismiss()


def test_processes_that_write_together_survive_the_loss_of_their_log(sqlite_stage: Stage, crew: Crew) -> None:
    names = [f"sub{at}" for at in range(40)]

    async def enter() -> None:
        async with sqlite_stage.open() as store:
            await store.enter(names)

    play(enter)
    workers = [crew.hire(f"p{at}") for at in range(3)]
    for heard, endings in ((10, ("-wal",)), (20, ("-shm",)), (30, ("-wal", "-shm"))):
        wait_until(lambda: len(crew.said("done")) >= heard, 60.0, "the workers to work")  # noqa: B023
        for ending in endings:
            sqlite_stage.file.with_name(f"reddit.db{ending}").unlink(missing_ok=True)
    assert [worker.end() for worker in workers] == [0] * 3, crew.errors()
    assert crew.errors() == ""
    assert set(crew.said("done")) == set(names)
    assert play(lambda: sqlite_stage.query("PRAGMA integrity_check")) == [("ok",)]
    done = "SELECT count(*), count(done_at), count(leased_by) FROM reddit_frontier"
    assert play(lambda: sqlite_stage.query(done)) == [(len(names), len(names), 0)]


def test_an_older_copy_is_taken_up_as_it_is(sqlite_stage: Stage) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.enter(["Bitcoin"])
            await store.save(Batch(posts=[a_post("old")]))
            copy = sqlite_stage.file.with_name("copy.db")
            await sqlite_stage.query(f"VACUUM INTO '{copy}'")
            await store.save(Batch(posts=[a_post("new")]))
            copy.replace(sqlite_stage.file)
            await store.save(Batch(posts=[a_post("newer")]))
            assert await sqlite_stage.query("SELECT reddit_id FROM reddit_posts ORDER BY 1") == [("newer",), ("old",)]

    play(scenario)


def test_what_was_begun_in_the_old_one_is_not_called_done_in_the_new_one(sqlite_stage: Stage) -> None:
    """Its first parts lie in the old file: only who begins anew brings them all."""

    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.enter(["Bitcoin"])
            assert await _lease(store) == ["Bitcoin"]
            await store.save(Batch(subreddits=[a_subreddit()]))
            _remove_all(sqlite_stage.file)
            await store.save(Batch(posts=[a_post()], outcomes=[SaveOutcome("Bitcoin", "open", finished=True)]))
            assert await _lease(store) == ["Bitcoin"]

    play(scenario)


def test_a_newer_version_in_its_place_is_a_persons_matter(sqlite_stage: Stage) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.save(Batch(posts=[a_post()]))
            copy = sqlite_stage.file.with_name("copy.db")
            await sqlite_stage.query(f"VACUUM INTO '{copy}'")
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
                connection.commit()
            copy.replace(sqlite_stage.file)
            with pytest.raises(PermanentError, match="newer version"):
                await store.lease(1, max_depth=1, refresh_after=60, seconds=60)
            _remove_all(sqlite_stage.file)

    play(scenario)


def test_a_directory_in_its_place_is_waited_out(sqlite_stage: Stage, logs: Lines) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            _remove_all(sqlite_stage.file)
            sqlite_stage.file.mkdir()
            saving = asyncio.create_task(store.save(Batch(posts=[a_post()])))
            await asyncio.to_thread(wait_until, lambda: store.away_since, 10.0, "the absence to be noticed")
            sqlite_stage.file.rmdir()
            await asyncio.wait_for(saving, 10.0)

    play(scenario)
    assert [event for event, _ in _said(logs)] == ["database_replaced"], "it is said once"


def test_tables_that_are_dropped_are_made_again(stage: Stage, logs: Lines) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["Bitcoin"])
            await store.save(Batch(posts=[a_post("before")]))
            for table in [VERSION_TABLE, "reddit_rules", *metadata.tables]:
                await stage.query(f"DROP TABLE IF EXISTS {table}")
            await store.save(Batch(posts=[a_post("after")]))
            assert await _lease(store) == ["Bitcoin"]
            assert (await store.counts(max_depth=1, refresh_after=60)).posts == 1

    play(scenario)
    assert _said(logs) == [("database_replaced", "its tables are missing")]


def test_a_single_table_that_is_missing_is_an_error_like_before(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(posts=[a_post()]))
            await stage.query("DROP TABLE reddit_posts")
            with pytest.raises(Exception, match="reddit_posts"):
                await store.counts(max_depth=1, refresh_after=60)

    play(scenario)
