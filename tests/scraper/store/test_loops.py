"""The same on both event loops: the one that production uses, and the one that Python brings."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from scraper.store import Batch, Found, SaveOutcome
from tests.scraper.store.stage import Stage, a_post, a_rule, a_subreddit, a_user, play


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_whole_visit(stage: Stage, loop: str) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.take_back()
            await store.enter(["Bitcoin"])
            (lease,) = await store.lease(3, max_depth=1, refresh_after=60, seconds=60)
            claims = await store.claim_users(["Satoshi"], refresh_after=60, seconds=60)
            batches = [
                Batch(subreddits=[a_subreddit()], rules={"Bitcoin": [a_rule(0)]}, found=[Found("ethereum", 1)]),
                *(Batch(posts=[a_post(f"{page}.{at}") for at in range(100)]) for page in range(15)),
                Batch(users=[a_user(name) for name in claims.mine]),
            ]
            await asyncio.gather(*(store.save(batch) for batch in batches))
            await store.save(Batch(outcomes=[SaveOutcome(lease.name, "open", finished=True)]))
            counts = await store.counts(max_depth=1, refresh_after=60)
            assert (counts.subreddits, counts.rules, counts.users, counts.posts) == (1, 1, 1, 1500)
            assert (counts.waiting, counts.leased, counts.done) == (1, 0, 1)

    play(scenario, loop=loop)


def test_only_what_is_used_is_loaded(sqlite_stage: Stage) -> None:
    """Every module costs memory in every process: no object mapper, no migrations, no other database's driver."""
    code = (
        "import asyncio, sys\n"
        "from scraper.store import Store\n"
        "async def work():\n"
        "    await (await Store.open(sys.argv[1], holder='x')).close()\n"
        "asyncio.run(work())\n"
        "print(*sys.modules)\n"
    )
    command = [sys.executable, "-c", code, sqlite_stage.url]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=root)
    loaded = set(done.stdout.split())
    assert "sqlalchemy" in loaded
    unwanted = {"sqlalchemy.orm", "sqlalchemy.ext.asyncio", "alembic", "asyncpg", "sqlalchemy.dialects.postgresql"}
    assert not loaded & unwanted
