"""Capture without the network: from the bytes of an answer to rows that survive a power cut, on one core."""

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.figure import Figure, at_least
from bench.material import PAGE, comment_pages
from core.spool import SpoolWriter
from streams.capture.coverage import Coverage
from streams.capture.listing import parse_page
from streams.capture.walk import Walk
from tests.support.simulator import SUBREDDITS

_PAGES = 100
_ROUNDS = 5  # the best counts: whatever else runs on the machine only takes away


class Pace(NamedTuple):
    """Items a second."""

    by_cpu: float
    by_clock: float


class Watch:
    """Measures from its making."""

    def __init__(self) -> None:
        self._cpu, self._clock = time.process_time(), time.perf_counter()

    def pace(self, items: int) -> Pace:
        """Return the pace at which so many items were done."""
        return Pace(items / (time.process_time() - self._cpu), items / (time.perf_counter() - self._clock))


def measure() -> list[Figure]:
    pages = comment_pages(_PAGES)
    ours, bare = _best(_capture, pages), _best(_bare, pages)
    size = sum(map(len, pages)) / (_PAGES * PAGE)
    return [
        Figure("an item in its page", size, "bytes"),
        at_least("captured: parsed, walked, remembered, committed; a second of CPU", ours.by_cpu, 20_000, "items"),
        Figure("the same; a second by the clock, with the waits for the disk", ours.by_clock, "items"),
        Figure("baseline: json.loads, INSERT and COMMIT; a second of CPU", bare.by_cpu, "items"),
        Figure("ratio of the two", ours.by_cpu / bare.by_cpu, digits=2),
    ]


def _best(run: Callable[[Path, list[bytes]], Pace], pages: list[bytes]) -> Pace:
    paces = []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
            paces.append(run(Path(directory), pages))
    return Pace(max(pace.by_cpu for pace in paces), max(pace.by_clock for pace in paces))


def _capture(directory: Path, pages: list[bytes]) -> Pace:
    with SpoolWriter(directory, "comments") as writer:
        coverage = Coverage(writer, "comments", SUBREDDITS)
        watch = Watch()
        for body in pages:
            page = parse_page(json.loads(body), "comments")  # as PRAW decodes it
            walk = Walk(coverage.proven, coverage.horizon(SUBREDDITS))
            walk.take(page)
            newest = max(item.created or 0.0 for item in page.items)
            coverage.absorb(page, change=coverage.proof(SUBREDDITS, newest))
        return watch.pace(len(pages) * PAGE)


def _bare(directory: Path, pages: list[bytes]) -> Pace:
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, value TEXT)")
    watch = Watch()
    for body in pages:
        children = json.loads(body)["data"]["children"]
        rows = [(child["data"]["name"], child["data"]["body"]) for child in children]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO records (key, value) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    pace = watch.pace(len(pages) * PAGE)
    connection.close()
    return pace
