"""Capture without the network: from the bytes of an answer to rows that survive a power cut, on one core."""

import json
import sqlite3
import tempfile
import time
from pathlib import Path

from bench.figure import Figure, at_least
from bench.material import PAGE, comment_pages
from core.spool import SpoolWriter
from streams.capture.coverage import Coverage
from streams.capture.listing import parse_page
from streams.capture.walk import Walk
from tests.support.simulator import SUBREDDITS

_PAGES = 300


def measure() -> list[Figure]:
    pages = comment_pages(_PAGES)
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        ours = _PAGES * PAGE / _capture(Path(directory), pages)
        bare = _PAGES * PAGE / _bare(Path(directory), pages)
    size = sum(map(len, pages)) / (_PAGES * PAGE)
    return [
        Figure("an item in its page", size, "bytes"),
        at_least("captured: parsed, walked, remembered, committed (FULL)", ours, 20_000, "items/s"),
        Figure("baseline: json.loads and one INSERT an item, committed (FULL)", bare, "items/s"),
        Figure("ratio", ours / bare, digits=2),
    ]


def _capture(directory: Path, pages: list[bytes]) -> float:
    with SpoolWriter(directory, "comments") as writer:
        coverage = Coverage(writer, "comments", SUBREDDITS)
        began = time.perf_counter()
        for body in pages:
            page = parse_page(json.loads(body), "comments")  # as PRAW decodes it
            walk = Walk(coverage.proven, coverage.horizon(SUBREDDITS))
            walk.take(page)
            newest = max(item.created or 0.0 for item in page.items)
            coverage.absorb(page, change=coverage.proof(SUBREDDITS, newest))
        return time.perf_counter() - began


def _bare(directory: Path, pages: list[bytes]) -> float:
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, value TEXT)")
    began = time.perf_counter()
    for body in pages:
        children = json.loads(body)["data"]["children"]
        rows = [(child["data"]["name"], child["data"]["body"]) for child in children]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO records (key, value) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return seconds
