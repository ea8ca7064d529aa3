"""Capture without the network: from the bytes of an answer to rows that survive a power cut, on one core."""

import contextlib
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import structlog

from bench.figure import Figure, at_least
from bench.material import PAGE, comment_pages, newest_pages
from core.process.memory_tuning import tune_gc
from core.reddit.json_body import decode
from core.spool import SpoolWriter
from streams.capture.coverage import Coverage
from streams.capture.poll import ListingPoll
from streams.capture.walk import Walk
from streams.record import make_records
from streams.reddit.listing_page import parse_page
from tests.support.simulator import SUBREDDITS

_PAGES = 100
_ROUNDS = 15

#: New items at a poll, of a hundred on the newest page.
_NEW = 3


class Pace(NamedTuple):
    """Items per second."""

    by_cpu: float
    by_clock: float


class Watch:
    """A stopwatch that starts when it is created."""

    def __init__(self) -> None:
        self._cpu, self._clock = time.process_time(), time.perf_counter()

    def pace(self, items: int) -> Pace:
        """Return the pace for this number of items."""
        return Pace(items / (time.process_time() - self._cpu), items / (time.perf_counter() - self._clock))


def measure() -> list[Figure]:
    pages = comment_pages(_PAGES)
    tune_gc()  # as each stream does; the baselines gain as well
    record, bare, same = _in_turn(pages, _capture, _bare, _same_rows)
    full, bare_full = _in_turn(pages, _capture_full, _bare_full)
    polls = newest_pages(_PAGES, _NEW)
    poll = statistics.median(_run(_poll, polls).by_cpu for _ in range(_ROUNDS))
    return [
        Figure("an item in its page", sum(map(len, pages)) / (_PAGES * PAGE), "bytes"),
        *_captured("full", full, _record_size(pages, full=True), bare_full, "json.loads, json.dumps, INSERT, COMMIT"),
        *_captured("record", record, _record_size(pages, full=False), bare, "json.loads, INSERT and COMMIT"),
        Figure("bare loop with the same rows and parser; a second of CPU", max(pace.by_cpu for pace in same), "items"),
        Figure("ratio to that, median of the rounds", _ratio(record, same), digits=2),
        Figure(f"a poll that finds {_NEW} new items among {PAGE}, CPU, without HTTP", 1e6 * PAGE / poll, "µs"),
    ]


def _in_turn(pages: list[bytes], *runs: Callable[[Path, list[bytes]], Pace]) -> list[tuple[Pace, ...]]:
    """Measure in turn, since the machine's speed drifts: a ratio is that of two neighbours."""
    rounds = [[_run(run, pages) for run in runs] for _ in range(_ROUNDS)]
    return list(zip(*rounds, strict=True))


def _captured(payload: str, ours: Sequence[Pace], size: float, bare: Sequence[Pace], what: str) -> list[Figure]:
    best, by_clock = max(pace.by_cpu for pace in ours), max(pace.by_clock for pace in ours)
    return [
        Figure(f"payload {payload}: a record's value", size, "bytes"),
        at_least("captured: parsed, walked, remembered, committed; a second of CPU", best, 20_000, "items"),
        Figure("the same, values of the records", best * size / 1e6, "MB", digits=1),
        Figure("the same; a second by the clock, with the waits for the disk", by_clock, "items"),
        Figure(f"baseline: {what}; a second of CPU", max(pace.by_cpu for pace in bare), "items"),
        at_least("ratio of the two, median of the rounds", _ratio(ours, bare), 0.7, digits=2),
    ]


def _record_size(pages: Sequence[bytes], *, full: bool) -> float:
    items = parse_page(decode(pages[0]), "comments").items
    return sum(len(one.value) for one in make_records(items, "comments", 0.0, full=full)) / len(items)


def _ratio(ours: Sequence[Pace], theirs: Sequence[Pace]) -> float:
    return statistics.median(a.by_cpu / b.by_cpu for a, b in zip(ours, theirs, strict=True))


def _run(run: Callable[[Path, list[bytes]], Pace], pages: list[bytes]) -> Pace:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        return run(Path(directory), pages)


def _capture_full(directory: Path, pages: list[bytes]) -> Pace:
    return _capture(directory, pages, full=True)


def _capture(directory: Path, pages: list[bytes], *, full: bool = False) -> Pace:
    with SpoolWriter(directory, "comments") as writer:
        coverage = Coverage(writer, "comments", SUBREDDITS, full=full)
        watch = Watch()
        for body in pages:
            page = parse_page(decode(body), "comments")  # as the client below PRAW decodes it
            walk = Walk(coverage.names.proven, coverage.horizon(SUBREDDITS))
            walk.take(page)
            newest = max(item.created or 0.0 for item in page.items)
            coverage.absorb(page, change=coverage.proof(SUBREDDITS, newest))
        return watch.pace(len(pages) * PAGE)


def _poll(directory: Path, pages: list[bytes]) -> Pace:
    log = structlog.stdlib.get_logger(__name__)
    with SpoolWriter(directory, "comments") as writer:
        coverage = Coverage(writer, "comments", SUBREDDITS, full=True)
        for number, body in enumerate(pages):
            poll = ListingPoll(SUBREDDITS, coverage, log, start="backlog")
            poll.take(parse_page(decode(body), "comments"), poll.next(), coverage.now())
            if number == 0:
                watch = Watch()  # the first poll finds a whole page of new items
        return watch.pace((len(pages) - 1) * PAGE)


def _bare_full(directory: Path, pages: list[bytes]) -> Pace:
    """Do the same as `_bare`, and keep the whole object instead of its text."""
    return _bare(directory, pages, full=True)


def _bare(directory: Path, pages: list[bytes], *, full: bool = False) -> Pace:
    """Do the least of any capture: parse, extract name and text, insert, one durable commit per page.

    There is no cursor, no memory of names, no proof, and no record beyond the text.
    """
    with contextlib.closing(
        _database(directory, "records (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, value TEXT)")
    ) as db:
        watch = Watch()
        for body in pages:
            children = json.loads(body)["data"]["children"]
            things = [child["data"] for child in children]
            rows = [(one["name"], json.dumps(one) if full else one["body"]) for one in things]
            db.execute("BEGIN")
            db.executemany("INSERT INTO records (key, value) VALUES (?, ?)", rows)
            db.execute("COMMIT")
        return watch.pace(len(pages) * PAGE)


_FIELDS = ("id", "name", "subreddit", "author", "body", "score", "created_utc", "permalink", "parent_id", "link_id")


def _same_rows(directory: Path, pages: list[bytes]) -> Pace:
    """Write what a capture writes, without checks: records, names and a cursor; no index, check or proof."""
    tables = (
        "records (seq INTEGER PRIMARY KEY AUTOINCREMENT, key, value, schema, captured_at)",
        "seen (name TEXT PRIMARY KEY, bucket, created, epoch) WITHOUT ROWID",
        "cursor (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    )
    with contextlib.closing(_database(directory, *tables)) as db:
        watch = Watch()
        for body in pages:
            now = time.time()
            things = [child["data"] for child in orjson.loads(body)["data"]["children"]]
            records = [
                {"timestamp": str(now), "content_type": "comment", "source": "reddit", **{f: thing[f] for f in _FIELDS}}
                for thing in things
            ]
            rows = [(one["name"], orjson.dumps(one), "reddit.comment.v1", now) for one in records]
            db.execute("BEGIN")
            db.executemany("INSERT INTO records (key, value, schema, captured_at) VALUES (?, ?, ?, ?)", rows)
            db.executemany("INSERT INTO seen VALUES (?, ?, ?, 1)", [(t["name"], t["subreddit"], now) for t in things])
            db.execute("INSERT OR REPLACE INTO cursor VALUES ('newest', ?)", (things[0]["created_utc"],))
            db.execute("COMMIT")
        return watch.pace(len(pages) * PAGE)


def _database(directory: Path, *tables: str) -> sqlite3.Connection:
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for table in tables:
        connection.execute(f"CREATE TABLE {table}")
    return connection
