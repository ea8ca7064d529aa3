"""CPU of a poll by the number of configured subreddits: it must grow with new items, not with names."""

import itertools
import math
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.figure import Figure, at_most
from bench.material import PAGE, template_page
from core.config.sections import Config
from core.config.slices import stream_config
from core.reddit.quota import WINDOW, Priority, Quota
from core.spool import SpoolWriter
from streams.capture.capture_loop import Capture
from streams.capture.coverage import Coverage
from streams.capture.page_fetcher import PageFetcher
from tests.streams.capture.life import Clock, EasyQuota, FakeContext, Notes

_NAMES = (100, 1_000, 10_000)
_NEW = 25
_LISTED = 1_000
_GROUPS = 27
#: bytes of a path and query around the names
_AROUND = 72
_WARM_UP_S, _MEASURED_S = 300.0, 600.0
_ROUNDS = 3
_STREAM = "comments"


class NewestPages:
    """Listings of 1,000 comments; each request for a newest page finds `_NEW` that the one before did not have."""

    def __init__(self, clock: Clock, children: list[dict[str, Any]]) -> None:
        self._clock = clock
        self._children = children
        self._listings: dict[str, deque[dict[str, Any]]] = {}
        self._count = itertools.count()
        self.polls = 0

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Answer one request; a page below the newest one is the last."""
        del priority
        self._clock.advance(0.05)
        listing = self._listings.setdefault(path, deque(maxlen=_LISTED))
        start = 0
        if "after" in params:
            names = [child["data"]["name"] for child in listing]
            start = names.index(params["after"]) + 1 if params["after"] in names else _LISTED
        else:
            self.polls += 1
            self._add(listing, path.split("/")[2].split("+"))
        children = list(itertools.islice(listing, start, start + PAGE))
        after = children[-1]["data"]["name"] if start + PAGE < len(listing) else None
        return {"kind": "Listing", "data": {"children": children, "after": after}}

    def _add(self, listing: deque[dict[str, Any]], names: list[str]) -> None:
        """Add the new comments, evenly created since the last ones; to an empty listing, one for each second."""
        now = self._clock.now
        last = listing[0]["data"]["created_utc"] if listing else now - _LISTED
        count = _NEW if listing else _LISTED
        for place in range(1, count + 1):
            listing.appendleft(self._comment(names, int(last + (now - last) * place / count)))

    def _comment(self, names: list[str], created: int) -> dict[str, Any]:
        number = next(self._count)
        child = self._children[number % len(self._children)]
        fresh = {
            "name": f"t1_b{number:x}",
            "id": f"b{number:x}",
            "subreddit": names[number % len(names)],
            "created_utc": created,
        }
        return {"kind": "t1", "data": child["data"] | fresh}


def measure() -> list[Figure]:
    """Measure each number of names in turn, several times; the best counts."""
    children = template_page()["data"]["children"]
    best = dict.fromkeys(_NAMES, float("inf"))
    for _ in range(_ROUNDS):
        for count in _NAMES:
            best[count] = min(best[count], _cpu_per_poll(count, children))
    fewest = best[_NAMES[0]]
    figures = [
        Figure(f"a poll with {_NEW} new items, {count:,} subreddits, CPU", 1e6 * best[count], "µs") for count in _NAMES
    ]
    more = [
        at_most(f"the same, in relation to {_NAMES[0]} subreddits: {count:,}", best[count] / fewest, 1.5, digits=2)
        for count in _NAMES[1:]
    ]
    return figures + more


def _cpu_per_poll(count: int, children: list[dict[str, Any]]) -> float:
    """Return the CPU seconds of a poll, with its share of everything else that the stream does."""
    names = tuple(f"Subreddit_{number:05d}" for number in range(count))
    clock = Clock()
    config = Config()
    config = replace(config, reddit=replace(config.reddit, subreddits=names))
    source = NewestPages(clock, children)
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        state = Path(directory)
        config = replace(config, supervisor=replace(config.supervisor, state_dir=state))
        with SpoolWriter(state, _STREAM, subreddits=names) as writer:
            coverage = Coverage(writer, _STREAM, names, clock=clock)
            ready: Callable[[float], FakeContext] = lambda seconds: FakeContext(clock, clock.now + seconds, Notes())  # noqa: E731
            _run(config, coverage, source, clock, ready(_WARM_UP_S))
            polls, began = source.polls, time.process_time()
            _run(config, coverage, source, clock, ready(_MEASURED_S))
            return (time.process_time() - began) / (source.polls - polls)


class AmpleQuota(EasyQuota):
    """A quota that polls and first walks do not use up."""

    def state(self) -> Quota:
        """Return a window that has just begun."""
        return Quota(limit=6_000.0, reset_at=self._clock() + WINDOW)


def _run(config: Config, coverage: Coverage, source: NewestPages, clock: Clock, context: FakeContext) -> None:
    fetcher = PageFetcher(source, context, _STREAM, clock)
    quota: Any = AmpleQuota(clock)
    names = config.reddit.subreddits
    # as many groups as the most names need: only the number of names in a group differs
    limit = _AROUND + max(len(names[0]), math.ceil(len(names) * (len(names[0]) + 1) / _GROUPS))
    options: dict[str, Any] = {"clock": clock, "wall": clock, "path_limit": limit}
    Capture(stream_config(config, _STREAM), context, coverage, fetcher, quota, **options).run()
