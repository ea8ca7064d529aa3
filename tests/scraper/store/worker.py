"""A process that works through the frontier as a scraper does, and says on its output what it was promised.

`python -m tests.scraper.store.worker HOLDER`, the address in DATABASE_URL: leases, saves a batch of posts for each
subreddit, claims and saves a user, ends the lease; ends itself when nothing is left to do.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime

import uvloop

from core.process.parent_guard import die_with_parent
from scraper.store import Batch, Lease, Progress, RemainingWork, SaveOutcome, Store
from tests.scraper.store.stage import a_post, a_user

#: Posts of one batch: all of them, or none, may ever be seen.
BATCH = 20

#: A lease that nobody takes back comes back after so long, seconds.
LEASE_SECONDS = 2.0


def _say(*words: str) -> None:
    print(*words, flush=True)


async def _visit(store: Store, lease: Lease) -> None:
    _say("leased", lease.name)
    now = datetime.now(UTC)
    label = f"{lease.name}.{os.getpid()}"
    rows = [a_post(f"{label}.{at}", now, subreddit_name=lease.name, title=label) for at in range(BATCH)]
    user = f"author_of_{lease.name}"
    await store.save(Batch(posts=rows, progress=[Progress(lease.name, RemainingWork((), (user,)))]))
    _say("saved", label)
    while True:
        claims = await store.claim_users([user], refresh_after=3600, seconds=LEASE_SECONDS)
        if claims.mine:
            await store.save(Batch(users=[a_user(user, now)]))
        if not claims.elsewhere:
            break
        await asyncio.sleep(0.1)  # a dead process had claimed it
    await store.save(Batch(outcomes=[SaveOutcome(lease.name, "open", finished=True)]))
    _say("done", lease.name)


async def _work(url: str, holder: str) -> None:
    store = await Store.open(url, holder=holder)
    await store.take_back()
    while True:
        leases = await store.lease(3, max_depth=1, refresh_after=3600, seconds=LEASE_SECONDS)
        await asyncio.gather(*(_visit(store, lease) for lease in leases))
        if not leases:
            counts = await store.counts(max_depth=1, refresh_after=3600)
            if counts.waiting == counts.leased == 0:
                break
            await asyncio.sleep(0.05)
    await store.close()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))
    uvloop.run(_work(os.environ["DATABASE_URL"], sys.argv[1]))
