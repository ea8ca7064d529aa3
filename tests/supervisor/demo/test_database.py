"""The scraper's own tables, filled by the scraper's store and read back with plain SQLite."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from scraper.reddit.rows import Post, Rule, Subreddit, User
from scraper.store.batches.batch import Batch, SaveOutcome
from scraper.store.store import Store
from supervisor.demo.database import Database

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def _fill(path: Path) -> None:
    store = await Store.open(f"sqlite:///{path}", holder="test")
    try:
        await store.enter(["Alpha", "Beta", "Gamma"])
        await store.lease(3, max_depth=1, refresh_after=60.0, seconds=60.0)
        batch = Batch(
            subreddits=[Subreddit("Alpha", "open", NOON, subscribers=7, over18=False, created_utc=NOON)],
            rules={"Alpha": [Rule("Alpha", 0, NOON, "be kind")]},
            posts=[Post("p1", "Alpha", None, "naïve 🚀", NOON, created_utc=NOON, upvote_ratio=0.75)],
            users=[User("Ann", "active", NOON, link_karma=3)],
            outcomes=[
                SaveOutcome("Alpha", "open", finished=True),
                SaveOutcome("Beta", "private", finished=False, due_at=NOON),
                SaveOutcome("Gamma", "failed", finished=False, due_at=NOON),
            ],
        )
        await store.save(batch)
    finally:
        await store.close()


def test_rows_and_the_frontier_are_read_back(tmp_path: Path) -> None:
    database = Database(tmp_path / "reddit.db")
    assert database.visited() == (set(), 0), "no file yet"
    asyncio.run(_fill(tmp_path / "reddit.db"))
    assert database.visited() == ({"alpha", "beta"}, 1)
    tables = database.tables()
    subreddit = tables["subreddits"]["alpha"]
    assert (subreddit["subscribers"], subreddit["over18"], subreddit["created_utc"]) == (7, False, NOON.timestamp())
    assert tables["rules"]["alpha 0"]["short_name"] == "be kind"
    post = tables["posts"]["p1"]
    assert (post["title"], post["upvote_ratio"], post["author_username"]) == ("naïve 🚀", 0.75, None)
    assert tables["users"]["ann"]["state"] == "active"
