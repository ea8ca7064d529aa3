"""CPU of a poll by the number of configured subreddits: it must grow with new items, not with names."""

import itertools
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
from core.reddit.quota import Priority
from core.spool import SpoolWriter
from streams.capture.capture_loop import Capture
from streams.capture.coverage import Coverage
from streams.capture.page_fetcher import PageFetcher
from tests.streams.capture.life import Clock, EasyQuota, FakeContext, Notes

_NAMES = (100, 1_000, 10_000)
_NEW = 25
_WARM_UP_S, _MEASURED_S = 300.0, 600.0
_ROUNDS = 3
_STREAM = "comments"


class NewestPages:
    """Answers each request for a newest page with `_NEW` comments that the one before did not have."""

    def __init__(self, clock: Clock, children: list[dict[str, Any]]) -> None:
        self._clock = clock
        self._children = children
        self._pages: dict[str, deque[dict[str, Any]]] = {}
        self._count = itertools.count()
        self.polls = 0

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Answer one request; a page below the newest one is the last."""
        del priority
        self._clock.advance(0.05)
        page = self._pages.setdefault(path, deque(maxlen=PAGE))
        if "after" not in params:
            self.polls += 1
            names = path.split("/")[2].split("+")
            for _ in range(_NEW if page else PAGE):
                page.appendleft(self._comment(names))
        after = None if "after" in params else page[-1]["data"]["name"]
        return {"kind": "Listing", "data": {"children": [] if "after" in params else list(page), "after": after}}

    def _comment(self, names: list[str]) -> dict[str, Any]:
        number = next(self._count)
        child = self._children[number % len(self._children)]
        fresh = {
            "name": f"t1_b{number:x}",
            "id": f"b{number:x}",
            "subreddit": names[number % len(names)],
            "created_utc": int(self._clock.now),
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


def _run(config: Config, coverage: Coverage, source: NewestPages, clock: Clock, context: FakeContext) -> None:
    fetcher = PageFetcher(source, context, _STREAM, clock)
    quota: Any = EasyQuota(clock)
    Capture(stream_config(config, _STREAM), context, coverage, fetcher, quota, clock=clock, wall=clock).run()
