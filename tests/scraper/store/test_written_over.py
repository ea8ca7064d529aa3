"""Another program writes over the open database: the same file, other content."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from scraper.store import Batch
from tests.scraper.store.stage import Stage, a_post, play
from tests.scraper.store.test_processes import Crew
from tests.support.waiting import wait_until

Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def _write_over(file: Path, content: bytes) -> None:
    """As `cat other.db > reddit.db` does it."""
    with file.open("wb") as open_file:
        open_file.write(content)


async def _older_copy(stage: Stage) -> bytes:
    copy = stage.file.with_name("copy.db")
    await stage.query(f"VACUUM INTO '{copy}'")
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return copy.read_bytes()


async def _another_programs(stage: Stage) -> bytes:
    other = stage.file.with_name("other.db")
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.executemany("INSERT INTO recipes VALUES (?)", [("x" * 500,)] * 1000)
        connection.commit()
    return other.read_bytes()


async def _nothing(_stage: Stage) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("content", "posts"), [(_older_copy, ["after", "old"]), (_another_programs, ["after"]), (_nothing, ["after"])]
)
@pytest.mark.parametrize("checkpoint", [False, True])
def test_it_is_noticed_and_the_log_does_not_reach_the_new_content(
    sqlite_stage: Stage, logs: Lines, content: Callable[[Stage], Any], posts: list[str], checkpoint: bool
) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as one:
            await one.enter(["Bitcoin"])
            await one.save(Batch(posts=[a_post("old")]))
            new = await content(sqlite_stage)
            await one.save(Batch(posts=[a_post(f"lost{number}") for number in range(300)]))
            if checkpoint:
                await sqlite_stage.query("PRAGMA wal_checkpoint(PASSIVE)")
            await one.save(Batch(posts=[a_post("lost")]))
            inode = sqlite_stage.file.stat().st_ino
            _write_over(sqlite_stage.file, new)
            assert sqlite_stage.file.stat().st_ino == inode
            await one.save(Batch(posts=[a_post("after")]))
            found = await one.lease(9, max_depth=1, refresh_after=60, seconds=60)
            assert [lease.name for lease in found] == ["Bitcoin"]
            rows = await sqlite_stage.query("SELECT reddit_id FROM reddit_posts ORDER BY 1")
            assert [reddit_id for (reddit_id,) in rows] == posts
            assert one.database_replaced is not None
        assert await sqlite_stage.query("PRAGMA integrity_check") == [("ok",)]
        if content is _another_programs:
            assert await sqlite_stage.query("SELECT count(*) FROM recipes") == [(1000,)]

    play(scenario)
    said = [line["reason"] for line in logs if line["event"] == "database_replaced"]
    assert said == ["another program wrote into it"]


def test_the_checkpoints_of_all_processes_are_ours(sqlite_stage: Stage, crew: Crew) -> None:
    """They change the file all the time, and so do programs that write as SQLite wants it."""
    names = [f"sub{at}" for at in range(60)]

    async def enter() -> None:
        async with sqlite_stage.open() as store:
            await store.enter(names)

    play(enter)
    workers = [crew.hire(f"p{at}") for at in range(3)]
    ways = ["PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(FULL)", "PRAGMA wal_checkpoint(RESTART)", "VACUUM"]
    turn = 0
    while any(worker.running for worker in workers):
        with contextlib.closing(sqlite3.connect(sqlite_stage.file, timeout=10.0, isolation_level=None)) as connection:
            connection.execute("INSERT INTO reddit_subreddits (name, review) VALUES (?, 'x')", (f"mine{turn}",))
            with contextlib.suppress(sqlite3.OperationalError):  # others are at it
                connection.execute(ways[turn % len(ways)])
        turn += 1
    assert [worker.end() for worker in workers] == [0] * 3, crew.errors()
    assert "replaced" not in crew.errors()
    assert turn > 10
    assert set(crew.said("done")) == set(names)


def test_processes_notice_it_together(sqlite_stage: Stage, crew: Crew) -> None:
    names = [f"sub{at}" for at in range(40)]

    async def copy() -> bytes:
        async with sqlite_stage.open() as store:
            await store.enter(names)
            return await _older_copy(sqlite_stage)

    content = play(copy)
    workers = [crew.hire(f"p{at}") for at in range(3)]
    wait_until(lambda: len(crew.said("done")) >= 10, 60.0, "the workers to work")
    _write_over(sqlite_stage.file, content)
    assert [worker.end() for worker in workers] == [0] * 3, crew.errors()
    assert play(lambda: sqlite_stage.query("PRAGMA integrity_check")) == [("ok",)]
    done = "SELECT count(*), count(done_at), count(leased_by) FROM reddit_frontier"
    assert play(lambda: sqlite_stage.query(done)) == [(len(names), len(names), 0)]


@pytest.fixture
def crew(sqlite_stage: Stage, tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(sqlite_stage.url, tmp_path / "errors")
    yield crew
    crew.dismiss()


def test_no_descriptor_is_opened_for_it(sqlite_stage: Stage) -> None:
    """Closing one of these files would release the locks that SQLite has on it."""

    def open_files() -> list[Path]:
        return sorted(Path("/proc/self/fd").iterdir())

    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.save(Batch(posts=[a_post("one")]))
            before = open_files()
            for number in range(5):
                await store.save(Batch(posts=[a_post(f"p{number}")]))
            assert open_files() == before

    play(scenario)
