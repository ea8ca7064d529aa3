"""Rows that a person skips cost a lease nothing, and `review` counts however and whenever it is written."""

import json
import sqlite3
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection

from scraper.store.batches.batch import Batch, Found
from scraper.store.connection.opening import open_database
from scraper.store.statements.frontier import FrontierStatements
from scraper.store.store import Store
from tests.scraper.store.stage import NOON, Stage, a_subreddit, play

_MANY = 4_000


async def _leased(store: Store, most: int = 10) -> list[str]:
    leases = await store.lease(most, max_depth=2, refresh_after=86400.0, seconds=60.0)
    return sorted(lease.name for lease in leases)


async def _flags(stage: Stage) -> dict[str, bool]:
    rows = await stage.query("SELECT name, skipped FROM reddit_frontier")
    return {name: bool(flag) for name, flag in rows}


@pytest.mark.parametrize("first", ["review", "frontier"])
def test_a_review_counts_whether_it_or_the_frontier_was_there_first(stage: Stage, first: str) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            written = "INSERT INTO reddit_subreddits (name, review) VALUES ('Never', ' SKIP '), ('Some', 'posts_only')"
            if first == "review":
                await stage.query(written)
            await store.save(Batch(found=[Found("never", 0), Found("some", 0), Found("other", 0)]))
            if first == "frontier":
                await stage.query(written)
            assert await _flags(stage) == {"never": True, "some": False, "other": False}
            assert await _leased(store) == ["Some", "other"]

    play(scenario)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reddit_subreddits SET review = NULL",
        "UPDATE reddit_subreddits SET review = 'posts_only'",
        "DELETE FROM reddit_subreddits",
    ],
)
def test_what_is_no_longer_skipped_has_its_turn(stage: Stage, change: str) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("Never", 0)]))
            await stage.query("INSERT INTO reddit_subreddits (name, review) VALUES ('Never', 'skip')")
            assert await _leased(store) == []
            await stage.query(change)
            assert [name.lower() for name in await _leased(store)] == ["never"]

    play(scenario)


def test_a_row_that_is_replaced_as_a_whole_counts_too(sqlite_stage: Stage) -> None:
    async def scenario() -> None:
        async with sqlite_stage.open() as store:
            await store.save(Batch(found=[Found("Never", 0)]))
            for review, skipped in (("'skip'", True), ("NULL", False), ("'Skip'", True)):
                await sqlite_stage.query(
                    f"INSERT OR REPLACE INTO reddit_subreddits (name, review) VALUES ('Never', {review})"
                )
                assert await _flags(sqlite_stage) == {"never": skipped}

    play(scenario)


def test_saving_facts_keeps_what_a_person_wrote(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("Never", 0)]))
            await stage.query("INSERT INTO reddit_subreddits (name, review) VALUES ('never', 'skip')")
            await store.save(Batch(subreddits=[a_subreddit("NEVER")]))
            assert await _flags(stage) == {"never": True}
            assert await _leased(store) == []

    play(scenario)


@pytest.mark.parametrize("review", ["NULL", "'skip'"])
def test_a_flag_that_missed_a_change_is_corrected(stage: Stage, review: str) -> None:
    """A person clears `review` in the same moment in which the row enters the frontier: neither sees the other."""

    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(found=[Found("Never", 0)]))
            await stage.query(f"INSERT INTO reddit_subreddits (name, review) VALUES ('Never', {review})")
            skipped = review != "NULL"
            await stage.query(f"UPDATE reddit_frontier SET skipped = {'false' if skipped else 'true'}")
            assert await _leased(store) == []
            await store.enter(())
            assert (await _flags(stage))["never"] is False
            assert await _leased(store) == ([] if skipped else ["Never"]), "review itself counts in any case"

    play(scenario)


def test_a_lease_reads_no_skipped_row(stage: Stage) -> None:
    """The plan of the statement: it begins in the index behind the skipped rows, and sorts nothing."""

    async def scenario() -> None:
        async with stage.open() as store:
            found = [Found(f"n{number:05}", 0) for number in range(_MANY)]
            await store.save(Batch(found=found))
            await stage.query(
                "INSERT INTO reddit_subreddits (name, review) "
                f"SELECT name, 'skip' FROM reddit_frontier WHERE name < 'n{_MANY // 2:05}'"
            )
            assert await _leased(store, 1) == [f"n{_MANY // 2:05}"]
            if not stage.is_sqlite:
                await stage.query("ANALYZE")
            read = await _sqlite_plan(stage) if stage.is_sqlite else await _rows_read(stage)
            assert read <= 5, f"{read} rows of the frontier for one lease"

    play(scenario)


async def _statement(stage: Stage) -> str:
    """Return the statement of a lease, with values in it."""
    database, _ = await open_database(stage.url)
    try:

        def compiled(connection: Connection) -> str:
            values = {"settled": False, "at_depth": 0, "before": NOON, "most": 1}
            due = FrontierStatements(connection.dialect, "x")._due.params(values)  # noqa: SLF001 (its plan is the point)
            return str(due.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))

        return await database.read(compiled)
    finally:
        await database.close()


async def _sqlite_plan(stage: Stage) -> int:
    """Check that SQLite searches the index; the steps of a statement are limited, so a scan is told by its steps."""
    sql = await _statement(stage)
    plan = " ".join(str(row[3]) for row in await stage.query(f"EXPLAIN QUERY PLAN {sql}"))
    assert "USING INDEX reddit_frontier_due (skipped=? AND settled=? AND depth=? AND due_at<?)" in plan, plan
    assert "TEMP B-TREE" not in plan, plan
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection = sqlite3.connect(stage.file)
    try:
        connection.set_progress_handler(count, 100)
        assert len(connection.execute(sql).fetchall()) == 1
    finally:
        connection.close()
    return steps


async def _rows_read(stage: Stage) -> int:
    """Run the statement in PostgreSQL; return how many rows of the frontier it took or passed over."""
    connection = await asyncpg.connect(stage.url)
    try:
        [plan] = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {await _statement(stage)}"))
    finally:
        await connection.close()
    return _rows_of_frontier(plan["Plan"])


def _rows_of_frontier(node: dict[str, Any]) -> int:
    """Add up over the nodes of a plan."""
    own = 0
    if node.get("Relation Name") == "reddit_frontier":
        own = int(node["Actual Rows"] * node["Actual Loops"]) + int(node.get("Rows Removed by Filter", 0))
    return own + sum(_rows_of_frontier(child) for child in node.get("Plans", ()))
