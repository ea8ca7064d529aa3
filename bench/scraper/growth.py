"""Memory over a long crawl: of a process when a tenth is done, and at the end."""

import tempfile
from pathlib import Path

from bench.figure import Figure, at_most
from bench.scraper.stage import Stage

_SUBREDDITS = 2_000
_USERS = 3  # few, so that the simulator is done in a minute


def measure() -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="gapless-bench-") as name,
        Stage(Path(name), _SUBREDDITS, crawl_authors=6) as stage,
    ):
        run = stage.crawl(users_per_subreddit=_USERS, timeout=300.0)
    end = max(run.pss.values())
    return [
        Figure(f"subreddits crawled, with {run.requests:,} requests", run.subreddits, f"in {run.seconds:.0f} s"),
        Figure("baseline: PSS when a tenth was done", run.begun_pss, "MiB", digits=1),
        at_most("PSS at the end", end, 50, "MiB", digits=1),
        at_most("ratio of the two", end / run.begun_pss, 1.1, digits=2),
    ]
